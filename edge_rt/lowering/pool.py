"""Pools and resizing, over channels-last images; channels-first ones are transposed on the way in and out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_rt.lowering._spec import Arg, BoundNode, Call, In, KernelSpec, Lowered, Out, Scratch, Table, lowers, parts_for
from edge_rt.lowering.gather import TAKE
from edge_rt.lowering.gemm import is_f32, transpose_call
from edge_rt.ops._windows import Geometry
from edge_rt.ops.edge_conv import window_geometry
from edge_rt.ops.edge_pool import as_resize
from edge_rt.ops.pool import pool_geometry
from edge_rt.ops.resize import resized_axes, taps
from edge_rt.types import DType

MAX_POOL = {
    t: KernelSpec(f"max_pool_{n}", f"x:{n}* y:{n}* geometry:i64*")
    for t, n in {DType.FLOAT32: "f32", DType.INT8: "i8", DType.UINT8: "u8"}.items()
}
AVERAGE_POOL_F32 = KernelSpec("average_pool_f32", "x:f32* y:f32* geometry:i64*")
"""Of x [n, h, w, c]. geometry: int64[17], n, h, w, c, kernel h and w, strides h and w, pads (top, left, bottom,
right), dilations h and w, output h and w, whether an average counts padding. Work is shared by output rows."""

RESIZE_F32 = KernelSpec(
    "resize_f32",
    "x:f32* y:f32* rows:i64* row_weights:f32* columns:i64* column_weights:f32* lines:f32* n:i64 h:i64 w:i64 c:i64 out_h:i64 "
    "out_w:i64 row_taps:i64 column_taps:i64 y_row:i64",
    strided=("y", "y_row"),
)
"""y [n, out_h, out_w, c], whose pixels are y_row numbers apart: weighted sums of x at rows [out_h, row_taps] and columns
[out_w, column_taps]. lines: w * c + 16 numbers for each part."""


def pool_call(
    spec: KernelSpec, x: Arg, y: Arg, shape: tuple[int, ...], g: Geometry, counts_pads: bool = False, **more: Any
) -> Call:
    """A pool of x [n, h, w, c] of this shape."""
    geometry = [*shape, *g.kernel, *g.strides, *g.begin, *g.end, *g.dilations, *g.out, counts_pads]
    work = shape[0] * math.prod(g.out) * shape[3] * math.prod(g.kernel)
    return spec(
        x=x, y=y, geometry=Table(geometry), parts=parts_for(work, shape[0] * g.out[0]), flops=work, **more
    )


@lowers("edge.MaxPool")
def max_pool(node: BoundNode) -> Lowered:
    return _pool(node, MAX_POOL[node.type(0).dtype], False)


@lowers("edge.AveragePool")
def average_pool(node: BoundNode) -> Lowered:
    return _pool(node, AVERAGE_POOL_F32, node.attrs.count_include_pad)


def _pool(node: BoundNode, spec: KernelSpec, counts_pads: bool) -> Lowered:
    if not node.outputs[0].size:
        return []
    shape = node.type(0).static_shape
    g = window_geometry(node.attrs, shape[1:3], node.attrs.ceil_mode)
    return [pool_call(spec, In(0), Out(0), shape, g, counts_pads)]


@lowers("MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool")
def channels_first_pool(node: BoundNode) -> Lowered:
    """Over one or two axes; a MaxPool only if nobody reads the indices."""
    shape = node.type(0).static_shape
    if not is_f32(node) or len(shape) not in (3, 4) or any(node.used[1:]):
        return None
    if not node.outputs[0].size:
        return []
    averages, sizes = node.op.name.endswith("AveragePool"), shape[2:]
    if node.op.name.startswith("Global"):
        ones, zeros = (1,) * len(sizes), (0,) * len(sizes)
        g = Geometry(sizes, ones, ones, zeros, zeros, ones)
        counts_pads = False
    else:
        g = pool_geometry(node.attrs, sizes)
        counts_pads = averages and node.attrs.count_include_pad
    g = as_image(g)
    n, c, area, out_area = shape[0], shape[1], math.prod(sizes), math.prod(g.out)
    last = (n, sizes[0] if len(sizes) == 2 else 1, sizes[-1], c)
    spec = AVERAGE_POOL_F32 if averages else MAX_POOL[DType.FLOAT32]
    y: Arg = Scratch(1) if out_area > 1 else Out(0)
    scratch = [4 * n * c * area, 4 * n * c * out_area if out_area > 1 else 4]
    calls = [
        transpose_call(In(0), Scratch(0), n, c, area, scratch=scratch),
        pool_call(spec, Scratch(0), y, last, g, counts_pads),
    ]
    return [*calls, transpose_call(y, Out(0), n, out_area, c)] if out_area > 1 else calls


def as_image(g: Geometry) -> Geometry:
    """The same windows over two axes, the first of which is of size one if there was none."""
    if len(g.kernel) == 2:
        return g
    return Geometry(*((fill, *axis) for fill, axis in zip((1, 1, 1, 0, 0, 1), g)))


@lowers("edge.Resize")
def resize(node: BoundNode) -> Lowered:
    if not node.outputs[0].size:
        return []
    n, h, w, c = node.type(0).static_shape
    out_h, out_w = node.outputs[0].static_shape[1:3]
    attrs, scales, sizes = as_resize(node.attrs, node.values[1] if node.has(1) else None)
    found = {a.axis: taps(attrs, a) for a in resized_axes(attrs, (n, h, w, c), None, scales, sizes)}
    rows, row_weights = found.get(1) or _same(h)
    columns, column_weights = found.get(2) or _same(w)
    if node.type(0).dtype is not DType.FLOAT32:
        return _take_pixels(n, h, w, c, rows, columns)
    work = 2 * n * out_h * (w * rows.shape[1] + out_w * columns.shape[1]) * c
    parts = parts_for(work // 4, n * out_h)
    return [
        RESIZE_F32(
            x=In(0), y=Out(0), rows=Table(rows), row_weights=Table(row_weights, np.float32), columns=Table(columns),
            column_weights=Table(column_weights, np.float32), lines=Scratch(0), n=n, h=h, w=w, c=c, out_h=out_h,
            out_w=out_w, row_taps=rows.shape[1], column_taps=columns.shape[1], y_row=c, parts=parts,
            scratch=[4 * parts * (w * c + 16)], flops=work,
        )
    ]  # fmt: skip


def _take_pixels(n: int, h: int, w: int, c: int, rows: Any, columns: Any) -> Lowered:
    """Of bytes, one neighbour each: pixels of all rows, then rows."""
    out_h, out_w = len(rows), len(columns)
    wide, narrow = n * h * out_w * c, n * out_h * out_w * c
    return [
        TAKE[1](
            x=In(0), offsets=Table(columns * c), out=Scratch(0), outer=n * h, x_outer=w * c, count=out_w, inner=c,
            parts=parts_for(wide // 4, n * h), scratch=[wide],
        ),
        TAKE[1](
            x=Scratch(0), offsets=Table(rows * out_w * c), out=Out(0), outer=n, x_outer=h * out_w * c, count=out_h,
            inner=out_w * c, parts=parts_for(narrow // 16, n * out_h),
        ),
    ]  # fmt: skip


def _same(size: int) -> tuple[Any, Any]:
    """Neighbours and weights of an axis that stays as it is."""
    return np.arange(size)[:, None], np.ones((size, 1), np.float32)
