"""TopK, cumulative sums, triangles, one-hot."""

from __future__ import annotations

import math

import numpy as np

from edge_rt.lowering._layout import around
from edge_rt.lowering._spec import BoundNode, In, KernelSpec, Lowered, Out, Scratch, lowers, parts_for
from edge_rt.types import DType

_NUMBERS = {DType.FLOAT32: "f32", DType.INT32: "i32", DType.INT64: "i64"}
_BY_SIZE = {1: "u8", 2: "f16", 4: "i32", 8: "i64"}
TOP_K = {
    s: KernelSpec(
        f"top_k_{t}",
        f"x:{t}* values:{t}* indices:i64* keys:i64* outer:i64 size:i64 inner:i64 k:i64 smallest:i64 floats:i64",
    )
    for s, t in ((4, "i32"), (8, "i64"))
}
"""The k first of each x[o, :size, i], sorted: largest (smallest) first, equal ones by position; NaN is the largest.
keys: 2 k for each part. floats: whether numbers of 32 bits are floats. size is below 2**32."""
FEW = 16
"""Up to so many are kept sorted, by insertion."""
CUMULATIVE = {
    t: KernelSpec(
        f"cumulative_{n}", f"x:{n}* out:{n}* outer:i64 size:i64 inner:i64 product:i64 exclusive:i64 reverse:i64"
    )
    for t, n in _NUMBERS.items()
}
"""Running sums (products) of x[outer, size, inner] along its middle axis, added one after the other."""
TRIANGLE = {
    s: KernelSpec(f"triangle_{s}", f"x:{t}* out:{t}* batch:i64 rows:i64 columns:i64 diagonal:i64 upper:i64")
    for s, t in _BY_SIZE.items()
}
"""The part of each matrix on and above (below) a diagonal, 0 elsewhere."""
ONE_HOT = {
    s: KernelSpec(f"one_hot_{s}", f"indices:i64* values:{t}* out:{t}* outer:i64 depth:i64 inner:i64")
    for s, t in _BY_SIZE.items()
}
"""out[o, d, i] = values[1] where indices[o, i] is d or d - depth, else values[0]."""


@lowers("TopK")
def top_k(node: BoundNode) -> Lowered:
    dtype, shape = node.type(0).dtype, node.type(0).static_shape
    if dtype not in _NUMBERS:
        return None
    outer, size, inner = around(shape, node.attrs.axis)
    k = node.outputs[0].static_shape[node.attrs.axis % len(shape)]
    if size >= 1 << 32:
        return None
    work = outer * inner * size * (1 + int(math.log2(k + 1)))
    parts = parts_for(work, max(outer * inner, 1))
    return [
        TOP_K[dtype.itemsize](
            x=In(0), values=Out(0), indices=Out(1), keys=Scratch(0), outer=outer, size=size, inner=inner, k=k,
            smallest=int(not node.attrs.largest), floats=int(dtype is DType.FLOAT32), parts=parts,
            scratch=[16 * parts * max(k, 1)],
        )
    ]  # fmt: skip


@lowers("CumSum", "CumProd")
def cumulative(node: BoundNode) -> Lowered:
    spec, axis = CUMULATIVE.get(node.type(0).dtype), node.values[1]
    rank = len(node.type(0).static_shape)
    if spec is None or axis is None or not -rank <= int(axis.reshape(-1)[0]) < rank:
        return None
    outer, size, inner = around(node.type(0).static_shape, int(axis.reshape(-1)[0]))
    return [
        spec(
            x=In(0), out=Out(0), outer=outer, size=size, inner=inner, product=int(node.op.name == "CumProd"),
            exclusive=int(node.attrs.exclusive), reverse=int(node.attrs.reverse),
            parts=parts_for(outer * size * inner, max(outer * inner, 1)),
        )
    ]  # fmt: skip


@lowers("Trilu")
def trilu(node: BoundNode) -> Lowered:
    """Where the diagonal is known."""
    spec = TRIANGLE.get(node.type(0).dtype.itemsize)
    k = node.values[1] if node.has(1) else np.zeros(1, np.int64)
    if spec is None or k is None:
        return None
    *batch, rows, columns = node.type(0).static_shape
    return [
        spec(
            x=In(0), out=Out(0), batch=math.prod(batch), rows=rows, columns=columns, diagonal=int(k.reshape(-1)[0]),
            upper=int(node.attrs.upper), parts=parts_for(node.type(0).size, max(math.prod(batch) * rows, 1)),
        )
    ]  # fmt: skip


@lowers("OneHot")
def one_hot(node: BoundNode) -> Lowered:
    spec = ONE_HOT.get(node.outputs[0].dtype.itemsize)
    if spec is None or node.type(0).dtype is not DType.INT64:
        return None
    outer, depth, inner = around(node.outputs[0].static_shape, node.attrs.axis)
    parts = parts_for(node.outputs[0].size, max(outer, 1))
    return [spec(indices=In(0), values=In(2), out=Out(0), outer=outer, depth=depth, inner=inner, parts=parts)]
