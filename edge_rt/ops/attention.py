"""Attention, linear attention and rotary position embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.dims import floor_div, is_known
from edge_rt.errors import DataError, GraphError
from edge_rt.ops._attrs import Attrs, Bool, Float, Int, OptionalElementType, OptionalFloat, OptionalInt, Str
from edge_rt.ops._rules import broadcasts_to, equal_size, has, shape_of, shown, widened
from edge_rt.ops._spec import Accuracy, Array, Types, Values, define
from edge_rt.ops._windows import check_rank, check_shape
from edge_rt.types import FLOATS, NUMERIC, DType

ATTENTION = Accuracy(rtol=1e-4, atol=1e-5, scale=0.05)
HALVES = frozenset({DType.FLOAT16, DType.FLOAT32})


def _heads(name: str, shape: Sequence[Any], heads: int | None) -> list[Any]:
    """[batch, heads, seq, size] of a tensor of that shape or of [batch, seq, heads * size]."""
    if len(shape) == 4:
        return list(shape)
    check_rank(name, shape, 3)
    if not heads or heads < 1:
        raise GraphError(f"the number of heads must be given for {name} {shown(shape)}")
    if is_known(shape[2]) and shape[2] % heads:
        raise GraphError(f"{heads} heads must divide the last axis of {name} {shown(shape)}")
    return [shape[0], heads, shape[1], floor_div(shape[2], heads)]


def _split(x: Array, heads: int | None) -> Array:
    """View [batch, heads, seq, size] of x."""
    if x.ndim == 4:
        return x
    shape = _heads("x", x.shape, heads)
    return x.reshape(shape[0], shape[2], shape[1], shape[3]).swapaxes(1, 2)


def _merged(x: Array) -> Array:
    """[batch, seq, heads * size] of x [batch, heads, seq, size]."""
    return x.swapaxes(1, 2).reshape(x.shape[0], x.shape[2], x.shape[1] * x.shape[3])


# ---- Attention ------------------------------------------------------------------------------------------------------


class AttentionAttrs(Attrs):
    is_causal = Bool(False)
    kv_num_heads = OptionalInt()
    left_window_size = Int(-1)
    q_num_heads = OptionalInt()
    qk_matmul_output_mode = Int(0)
    right_window_size = Int(-1)
    scale = OptionalFloat()
    softcap = Float(0.0)
    softmax_precision = OptionalElementType()


def _attention_shapes(attrs: Any, types: Types, values: Values) -> Any:
    q = _heads("Q", shape_of(types, 0), attrs.q_num_heads)
    k = _heads("K", shape_of(types, 1), attrs.kv_num_heads)
    v = _heads("V", shape_of(types, 2), attrs.kv_num_heads)
    equal_size(q[3], k[3], "head sizes of Q and K")
    equal_size(k[1], v[1], "heads of K and V")
    equal_size(k[2], v[2], "lengths of K and V")
    if is_known(q[1]) and is_known(k[1]) and (k[1] < 1 or q[1] % k[1]):
        raise GraphError(f"heads of Q must be a multiple of those of K, got {q[1]} and {k[1]}")
    if has(types, 4) != has(types, 5):
        raise GraphError("past_key and past_value must be given together")
    if has(types, 6) and has(types, 4):
        raise GraphError("nonpad_kv_seqlen must not be given with past_key")
    if attrs.qk_matmul_output_mode not in range(4):
        raise GraphError(f"qk_matmul_output_mode must be 0, 1, 2 or 3, got {attrs.qk_matmul_output_mode}")
    past: Any = 0
    if has(types, 4):
        past = shape_of(types, 4)[2]
        check_shape("past_key", shape_of(types, 4), [k[0], k[1], past, k[3]])
        check_shape("past_value", shape_of(types, 5), [v[0], v[1], past, v[3]])
    total = past + k[2]
    if has(types, 3):
        mask = shape_of(types, 3)
        # The last axis may be shorter: what it lacks is not attended.
        broadcasts_to([*mask[:-1], 1], [q[0], q[1], q[2], 1], "attn_mask")
    if has(types, 6):
        check_shape("nonpad_kv_seqlen", shape_of(types, 6), [q[0]])
    y = [q[0], q[1], q[2], v[3]] if len(shape_of(types, 0)) == 4 else [q[0], q[2], q[1] * v[3]]
    return [y, [k[0], k[1], total, k[3]], [v[0], v[1], total, v[3]], [q[0], q[1], q[2], total]]


def _bias(
    attrs: AttentionAttrs, mask: Array | None, queries: int, total: int, past: int, lengths: Array | None, dtype: Any
) -> Array | None:
    """What is added to the scores [batch, heads, queries, total]: the mask, and -inf where a key must not be seen."""
    if mask is not None:
        bias = np.where(mask, 0, -np.inf).astype(dtype) if mask.dtype == bool else mask.astype(dtype)
        missing = total - bias.shape[-1]
        if missing > 0 and mask.shape[-1] != 1:
            bias = np.pad(bias, [(0, 0)] * (bias.ndim - 1) + [(0, missing)], constant_values=-np.inf)
        bias = bias.reshape((1,) * (4 - bias.ndim) + bias.shape)
    else:
        bias = np.zeros((1, 1, 1, 1), dtype)
    key = np.arange(total)
    seen = np.ones((1, 1, 1, 1), bool)
    offset = np.array([past]) if lengths is None else lengths - queries
    position = (np.arange(queries) + offset[:, None])[:, None, :, None]
    if attrs.is_causal:
        seen = seen & (key <= position)
    if attrs.left_window_size >= 0:
        seen = seen & (key >= position - attrs.left_window_size)
    if attrs.right_window_size >= 0:
        seen = seen & (key <= position + attrs.right_window_size)
    if lengths is not None:
        seen = seen & (key < lengths[:, None, None, None])
    if mask is None and seen.all():
        return None
    return np.asarray(bias + np.where(seen, 0, -np.inf).astype(dtype))


def _softmax(scores: Array) -> Array:
    """Over the last axis; zeros where nothing is attended."""
    highest = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    e = np.exp(scores - np.where(np.isneginf(highest), 0, highest).astype(scores.dtype))
    total = e.sum(axis=-1, keepdims=True)
    return np.asarray(e / np.where(total == 0, 1, total).astype(scores.dtype))


def _attention(
    attrs: Any, q: Array, k: Array, v: Array, mask: Array | None = None, past_key: Array | None = None,
    past_value: Array | None = None, lengths: Array | None = None,
) -> Any:  # fmt: skip
    dtype, packed = q.dtype, q.ndim == 3
    query, key, value = _split(q, attrs.q_num_heads), _split(k, attrs.kv_num_heads), _split(v, attrs.kv_num_heads)
    past = 0
    if past_key is not None and past_value is not None:
        past = past_key.shape[2]
        key, value = np.concatenate([past_key, key], axis=2), np.concatenate([past_value, value], axis=2)
    batch, heads, queries, size = query.shape
    groups, total = key.shape[1], key.shape[2]
    scale = 1 / math.sqrt(size) if attrs.scale is None else attrs.scale
    # [batch, groups, heads per group, ...]: the heads of a group share their keys and values.
    grouped = widened(query).reshape(batch, groups, heads // groups, queries, size)
    root = np.asarray(math.sqrt(scale), grouped.dtype)
    keys = (widened(key) * root)[:, :, None].swapaxes(-1, -2)
    scores = np.matmul(grouped * root, keys).reshape(batch, heads, queries, total)
    inspected = scores
    if attrs.softcap > 0:
        scores = np.tanh(scores / np.asarray(attrs.softcap, scores.dtype)) * np.asarray(attrs.softcap, scores.dtype)
    if attrs.qk_matmul_output_mode == 1:
        inspected = scores
    bias = _bias(attrs, mask, queries, total, past, lengths, scores.dtype)
    if bias is not None:
        scores = scores + bias
    if attrs.qk_matmul_output_mode == 2:
        inspected = scores
    precision = attrs.softmax_precision.numpy if attrs.softmax_precision is not None else scores.dtype
    weights = _softmax(scores.astype(precision, copy=False)).astype(scores.dtype, copy=False)
    if attrs.qk_matmul_output_mode == 3:
        inspected = weights
    shared = weights.reshape(batch, groups, heads // groups, queries, total)
    y = np.matmul(shared, widened(value)[:, :, None]).reshape(batch, heads, queries, value.shape[3])
    y = (_merged(y) if packed else y).astype(dtype, copy=False)
    return y, np.array(key), np.array(value), inspected.astype(dtype, copy=False)


ATTENTION_OP = define(
    "Attention",
    "Q:T K:T V:V attn_mask:U? past_key:T? past_value:V? nonpad_kv_seqlen:int64? "
    "-> Y:T present_key:T present_value:V qk_matmul_output:T", since=25,
    T=FLOATS, V=FLOATS, U=NUMERIC | {DType.BOOL}, attrs=AttentionAttrs,
    shapes=_attention_shapes, reference=_attention, accuracy=ATTENTION,
)  # fmt: skip


# ---- LinearAttention ------------------------------------------------------------------------------------------------


class LinearAttentionAttrs(Attrs):
    chunk_size = Int(64)
    kv_num_heads = Int()
    q_num_heads = Int()
    scale = Float(0.0)
    update_rule = Str("gated_delta", choices=("linear", "gated", "delta", "gated_delta"))


def _linear_attention_shapes(attrs: Any, types: Types, values: Values) -> Any:
    q = _heads("query", shape_of(types, 0), attrs.q_num_heads)
    k = _heads("key", shape_of(types, 1), attrs.kv_num_heads)
    v = _heads("value", shape_of(types, 2), attrs.kv_num_heads)
    for name, index in (("query", 0), ("key", 1), ("value", 2)):
        check_rank(name, shape_of(types, index), 3)
    equal_size(q[3], k[3], "head sizes of query and key")
    if attrs.q_num_heads % attrs.kv_num_heads:
        raise GraphError(f"q_num_heads must be a multiple of {attrs.kv_num_heads}, got {attrs.q_num_heads}")
    state = [k[0], k[1], k[3], v[3]]
    if has(types, 3):
        check_shape("past_state", shape_of(types, 3), state)
    if attrs.update_rule.startswith("gated") and not has(types, 4):
        raise GraphError(f"decay must be given for update_rule '{attrs.update_rule}'")
    if attrs.update_rule.endswith("delta") and not has(types, 5):
        raise GraphError(f"beta must be given for update_rule '{attrs.update_rule}'")
    return [[q[0], q[2], q[1] * v[3]], state]


def _linear_attention(
    attrs: Any, query: Array, key: Array, value: Array, past: Array | None = None,
    decay: Array | None = None, beta: Array | None = None,
) -> Any:  # fmt: skip
    kv, per_group = attrs.kv_num_heads, attrs.q_num_heads // attrs.kv_num_heads
    q, k, v = (widened(_split(x, n)) for x, n in ((query, attrs.q_num_heads), (key, kv), (value, kv)))
    batch, _, steps, size = k.shape
    state = np.zeros((batch, kv, size, v.shape[3]), k.dtype) if past is None else widened(past)
    scale = attrs.scale or 1 / math.sqrt(size)
    q = q.reshape(batch, kv, per_group, steps, size) * np.asarray(scale, q.dtype)
    if decay is not None and attrs.update_rule.startswith("gated"):
        # [batch, steps, kv, size or 1]
        gates = np.exp(widened(decay)).reshape(batch, steps, kv, -1)
    if beta is not None:
        rates = np.broadcast_to(widened(beta), (batch, steps, kv))
    out = np.zeros((batch, kv, per_group, steps, v.shape[3]), k.dtype)
    for t in range(steps):
        if attrs.update_rule.startswith("gated"):
            state = state * gates[:, t, :, :, None]
        new = v[:, :, t]
        if attrs.update_rule.endswith("delta"):
            remembered = np.matmul(k[:, :, t, None], state)[:, :, 0]
            new = (new - remembered) * rates[:, t, :, None]
        state = state + k[:, :, t, :, None] * new[:, :, None]
        out[:, :, :, t] = np.matmul(q[:, :, :, t], state)
    merged = _merged(out.reshape(batch, kv * per_group, steps, v.shape[3]))
    kept = query.dtype if past is None else past.dtype
    return merged.astype(query.dtype, copy=False), state.astype(kept, copy=False)


def _linear_attention_dtypes(attrs: Any, given: Sequence[DType | None]) -> list[DType]:
    dtype = given[0]
    assert dtype is not None
    return [dtype, (given[3] if len(given) > 3 else None) or dtype]


LINEAR_ATTENTION = define(
    "LinearAttention", "query:T key:T value:T past_state:S? decay:T? beta:T? -> output:T present_state:S", since=27,
    T=HALVES, S=HALVES, attrs=LinearAttentionAttrs, dtypes=_linear_attention_dtypes,
    shapes=_linear_attention_shapes, reference=_linear_attention, accuracy=ATTENTION,
)  # fmt: skip


# ---- RotaryEmbedding ------------------------------------------------------------------------------------------------


class RotaryEmbeddingAttrs(Attrs):
    interleaved = Bool(False)
    num_heads = OptionalInt()
    rotary_embedding_dim = Int(0)


def _rotary_shapes(attrs: Any, types: Types, values: Values) -> Any:
    shape = shape_of(types)
    batch, _, seq, size = _heads("X", shape, attrs.num_heads)
    turned = attrs.rotary_embedding_dim or size
    if is_known(turned) and is_known(size) and (turned % 2 or turned > size):
        raise GraphError(f"rotary_embedding_dim must be even and at most {size}, got {turned}")
    half = floor_div(turned, 2)
    for index, name in ((1, "cos_cache"), (2, "sin_cache")):
        cache = shape_of(types, index)
        if has(types, 3):
            check_rank(name, cache, 2)
            check_shape(name, cache, [cache[0], half])
        else:
            check_shape(name, cache, [batch, seq, half])
    if has(types, 3):
        check_shape("position_ids", shape_of(types, 3), [batch, seq])
    return [shape]


def _rotary(attrs: Any, x: Array, cos: Array, sin: Array, positions: Array | None = None) -> Array:
    data = _split(x, attrs.num_heads)
    turned = attrs.rotary_embedding_dim or data.shape[3]
    if positions is not None:
        if positions.size and not 0 <= positions.min() <= positions.max() < len(cos):
            raise DataError(f"position_ids must be in [0, {len(cos) - 1}], got {positions.min()} to {positions.max()}")
        cos, sin = cos[positions], sin[positions]
    cos, sin = widened(cos)[:, None], widened(sin)[:, None]
    even = slice(0, turned, 2) if attrs.interleaved else slice(0, turned // 2)
    odd = slice(1, turned, 2) if attrs.interleaved else slice(turned // 2, turned)
    a, b = widened(data[..., even]), widened(data[..., odd])
    y = data.copy()
    y[..., even], y[..., odd] = cos * a - sin * b, sin * a + cos * b
    return _merged(y) if x.ndim == 3 else y


ROTARY_EMBEDDING = define(
    "RotaryEmbedding", "X:T cos_cache:T sin_cache:T position_ids:int64? -> Y:T", since=23, T=FLOATS,
    attrs=RotaryEmbeddingAttrs, shapes=_rotary_shapes, reference=_rotary, accuracy=ATTENTION,
)  # fmt: skip
