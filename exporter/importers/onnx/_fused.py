"""Operators of com.microsoft that ONNX Runtime's optimiser puts in place of parts of transformers, as ONNX's own operators.

    com.microsoft.SkipLayerNormalization(x, skip, gamma, beta) -> LayerNormalization(Add(x, skip), gamma, beta)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_rt.graph import Value
from edge_rt.types import DType
from exporter.importers.onnx._opsets import ALWAYS, since
from exporter.importers.onnx._problems import Refused
from exporter.importers.onnx._proto import ELEMENTS
from exporter.importers.onnx._scope import Call

MASKED = -10000.0
"""What is added to scores of masked keys where a node does not say."""


def _refuse_inputs(call: Call, names: Sequence[str], first: int) -> None:
    """Raises Refused if an input from `first` on is given."""
    for position, name in enumerate(names, start=first):
        if call.input(position) is not None:
            raise Refused(f"input '{name}'")


def _refuse_outputs(call: Call, *positions: int) -> None:
    for position in positions:
        if any(call.outputs[position : position + 1]):
            raise Refused(f"output {position} is not supported")


def _sum(call: Call, *terms: Value | None, name: str = "") -> Value:
    """The sum of the terms that are given."""
    total, *others = [t for t in terms if t is not None]
    for last, other in enumerate(others, start=1):
        total = call.emit("Add", total, other, outputs=(name if last == len(others) else "",))
    return total


# ---- activations and norms ------------------------------------------------------------------------------------------


@since("com.microsoft.BiasGelu", "com.microsoft.FastGelu", ALWAYS)
def _gelu(call: Call) -> Sequence[Value]:
    approximate = "tanh" if call.op.endswith("FastGelu") else "none"
    total = _sum(call, call.required(0), call.input(1))
    return [call.emit("Gelu", total, approximate=approximate, outputs=call.outputs)]


@since("com.microsoft.QuickGelu", ALWAYS)
def _quick_gelu(call: Call) -> Sequence[Value]:
    x = call.required(0)
    alpha = call.constant(call.attributes.get("alpha", 1.702), x.type.dtype.numpy, "alpha")
    return [call.emit("Mul", x, call.emit("Sigmoid", call.emit("Mul", x, alpha)), outputs=call.outputs)]


@since("SimplifiedLayerNormalization", "com.microsoft.SimplifiedLayerNormalization", ALWAYS)
def _simplified_layer_normalization(call: Call) -> Sequence[Value]:
    _refuse_outputs(call, 1)
    given = {name: call.attributes[name] for name in ("axis", "epsilon") if name in call.attributes}
    return [call.emit("RMSNormalization", call.required(0), call.required(1), outputs=call.outputs[:1], **given)]


@since("com.microsoft.SkipLayerNormalization", "com.microsoft.SkipSimplifiedLayerNormalization", ALWAYS)
def _skip_layer_normalization(call: Call) -> Sequence[Value]:
    """Output 3 is the sum that is normalised."""
    _refuse_outputs(call, 1, 2)
    is_simple = "Simplified" in call.op
    outputs = [*call.outputs, "", "", ""]
    total = _sum(call, call.required(0), call.required(1), call.input(3 if is_simple else 4), name=outputs[3])
    if is_simple:
        epsilon = call.attributes.get("epsilon", 1e-12)
        y = call.emit("RMSNormalization", total, call.required(2), axis=-1, epsilon=epsilon, outputs=outputs[:1])
    else:
        y = _layer_normalization(call, total, 2, outputs[0])
    return [y, y, y, total][: len(call.outputs)]


def _layer_normalization(call: Call, x: Value, gamma: int, name: str) -> Value:
    """x normalised along its last axis; inputs `gamma` and the one behind it are its scale and shift."""
    epsilon = call.attributes.get("epsilon", 1e-12)
    scale, shift = call.required(gamma), call.input(gamma + 1)
    made = call.emit("LayerNormalization", x, scale, shift, axis=-1, epsilon=epsilon, outputs=(name, "", ""))
    y: Value = made[0] if isinstance(made, tuple) else made
    return y


@since("com.microsoft.EmbedLayerNormalization", ALWAYS)
def _embed_layer_normalization(call: Call) -> Sequence[Value]:
    """Outputs: the normalised sum of embeddings; how many ids of each row count; the sum."""
    ids, outputs = call.required(0), [*call.outputs, "", ""]
    words = call.emit("Gather", call.required(2), ids)
    if call.input(8) is not None:
        positions = call.emit("Gather", call.required(3), call.required(8))
    else:
        steps = call.emit("Shape", ids, start=1, end=2)
        positions = call.emit("Slice", call.required(3), call.constant([0]), steps, call.constant([0]))
    segments = None if call.input(1) is None else call.emit("Gather", call.required(4), call.required(1))
    total = _sum(call, words, positions, segments, name=outputs[2])
    y = _layer_normalization(call, total, 5, outputs[0])
    made = [y, y, total][: len(call.outputs)]
    if any(call.outputs[1:2]):
        made[1] = _counts(call, ids, outputs[1])
    return made


def _counts(call: Call, ids: Value, name: str) -> Value:
    """int32[batch]: how many of each row's ids the mask lets count, 0 without a mask."""
    mask, axis = call.input(7), call.constant([1])
    if mask is None:
        zero = call.constant(0, np.int32, "zero")
        return call.emit("Expand", zero, call.emit("Shape", ids, start=0, end=1), outputs=(name,))
    return call.emit("ReduceSum", mask, axis, keepdims=0, outputs=(name,))


