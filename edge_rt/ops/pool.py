"""Pools over channels-first tensors [n, c, *spatial], and what undoes them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_rt.dims import is_known
from edge_rt.errors import DataError, GraphError
from edge_rt.ops._attrs import Attrs, Bool, Float, Int, Ints
from edge_rt.ops._rules import contents, has, shape_of, shown, widened
from edge_rt.ops._spec import EXACT, SUMS, Types, Values, define
from edge_rt.ops._windows import (
    Geometry,
    WindowAttrs,
    check_rank,
    check_shape,
    geometry,
    padded,
    per_axis,
    tap_slice,
    taps,
)
from edge_rt.types import FLOATS, DType

Array = np.ndarray[Any, Any]


class PoolAttrs(WindowAttrs):
    ceil_mode = Bool(False)


class AveragePoolAttrs(PoolAttrs):
    count_include_pad = Bool(False)


class MaxPoolAttrs(PoolAttrs):
    storage_order = Int(0)


class LpPoolAttrs(PoolAttrs):
    p = Int(2)


def pool_geometry(attrs: Any, sizes: Any) -> Geometry:
    """Where the windows of a pool lie. Raises GraphError if the attributes do not fit."""
    if not attrs.kernel_shape:
        raise GraphError("attribute 'kernel_shape' is required")
    return geometry(attrs, sizes, ceil_mode=attrs.ceil_mode)


def _pool_shape(attrs: Any, types: Types) -> Any:
    shape = shape_of(types, 0)
    check_rank("X", shape, 3, 9)
    if isinstance(attrs, LpPoolAttrs) and attrs.p < 1:
        raise GraphError(f"p must be at least 1, got {attrs.p}")
    return [*shape[:2], *pool_geometry(attrs, shape[2:]).out]


def _pool_shapes(attrs: Any, types: Types, values: Values) -> Any:
    return [_pool_shape(attrs, types)]


def _max_pool_shapes(attrs: Any, types: Types, values: Values) -> Any:
    return [_pool_shape(attrs, types)] * 2


def _max_pool(attrs: Any, x: Array) -> tuple[Array, Array]:
    g = pool_geometry(attrs, x.shape[2:])
    sizes = x.shape[2:]
    least = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    places = np.arange(math.prod(sizes)).reshape(sizes[::-1] if attrs.storage_order else sizes)
    places = padded(places.T if attrs.storage_order else places, g, 0)
    best = np.full((*x.shape[:2], *g.out), least, x.dtype)
    index = np.zeros(best.shape, np.int64)
    for seen, place in zip(taps(padded(x, g, least), g), taps(places, g)):
        better = (seen > best) | (seen != seen)
        np.copyto(best, seen, where=better)
        np.copyto(index, place, where=better)
    planes = np.arange(math.prod(x.shape[:2])).reshape(*x.shape[:2], *[1] * len(sizes))
    return best, index + planes * math.prod(sizes)


MAX_POOL = define(
    "MaxPool", "X:T -> Y:T Indices:int64", since=22, T=FLOATS | {DType.INT8, DType.UINT8}, attrs=MaxPoolAttrs,
    shapes=_max_pool_shapes, reference=_max_pool, accuracy=EXACT,
)  # fmt: skip


def _sum_windows(x: Array, g: Geometry) -> Array:
    """Sums over windows of padded x: axis by axis, since a window is a box."""
    first = x.ndim - len(g.out)
    for axis in range(len(g.out)):
        lead = (slice(None),) * (first + axis)
        total = x[(*lead, tap_slice(g, axis, 0))].copy()
        for k in range(1, g.kernel[axis]):
            total += x[(*lead, tap_slice(g, axis, k))]
        x = total
    return x


def _average_pool(attrs: Any, x: Array) -> Any:
    g = pool_geometry(attrs, x.shape[2:])
    counted = np.ones(x.shape[2:], np.float32)
    if attrs.count_include_pad:
        counted = np.pad(counted, list(zip(g.begin, g.end)), constant_values=1)
        within = Geometry(g.kernel, g.strides, g.dilations, (0,) * len(g.out), g.end, g.out)
        counts = _sum_windows(padded(counted, within, 0), g)
    else:
        counts = _sum_windows(padded(counted, g, 0), g)
    y = _sum_windows(padded(widened(x), g, 0), g) / counts.astype(widened(x).dtype)
    return y.astype(x.dtype, copy=False)


AVERAGE_POOL = define(
    "AveragePool", "X:T -> Y:T", since=22, T=FLOATS, attrs=AveragePoolAttrs,
    shapes=_pool_shapes, reference=_average_pool, accuracy=SUMS,
)  # fmt: skip


def _norm(x: Array, p: int, total: Any) -> Array:
    """p-th root of total(|x| ** p)."""
    root: Array = total(np.abs(widened(x)) ** p) ** (1.0 / p)
    return root.astype(x.dtype, copy=False)


def _lp_pool(attrs: Any, x: Array) -> Array:
    g = pool_geometry(attrs, x.shape[2:])
    return _norm(x, attrs.p, lambda powers: _sum_windows(padded(powers, g, 0), g))


LP_POOL = define(
    "LpPool", "X:T -> Y:T", since=22, T=FLOATS, attrs=LpPoolAttrs,
    shapes=_pool_shapes, reference=_lp_pool, accuracy=SUMS,
)  # fmt: skip


class GlobalLpPoolAttrs(Attrs):
    p = Int(2)


def _global_shapes(attrs: Any, types: Types, values: Values) -> Any:
    shape = shape_of(types, 0)
    check_rank("X", shape, 2, 9)
    if any(is_known(d) and d == 0 for d in shape[2:]):
        raise GraphError(f"X must not be empty along the pooled axes, got {shown(shape)}")
    if isinstance(attrs, GlobalLpPoolAttrs) and attrs.p < 1:
        raise GraphError(f"p must be at least 1, got {attrs.p}")
    return [[*shape[:2], *[1] * (len(shape) - 2)]]


def _spatial(x: Array) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


def _global_average_pool(attrs: Any, x: Array) -> Any:
    return widened(x).mean(axis=_spatial(x), keepdims=True).astype(x.dtype, copy=False)


def _global_max_pool(attrs: Any, x: Array) -> Any:
    return x.max(axis=_spatial(x), keepdims=True)


def _global_lp_pool(attrs: Any, x: Array) -> Array:
    return _norm(x, attrs.p, lambda powers: powers.sum(axis=_spatial(x), keepdims=True))


GLOBAL_AVERAGE_POOL = define(
    "GlobalAveragePool", "X:T -> Y:T", since=22, T=FLOATS,
    shapes=_global_shapes, reference=_global_average_pool, accuracy=SUMS,
)  # fmt: skip
GLOBAL_MAX_POOL = define(
    "GlobalMaxPool", "X:T -> Y:T", since=22, T=FLOATS,
    shapes=_global_shapes, reference=_global_max_pool, accuracy=EXACT,
)  # fmt: skip
GLOBAL_LP_POOL = define(
    "GlobalLpPool", "X:T -> Y:T", since=22, T=FLOATS, attrs=GlobalLpPoolAttrs,
    shapes=_global_shapes, reference=_global_lp_pool, accuracy=SUMS,
)  # fmt: skip


class MaxUnpoolAttrs(Attrs):
    kernel_shape = Ints()
    pads = Ints(())
    strides = Ints(())


def _unpooled(attrs: Any, sizes: Any) -> list[Any]:
    """Spatial sizes that the pool with these attributes most plainly came from."""
    n = len(sizes)
    kernel, strides = per_axis("kernel_shape", attrs.kernel_shape, n), per_axis("strides", attrs.strides, n)
    pads = per_axis("pads", attrs.pads, 2 * n, default=0, least=0)
    return [(s - 1) * strides[i] + kernel[i] - pads[i] - pads[n + i] for i, s in enumerate(sizes)]


def _max_unpool_shapes(attrs: Any, types: Types, values: Values) -> Any:
    x = shape_of(types, 0)
    check_rank("X", x, 3, 9)
    check_shape("I", shape_of(types, 1), x)
    plain = _unpooled(attrs, x[2:])
    if not has(types, 2):
        return [[*x[:2], *plain]]
    check_shape("output_shape", shape_of(types, 2), [len(x)])
    return [contents(values, 2) or [None] * len(x)]


def _max_unpool(attrs: Any, x: Array, indices: Array, output_shape: Array | None = None) -> Array:
    # Indices count within the plainly unpooled tensor, which may be smaller than the one asked for.
    plain = (*x.shape[:2], *_unpooled(attrs, x.shape[2:]))
    shape = plain if output_shape is None else tuple(output_shape.tolist())
    if x.size and not 0 <= indices.min() <= indices.max() < math.prod(plain):
        raise DataError(f"indices must lie in [0, {math.prod(plain)}), got {indices.min()} to {indices.max()}")
    place = np.unravel_index(indices.ravel(), plain)
    if any(p.size and p.max() >= size for p, size in zip(place, shape)):
        raise DataError(f"indices must lie inside of output_shape {shape}")
    y = np.zeros(shape, x.dtype)
    y[place] = x.ravel()
    return y


MAX_UNPOOL = define(
    "MaxUnpool", "X:T I:int64 output_shape:int64? -> output:T", since=22, T=FLOATS, attrs=MaxUnpoolAttrs,
    shapes=_max_unpool_shapes, reference=_max_unpool, accuracy=EXACT, shape_inputs=(2,),
)  # fmt: skip


class MaxRoiPoolAttrs(Attrs):
    pooled_shape = Ints()
    spatial_scale = Float(1.0)


def _max_roi_pool_shapes(attrs: Any, types: Types, values: Values) -> Any:
    x, rois = shape_of(types, 0), shape_of(types, 1)
    check_rank("X", x, 4)
    check_shape("rois", rois, [rois[0] if rois else 0, 5])
    if len(attrs.pooled_shape) != 2 or min(attrs.pooled_shape) < 1:
        raise GraphError(f"pooled_shape must be 2 numbers >= 1, got {attrs.pooled_shape}")
    return [[rois[0], x[1], *attrs.pooled_shape]]


def _bin(index: int, step: float, start: int, size: int) -> tuple[int, int]:
    """First and last + 1 of the positions of bin `index` along an axis."""
    first, last = math.floor(index * step) + start, math.ceil((index + 1) * step) + start
    return min(max(first, 0), size), min(max(last, 0), size)


def _max_roi_pool(attrs: Any, x: Array, rois: Array) -> Array:
    _, channels, height, width = x.shape
    pooled = np.array(attrs.pooled_shape)
    y = np.zeros((len(rois), channels, *attrs.pooled_shape), x.dtype)
    if len(rois) and not 0 <= rois[:, 0].min() <= rois[:, 0].max() < len(x):
        raise DataError(f"batch numbers of rois must lie in [0, {len(x)})")
    # Half away from zero, as round() in C does.
    corners = widened(rois)[:, 1:] * np.float32(attrs.spatial_scale)
    corners = (np.sign(corners) * np.floor(np.abs(corners) + 0.5)).astype(np.int64)
    for r, (batch, (x1, y1, x2, y2)) in enumerate(zip(rois[:, 0].astype(np.int64), corners)):
        steps = np.maximum([y2 - y1 + 1, x2 - x1 + 1], 1) / pooled
        for i in range(pooled[0]):
            top, bottom = _bin(i, steps[0], y1, height)
            for j in range(pooled[1]):
                left, right = _bin(j, steps[1], x1, width)
                if top < bottom and left < right:
                    y[r, :, i, j] = x[batch, :, top:bottom, left:right].max(axis=(1, 2))
    return y


MAX_ROI_POOL = define(
    "MaxRoiPool", "X:T rois:T -> Y:T", since=22, T=FLOATS, attrs=MaxRoiPoolAttrs,
    shapes=_max_roi_pool_shapes, reference=_max_roi_pool, accuracy=EXACT,
)  # fmt: skip
