"""Attention: scores by the panel GEMM, their softmax, and the weighted values by the panel GEMM again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edge_rt.lowering._layout import ceil_div, dense_strides
from edge_rt.lowering._spec import Arg, BoundNode, Call, In, KernelSpec, Lowered, Out, Scratch, Table, lowers, parts_for
from edge_rt.lowering.copy import copy_call
from edge_rt.lowering.gemm import gemm_call, pack_call
from edge_rt.ops.edge_gemm import WIDTH
from edge_rt.types import DType

SCORES_F32 = KernelSpec(
    "attention_scores_f32",
    "x:f32* y:f32* mask:f32* seen:u8* starts:i64* count:i64 first:i64 queries:i64 keys:i64 past:i64 given:i64 row:i64 "
    "step:i64 left:i64 right:i64 cap:f32",
    in_place=(("x", "y"),),
)
"""y[count, queries, keys] = softmax, over the keys that a query sees, of cap(x) + mask; 0 for the others.

cap(x) is cap * tanh(x / cap), or x where cap is 0.

starts: int64[count, 2]: where each matrix [queries, keys] of x begins, and where the mask of query 0 begins.
Query q of x is number n = first + q. It sees the keys from past + n - left to past + n + right, of these the first
`given`, and of these those whose byte in `seen` is not 0. Its row of `mask`, or of `seen`, lies n * row behind the
start and has a number every `step`. mask and seen may be null. Where no score is above -inf all weights are 0.
"""

UNLIMITED = 1 << 40
CHUNK = 1 << 15
"""Scores that are computed at once: they are to stay in the cache until their softmax and the second product."""


class Heads(NamedTuple):
    """How [batch, heads, length, size] lies in a tensor of that shape, or of [batch, length, heads * size]."""

    batch: int
    heads: int
    length: int
    size: int
    merged: bool

    @property
    def row(self) -> int:
        """Numbers from one row to the next."""
        return self.heads * self.size if self.merged else self.size

    def starts(self) -> list[int]:
        """Where each matrix begins, by batch and head."""
        step = self.size if self.merged else self.length * self.size
        whole = self.heads * self.length * self.size
        return [b * whole + h * step for b in range(self.batch) for h in range(self.heads)]


def _heads(shape: Sequence[int], heads: int | None) -> Heads:
    if len(shape) == 4:
        return Heads(shape[0], shape[1], shape[2], shape[3], merged=False)
    assert heads
    return Heads(shape[0], heads, shape[1], shape[2] // heads, merged=True)


@lowers("Attention")
def attention(node: BoundNode) -> Lowered:
    """float32, without lengths of sequences; of the scores that may be given out, only the plain products."""
    attrs = node.attrs
    mask_is_bool = node.has(3) and node.type(3).dtype is DType.BOOL
    floats = [t for i, t in enumerate(node.inputs) if t is not None and not (i == 3 and mask_is_bool)]
    if any(t.dtype is not DType.FLOAT32 for t in floats) or node.has(6):
        return None
    if attrs.softmax_precision not in (None, DType.FLOAT32):
        return None
    gives_scores = node.used[3] and node.outputs[3].size > 0
    if gives_scores and (attrs.qk_matmul_output_mode > (attrs.softcap <= 0) or not node.outputs[0].size):
        return None
    q = _heads(node.type(0).static_shape, attrs.q_num_heads)
    calls: list[Call] = []
    k_at, k, copies = _present(node, 1)
    v_at, v, more = _present(node, 2)
    if None in copies or None in more:
        return None
    calls += [c for c in (*copies, *more) if c is not None]
    if not node.outputs[0].size:
        return calls
    y = Heads(q.batch, q.heads, q.length, v.size, q.merged)
    scale = 1 / math.sqrt(q.size) if attrs.scale is None else attrs.scale
    count, keys = q.batch * q.heads, k.length
    key_panels, value_panels = ceil_div(keys, WIDTH), ceil_div(v.size, WIDTH)
    matrices, rows = _chunk(count, q.length, keys)
    packed = k.batch * k.heads * WIDTH
    scratch = [packed * key_panels * k.size, packed * value_panels * keys, matrices * rows * keys]
    scratch = [4 * max(1, n) for n in scratch]
    calls += [_pack(k_at, Scratch(0), k, True, scale, scratch), _pack(v_at, Scratch(1), v, False, 1.0, scratch)]
    shared = [(i // q.heads) * k.heads + i % q.heads * k.heads // q.heads for i in range(count)]
    q_starts, y_starts, mask = q.starts(), y.starts(), _Mask(node, q, keys)
    for at in range(0, count, matrices):
        chunk = range(at, min(at + matrices, count))
        for first in range(0, q.length, rows):
            m = min(rows, q.length - first)
            local = [(i - at) * m * keys for i in chunk]
            into: Arg = Scratch(2)
            scores, scores_at = into, local
            if gives_scores:
                scores, scores_at = Out(3), [(i * q.length + first) * keys for i in chunk]
            products = [[q_starts[i] + first * q.row, shared[i] * key_panels, 0, s] for i, s in zip(chunk, scores_at)]
            sums = [[s, shared[i] * value_panels, 0, y_starts[i] + first * y.row] for i, s in zip(chunk, local)]
            calls += [
                gemm_call(In(0), Scratch(0), scores, m=m, n=keys, k=q.size, batches=products, a_row=q.row),
                mask.softmax(scores, scores_at, into, chunk, first, m),
                gemm_call(into, Scratch(1), Out(0), m=m, n=v.size, k=keys, batches=sums, y_row=y.row),
            ]
    return calls


def _present(node: BoundNode, index: int) -> tuple[Arg, Heads, list[Call | None]]:
    """(address, layout, calls that make it) of all keys (index 1) or values (2), those of the past in front.

    They are the input itself, unless there is a past or the output of all of them is used.
    """
    x = _heads(node.type(index).static_shape, node.attrs.kv_num_heads)
    if not node.has(index + 3) and not node.used[index]:
        return In(index), x, []
    shape = node.outputs[index].static_shape
    past = shape[2] - x.length
    into = dense_strides(shape)
    calls = []
    if x.batch * x.heads * x.length * x.size:
        given = (x.heads * x.length * x.size, x.size if x.merged else x.length * x.size, x.row, 1)
        dims = (x.batch, x.heads, x.length, x.size)
        calls.append(copy_call(In(index), Out(index), 4, dims, given, into, dst_offset=past * x.size))
    if past and x.batch * x.heads * x.size:
        dims = (x.batch, x.heads, past, x.size)
        calls.append(copy_call(In(index + 3), Out(index), 4, dims, dense_strides(dims), into))
    return Out(index), _heads(shape, None), calls


def _pack(source: Arg, panels: Arg, x: Heads, transposed: bool, scale: float, scratch: Sequence[int]) -> Call:
    """Panels [batch, heads, ...] of keys (transposed) or values."""
    batch, heads = (x.batch, x.heads) if x.merged else (x.batch * x.heads, 1)
    k, n = (x.size, x.length) if transposed else (x.length, x.size)
    return pack_call(source, panels, batch, k, n, transposed, scale, heads, scratch=scratch)


def _chunk(matrices: int, queries: int, keys: int) -> tuple[int, int]:
    """(matrices, rows of each) whose scores are computed at once; several matrices only if all their rows are."""
    if queries * keys <= CHUNK:
        return max(1, min(matrices, CHUNK // max(1, queries * keys))), queries
    return 1, min(queries, max(60, CHUNK // keys // 60 * 60))


class _Mask:
    """What becomes of the scores of an Attention before their softmax: the cap, the mask, windows and causality."""

    def __init__(self, node: BoundNode, q: Heads, keys: int) -> None:
        attrs = node.attrs
        self.keys, self.given, self.row, self.step = keys, keys, 0, 0
        self.past = keys - _heads(node.type(1).static_shape, attrs.kv_num_heads).length
        self.left = attrs.left_window_size if attrs.left_window_size >= 0 else UNLIMITED
        self.right = attrs.right_window_size if attrs.right_window_size >= 0 else UNLIMITED
        if attrs.is_causal:
            self.right = 0
        self.cap = max(0.0, attrs.softcap)
        self.mask: Arg = 0
        self.seen: Arg = 0
        self.starts = [0] * (q.batch * q.heads)
        if not node.has(3):
            return
        if node.type(3).dtype is DType.BOOL:
            self.seen = In(3)
        else:
            self.mask = In(3)
        shape = (1,) * (4 - len(node.type(3).static_shape)) + node.type(3).static_shape
        if shape[3] != 1:
            self.given, self.step = min(keys, shape[3]), 1
        if shape[2] != 1:
            self.row = shape[3]
        index = np.arange(shape[0] * shape[1]).reshape(shape[0], shape[1])
        self.starts = (np.broadcast_to(index, (q.batch, q.heads)).reshape(-1) * shape[2] * shape[3]).tolist()

    def softmax(
        self, scores: Arg, scores_at: Sequence[int], into: Arg, chunk: range, first: int, queries: int
    ) -> Call:  # fmt: skip
        """The weights of queries first, first + 1, ... of the matrices in `chunk`, whose scores begin at scores_at."""
        rows = len(chunk) * queries
        starts = [[at, self.starts[i]] for at, i in zip(scores_at, chunk)]
        return SCORES_F32(
            x=scores, y=into, mask=self.mask, seen=self.seen, starts=Table(starts), count=len(chunk), first=first,
            queries=queries, keys=self.keys, past=self.past, given=self.given, row=self.row, step=self.step,
            left=self.left, right=self.right, cap=self.cap, parts=parts_for(5 * rows * self.keys, rows),
            flops=20 * rows * self.keys,
        )  # fmt: skip