# ---- attention ------------------------------------------------------------------------------------------------------


@since("com.microsoft.Attention", ALWAYS)
def _attention(call: Call) -> Sequence[Value]:
    """Projections of one input to queries, keys and values stand side by side in one matrix.

    Keys and values of earlier calls, and those given out, are [2, batch, heads, steps, size].
    """
    _refuse_inputs(call, ["past_sequence_length"], 6)
    if call.attributes.get("do_rotary", 0):
        raise Refused("attribute 'do_rotary'")
    weights = call.required(1).type.static_shape if call.required(1).type.is_static else None
    if weights is None:
        raise Refused("weights of unknown shape")
    widths = call.attributes.get("qkv_hidden_sizes") or (weights[1] // 3,) * 3
    joined = _sum(call, call.emit("MatMul", call.required(0), call.required(1)), call.input(2))
    sizes = call.constant(widths, np.int64, "sizes")
    q, k, v = call.emit("Split", joined, sizes, axis=-1, num_outputs=3, outputs=("", "", ""))
    if call.input(4) is None and not any(call.outputs[1:2]):
        return _attend(call, q, k, v, call.input(3), call.input(5))
    pasts: list[Value | None] = [None, None]
    if call.input(4) is not None:
        pasts = [call.emit("Gather", call.required(4), call.constant(i)) for i in (0, 1)]
    names, present = call.outputs, [*call.outputs, ""][1]
    call.outputs = [names[0], "", ""]
    y, *kept = _attend(call, q, k, v, call.input(3), call.input(5), *pasts)[:3]
    call.outputs = names
    both = (call.emit("Unsqueeze", x, call.constant([0])) for x in kept)
    return [y, call.emit("Concat", *both, axis=0, outputs=(present,))][: len(names)]


@since("com.microsoft.MultiHeadAttention", ALWAYS)
def _multi_head_attention(call: Call) -> Sequence[Value]:
    _refuse_inputs(call, ["past_sequence_length", "cache_indirection"], 8)
    _refuse_outputs(call, 3)
    if any(call.input(i) is None or call.required(i).type.rank != 3 for i in range(3)):
        raise Refused("queries, keys and values that are packed or of rank 4")
    q, k, v = (call.required(i) for i in range(3))
    if call.input(3) is not None:
        bias = call.contents(3)
        widths = [None if x.type.shape is None else x.type.shape[2] for x in (q, k)]
        if bias is None or not all(isinstance(width, int) for width in widths):
            raise Refused("input 'bias' that is no constant, or widths that are not known")
        parts = np.split(bias, np.cumsum(np.asarray(widths, np.int64)))
        q, k, v = (_sum(call, x, call.constant(part, part.dtype, "bias")) for x, part in zip((q, k, v), parts))
    return _attend(call, q, k, v, call.input(4), call.input(5), call.input(6), call.input(7))


def _attend(
    call: Call, q: Value, k: Value, v: Value, mask: Value | None, bias: Value | None,
    past_key: Value | None = None, past_value: Value | None = None,
) -> Sequence[Value]:  # fmt: skip
    """ONNX's Attention. mask: int32 of keys; bias: of scores [batch or 1, heads or 1, queries, keys]."""
    heads = call.attributes["num_heads"]
    keys = k if past_key is None else None
    total = _sum(call, *(x for x in (_mask(call, mask, keys, q), bias) if x is not None)) if mask or bias else None
    given = {"scale": call.attributes["scale"]} if call.attributes.get("scale", 0.0) else {}
    made = call.emit(
        "Attention", q, k, v, total, past_key, past_value, q_num_heads=heads, kv_num_heads=heads,
        is_causal=call.attributes.get("unidirectional", 0), outputs=call.outputs, **given,
    )  # fmt: skip
    return list(made) if isinstance(made, tuple) else [made]


def _mask(call: Call, mask: Value | None, keys: Value | None, like: Value) -> Value | None:
    """What is added to scores: 0 where a key counts. mask: [batch, keys], [batch, queries, keys], or lengths [batch]."""
    if mask is None:
        return None
    rank, dtype = mask.type.rank, like.type.dtype
    if rank == 1 and keys is not None and mask.type.shape is not None and mask.type.shape[0] == keys.type.shape[0]:  # type: ignore[index]
        steps = call.emit("Squeeze", call.emit("Shape", keys, start=1, end=2))
        places = call.emit("Range", call.constant(0), steps, call.constant(1))
        lengths = call.emit("Unsqueeze", call.emit("Cast", mask, to=ELEMENTS[DType.INT64]), call.constant([1]))
        counts = call.emit("Less", places, lengths)
    elif rank in (2, 3):
        counts = call.emit("Cast", mask, to=ELEMENTS[DType.BOOL])
    else:
        raise Refused("a mask of this shape")
    kept = call.constant(0, dtype.numpy)
    masked = call.constant(call.attributes.get("mask_filter_value", MASKED), dtype.numpy)
    axes = call.constant([1] if rank == 3 else [1, 2])
    return call.emit("Unsqueeze", call.emit("Where", counts, kept, masked), axes)


@since("com.microsoft.RotaryEmbedding", ALWAYS)
def _rotary_embedding(call: Call) -> Sequence[Value]:
    """position_ids: [batch, steps], or [1] for the place of the first step."""
    x, positions = call.required(0), call.required(1)
    if call.attributes.get("is_packed_batching", 0) or call.attributes.get("scale", 1.0) != 1.0:
        raise Refused("attributes 'is_packed_batching' and 'scale'")
    if positions.type.rank != 2:
        size = call.emit("Shape", x)
        batch, steps = (call.emit("Gather", size, call.constant(axis)) for axis in (0, 1 if x.type.rank == 3 else 2))
        places = call.emit("Add", positions, call.emit("Range", call.constant(0), steps, call.constant(1)))
        shape = call.emit("Concat", *(call.emit("Unsqueeze", s, call.constant([0])) for s in (batch, steps)), axis=0)
        positions = call.emit("Expand", places, shape)
    names = ("num_heads", "rotary_embedding_dim", "interleaved")
    given = {name: call.attributes[name] for name in names if name in call.attributes}
    return [call.emit("RotaryEmbedding", x, call.required(2), call.required(3), positions, outputs=call.outputs, **given)]
