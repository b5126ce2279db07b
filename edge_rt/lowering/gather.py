"""Operators that read or write by index: indices become offsets in scratch, by which rows are then taken or put."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_rt.lowering._layout import MAX_DIMS, around, dense_strides, front_padded, merge
from edge_rt.lowering._spec import (
    BoundNode,
    Call,
    ErrorWord,
    In,
    KernelSpec,
    Lowered,
    Out,
    Scratch,
    StepNumber,
    Table,
    lowers,
    parts_for,
)
from edge_rt.lowering.copy import copy_call
from edge_rt.types import DType

OFFSETS = {
    t: KernelSpec(f"offsets_{n}", f"indices:{n}* out:i64* table:i64* error:i64* step:i64 n:i64")
    for t, n in {DType.INT32: "i32", DType.INT64: "i64"}.items()
}
"""out[i] = base(i) + sum over d of indices[i, d] * strides[d]; negative indices count from the end, others out of range
are reported and clamped. base(i): walks with its strides over dims of product n. table: depth, MAX_DIMS dims, strides
of base, sizes[depth], strides[depth].
"""
_BY_SIZE = {1: "u8", 2: "f16", 4: "i32", 8: "i64"}
TAKE = {
    size: KernelSpec(f"take_{size}", f"x:{t}* offsets:i64* out:{t}* outer:i64 x_outer:i64 count:i64 inner:i64")
    for size, t in _BY_SIZE.items()
}
"""out[o, c, :inner] = x[o * x_outer + offsets[c] :][:inner]."""
PUT = {
    size: KernelSpec(f"put_{size}", f"updates:{t}* offsets:i64* out:{t}* count:i64 inner:i64")
    for size, t in _BY_SIZE.items()
}
"""out[offsets[c] :][:inner] = updates[c, :inner], in order of c."""
COMBINE_F32 = KernelSpec("combine_f32", "updates:f32* offsets:i64* out:f32* count:i64 inner:i64 code:i64")
"""out[offsets[c] :][:inner] = what `code`, a position in COMBINATIONS, makes of it and updates[c, :inner], in order of c."""
COMBINATIONS = ("add", "mul", "max", "min")
ROW = 16
"""Numbers of each update that one share of combining takes at least: updates may meet, so parts share out columns."""


def _offsets(node: BoundNode, n: int, sizes: Sequence[int], strides: Sequence[int], dims: Sequence[int],
             base: Sequence[int]) -> Call | None:  # fmt: skip
    spec = OFFSETS.get(node.type(1).dtype)
    merged, (base,) = merge(dims, base)
    if spec is None or len(merged) > MAX_DIMS:
        return None
    table = [len(sizes), *front_padded(merged, MAX_DIMS, 1), *front_padded(base, MAX_DIMS, 0), *sizes, *strides]
    return spec(
        indices=In(1), out=Scratch(0), table=Table(table), error=ErrorWord(), step=StepNumber(), n=n,
        parts=parts_for(n * len(sizes), -(-n // 1024)), scratch=[8 * n],
    )  # fmt: skip


def _take(node: BoundNode, offsets: Call | None, outer: int, x_outer: int, count: int, inner: int) -> Lowered:
    spec = TAKE.get(node.outputs[0].dtype.itemsize)
    if spec is None or offsets is None:
        return None
    work = outer * count * (inner + 4)
    call = spec(
        x=In(0), offsets=Scratch(0), out=Out(0), outer=outer, x_outer=x_outer, count=count, inner=inner,
        parts=parts_for(work // 4, max(outer * count, 1)),
    )  # fmt: skip
    return [offsets, call]


@lowers("Gather")
def gather(node: BoundNode) -> Lowered:
    outer, size, inner = around(node.type(0).static_shape, node.attrs.axis)
    count = node.type(1).size
    if not size:
        return None
    return _take(node, _offsets(node, count, [size], [inner], [count], [0]), outer, size * inner, count, inner)


def _elements(node: BoundNode) -> Call | None:
    """Offsets of GatherElements and ScatterElements."""
    shape, indices = node.type(0).static_shape, node.type(1).static_shape
    axis = node.attrs.axis % len(shape)
    strides = dense_strides(shape)
    base = [0 if i == axis else s for i, s in enumerate(strides)]
    return _offsets(node, math.prod(indices), [shape[axis]], [strides[axis]], indices, base) if shape[axis] else None


@lowers("GatherElements")
def gather_elements(node: BoundNode) -> Lowered:
    return _take(node, _elements(node), 1, 0, node.type(1).size, 1)


def _nd(node: BoundNode, batch: int) -> Call | None:
    """Offsets of GatherND and ScatterND."""
    shape, indices = node.type(0).static_shape, node.type(1).static_shape
    depth, strides = indices[-1], dense_strides(shape)
    dims = indices[:-1] or (1,)
    base = [s if i < batch else 0 for i, s in enumerate([*strides[:batch], *[0] * (len(dims) - batch)])]
    if not all(shape[batch : batch + depth]):
        return None
    return _offsets(
        node, math.prod(dims), shape[batch : batch + depth], strides[batch : batch + depth], dims, base
    )


@lowers("GatherND")
def gather_nd(node: BoundNode) -> Lowered:
    shape, indices, batch = node.type(0).static_shape, node.type(1).static_shape, node.attrs.batch_dims
    inner = math.prod(shape[batch + indices[-1] :])
    return _take(node, _nd(node, batch), 1, 0, math.prod(indices[:-1]), inner)


def _put(node: BoundNode, offsets: Call | None, inner: int) -> Lowered:
    """Where indices repeat without `reduction`, the last update stays."""
    kind, reduction = node.outputs[0], node.attrs.reduction
    n, count = kind.size, node.type(2).size // inner if inner else 0
    copy = copy_call(In(0), Out(0), kind.dtype.itemsize, [n], [1], [1])
    if offsets is None or copy is None:
        return None
    if reduction != "none":
        if kind.dtype is not DType.FLOAT32:
            return None
        joined = COMBINE_F32(
            updates=In(2), offsets=Scratch(0), out=Out(0), count=count, inner=inner, code=COMBINATIONS.index(reduction),
            parts=parts_for(count * inner // 4, max(inner // ROW, 1)),
        )  # fmt: skip
        return [offsets, copy, joined]
    if kind.dtype.itemsize not in PUT:
        return None
    return [offsets, copy, PUT[kind.dtype.itemsize](updates=In(2), offsets=Scratch(0), out=Out(0), count=count, inner=inner)]


@lowers("ScatterElements")
def scatter_elements(node: BoundNode) -> Lowered:
    return _put(node, _elements(node), 1)


@lowers("ScatterND")
def scatter_nd(node: BoundNode) -> Lowered:
    return _put(node, _nd(node, 0), math.prod(node.type(0).static_shape[node.type(1).static_shape[-1] :]))
