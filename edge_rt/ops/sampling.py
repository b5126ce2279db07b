"""Reading tensors at fractional positions: GridSample, AffineGrid, RoiAlign and DeformConv."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from edge_rt.dims import is_known
from edge_rt.errors import DataError, GraphError
from edge_rt.ops._attrs import Attrs, Bool, Float, Int, Str
from edge_rt.ops._rules import contents, equal_size, has, integer_range, shape_of, shown, widened
from edge_rt.ops._spec import SUMS, Array, Types, Values, define
from edge_rt.ops._windows import check_rank, check_shape, geometry
from edge_rt.ops.conv import ConvAttrs, conv_shape, per_channel
from edge_rt.ops.resize import cubic_weights
from edge_rt.types import ANY, COMPLEX, FLOATS


def gather(x: Array, index: Array, outside: Array | None = None) -> Array:
    """x: T[n, c, *sizes], index: i64[n, *points, dims] within the sizes -> T[n, c, *points].

    outside: bool[n, *points], where to give 0 instead.
    """
    n, c, *sizes = x.shape
    strides = np.cumprod([1, *sizes[:0:-1]])[::-1]
    points = index.shape[1:-1]
    if not math.prod(sizes):
        return np.zeros((n, c, *points), x.dtype)
    flat = (index * strides).sum(axis=-1).reshape(n, 1, math.prod(points))
    values = np.take_along_axis(x.reshape(n, c, math.prod(sizes)), flat, axis=2).reshape(n, c, *points)
    return values if outside is None else np.where(outside[:, None], x.dtype.type(0), values)


def _inside(index: Array, sizes: Array) -> Array:
    return np.asarray(((index >= 0) & (index < sizes)).all(axis=-1))


def linear(x: Array, at: Array, resolve: Any = None) -> Array:
    """x: f[n, c, *sizes] read at f[n, *points, dims] by multilinear interpolation -> f[n, c, *points].

    resolve(index): brings indices outside of x back inside; None: there x is 0.
    """
    sizes = np.array(x.shape[2:])
    low = np.floor(at)
    part = at - low
    low = low.astype(np.int64)
    total = np.zeros((*x.shape[:2], *at.shape[1:-1]), x.dtype)
    for corner in itertools.product((0, 1), repeat=len(sizes)):
        weight = np.where(np.array(corner) == 1, part, 1 - part).prod(axis=-1)
        index = low + np.array(corner)
        total += _read(x, index, sizes, resolve) * weight[:, None].astype(x.dtype)
    return total


def _read(x: Array, index: Array, sizes: Array, resolve: Any) -> Array:
    if resolve is not None:
        return gather(x, resolve(index))
    return gather(x, np.clip(index, 0, sizes - 1), ~_inside(index, sizes))


def cubic(x: Array, at: Array, resolve: Any = None) -> Array:
    """As `linear`, by cubic convolution with a = -0.75."""
    sizes = np.array(x.shape[2:])
    low = np.floor(at)
    weights = np.stack([cubic_weights(np.abs(at - low - k), -0.75) for k in range(-1, 3)])
    low = low.astype(np.int64)
    total = np.zeros((*x.shape[:2], *at.shape[1:-1]), x.dtype)
    for tap in itertools.product(range(4), repeat=len(sizes)):
        weight = np.stack([weights[k][..., axis] for axis, k in enumerate(tap)]).prod(axis=0)
        total += _read(x, low + np.array(tap) - 1, sizes, resolve) * weight[:, None].astype(x.dtype)
    return total


# ---- GridSample -----------------------------------------------------------------------------------------------------


class GridSampleAttrs(Attrs):
    align_corners = Bool(False)
    mode = Str("linear", choices=("linear", "nearest", "cubic"))
    padding_mode = Str("zeros", choices=("zeros", "border", "reflection"))


def _grid_sample_shapes(attrs: Any, types: Types, values: Values) -> Any:
    x, grid = shape_of(types, 0), shape_of(types, 1)
    check_rank("X", x, 3, 9)
    check_rank("grid", grid, len(x))
    check_shape("grid", grid, [x[0], *grid[1:-1], len(x) - 2])
    return [[equal_size(x[0], grid[0], "batch sizes"), x[1], *grid[1:-1]]]


def _reflected(position: Array, sizes: Array, align_corners: bool) -> Array:
    """Positions mirrored at the borders until they are inside."""
    low = np.zeros(len(sizes)) if align_corners else np.full(len(sizes), -0.5)
    span = sizes - 1.0 if align_corners else sizes * 1.0
    turn = np.mod(position - low, 2 * np.maximum(span, 1e-9))
    mirrored = np.where(turn > span, 2 * span - turn, turn) + low
    return np.where(span == 0, 0.0, mirrored)


def _grid_sample(attrs: Any, x: Array, grid: Array) -> Any:
    sizes = np.array(x.shape[2:])
    normal = grid[..., ::-1].astype(np.float64)
    at = (normal + 1) / 2 * (sizes - 1) if attrs.align_corners else ((normal + 1) * sizes - 1) / 2
    # NaN and what is further than any index can tell lies outside.
    at = np.clip(np.where(np.isnan(at), -1e9, at), -1e9, 1e9)
    resolve: Any = None
    if attrs.padding_mode == "border":
        resolve = lambda index: np.clip(index, 0, sizes - 1)
        at = at if attrs.mode == "cubic" else np.clip(at, 0, sizes - 1)
    elif attrs.padding_mode == "reflection":
        resolve = lambda index: np.clip(_reflected(index, sizes, attrs.align_corners), 0, sizes - 1).astype(np.int64)
        at = at if attrs.mode == "cubic" else _reflected(at, sizes, attrs.align_corners)
    if attrs.mode == "nearest":
        return _read(x, np.rint(at).astype(np.int64), sizes, resolve)
    data = widened(x) if x.dtype.kind == "f" else x.astype(np.float64)
    y = (linear if attrs.mode == "linear" else cubic)(data, at, resolve)
    if x.dtype.kind in "iu":
        y = np.clip(y, *integer_range(x.dtype))
    return y.astype(x.dtype, copy=False)


GRID_SAMPLE = define(
    "GridSample", "X:T grid:G -> Y:T", since=22, T=ANY - COMPLEX, G=FLOATS, attrs=GridSampleAttrs,
    shapes=_grid_sample_shapes, reference=_grid_sample, accuracy=SUMS,
)  # fmt: skip


class AffineGridAttrs(Attrs):
    align_corners = Bool(False)


def _affine_grid_shapes(attrs: Any, types: Types, values: Values) -> Any:
    theta = shape_of(types, 0)
    check_rank("theta", theta, 3)
    if theta[1:] not in ((2, 3), (3, 4)):
        raise GraphError(f"theta must be [n, 2, 3] or [n, 3, 4], got {shown(theta)}")
    dims = int(theta[1])
    check_shape("size", shape_of(types, 1), [dims + 2])
    size = contents(values, 1) or [None] * (dims + 2)
    return [[theta[0], *size[2:], dims]]


def _affine_grid(attrs: Any, theta: Array, size: Array) -> Any:
    sizes = size[2:].tolist()
    axes = []
    for count in sizes:
        step = np.arange(count, dtype=np.float64)
        if attrs.align_corners:
            axes.append(step * 2 / (count - 1) - 1 if count > 1 else np.zeros(count))
        else:
            axes.append((step * 2 + 1) / count - 1)
    # Coordinates go from the innermost axis to the outermost.
    mesh = np.stack([*np.meshgrid(*axes, indexing="ij")[::-1], np.ones(sizes)], axis=-1)
    points = mesh.reshape(-1, len(sizes) + 1).astype(widened(theta).dtype)
    grid = np.matmul(points, widened(theta).swapaxes(1, 2))
    return grid.reshape(len(theta), *sizes, len(sizes)).astype(theta.dtype, copy=False)


AFFINE_GRID = define(
    "AffineGrid", "theta:T size:int64 -> grid:T", since=20, T=FLOATS, attrs=AffineGridAttrs,
    shapes=_affine_grid_shapes, reference=_affine_grid, accuracy=SUMS, shape_inputs=(1,),
)  # fmt: skip


# ---- RoiAlign -------------------------------------------------------------------------------------------------------


class RoiAlignAttrs(Attrs):
    coordinate_transformation_mode = Str("half_pixel", choices=("half_pixel", "output_half_pixel"))
    mode = Str("avg", choices=("avg", "max"))
    output_height = Int(1)
    output_width = Int(1)
    sampling_ratio = Int(0)
    spatial_scale = Float(1.0)


def _roi_align_shapes(attrs: Any, types: Types, values: Values) -> Any:
    x, rois, batches = shape_of(types, 0), shape_of(types, 1), shape_of(types, 2)
    check_rank("X", x, 4)
    check_rank("rois", rois, 2)
    check_shape("rois", rois, [rois[0], 4])
    check_shape("batch_indices", batches, [rois[0]])
    return [[rois[0], x[1], attrs.output_height, attrs.output_width]]


def _samples(start: float, extent: float, bins: int, ratio: int) -> Array:
    """f64[bins, samples]: where each bin is read along an axis."""
    count = ratio if ratio > 0 else math.ceil(extent / bins)
    steps = (np.arange(count) + 0.5) / max(count, 1)
    return np.asarray(start + (np.arange(bins)[:, None] + steps) * (extent / bins))


def _roi_align(attrs: Any, x: Array, rois: Array, batches: Array) -> Array:
    height, width = x.shape[2:]
    half = 0.5 if attrs.coordinate_transformation_mode == "half_pixel" else 0.0
    boxes = rois.astype(np.float64) * attrs.spatial_scale - half
    if batches.size and not 0 <= batches.min() <= batches.max() < len(x):
        raise DataError(f"batch_indices must lie in [0, {len(x)}), got {batches.min()} to {batches.max()}")
    y = np.zeros((len(rois), x.shape[1], attrs.output_height, attrs.output_width), x.dtype)
    least = 0.0 if half else 1.0
    for r, (batch, (x1, y1, x2, y2)) in enumerate(zip(batches, boxes)):
        rows = _samples(y1, max(y2 - y1, least), attrs.output_height, attrs.sampling_ratio)
        columns = _samples(x1, max(x2 - x1, least), attrs.output_width, attrs.sampling_ratio)
        if rows.size == 0 or columns.size == 0:
            continue
        (top, bottom, down), (left, right, across) = _axis(rows, height), _axis(columns, width)
        # [c, bin row, sample row, bin column, sample column]
        image = widened(x[batch])
        corners = [
            image[:, i[:, :, None, None], j] * (a[:, :, None, None] * b).astype(image.dtype)
            for i, a in ((top, 1 - down), (bottom, down))
            for j, b in ((left, 1 - across), (right, across))
        ]
        valid = _valid(rows, height)[:, :, None, None] & _valid(columns, width)
        if attrs.mode == "avg":
            y[r] = np.where(valid, sum(corners), 0).mean(axis=(2, 4))
        else:
            # As in ONNX Runtime, the largest of the weighted corners, not of their sums.
            y[r] = np.where(valid, np.maximum.reduce(corners), 0).max(axis=(2, 4))
    return y


def _valid(at: Array, size: int) -> Array:
    return (at >= -1) & (at <= size)


def _axis(at: Array, size: int) -> tuple[Array, Array, Array]:
    """Lower and upper neighbour of positions along an axis, and the part of the way to the upper."""
    inside = np.clip(at, 0, size - 1)
    low = np.floor(inside).astype(np.int64)
    return low, np.minimum(low + 1, size - 1), inside - low


ROI_ALIGN = define(
    "RoiAlign", "X:T rois:T batch_indices:int64 -> Y:T", since=22, T=FLOATS, attrs=RoiAlignAttrs,
    shapes=_roi_align_shapes, reference=_roi_align, accuracy=SUMS,
)  # fmt: skip


# ---- DeformConv -----------------------------------------------------------------------------------------------------


class DeformConvAttrs(ConvAttrs):
    offset_group = Int(1)


def _deform_conv_shapes(attrs: Any, types: Types, values: Values) -> Any:
    x, w = shape_of(types, 0), shape_of(types, 1)
    bias = shape_of(types, 3) if has(types, 3) else None
    shape = conv_shape(attrs, x, w, bias)
    if attrs.offset_group < 1 or (is_known(x[1]) and x[1] % attrs.offset_group):
        raise GraphError(f"offset_group must divide the {x[1]} channels, got {attrs.offset_group}")
    taps = math.prod(int(k) for k in w[2:]) * attrs.offset_group
    check_shape("offset", shape_of(types, 2), [x[0], taps * (len(x) - 2), *shape[2:]])
    if has(types, 4):
        check_shape("mask", shape_of(types, 4), [x[0], taps, *shape[2:]])
    return [shape]


def _mesh(axes: list[Array]) -> Array:
    """[*sizes, dims]: the points of a grid."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def _deform_conv(
    attrs: Any, x: Array, w: Array, offset: Array, bias: Array | None = None, mask: Array | None = None
) -> Any:
    g = geometry(attrs, x.shape[2:], w.shape[2:])
    data, weights = widened(x), widened(w)
    n, c, *sizes = x.shape
    dims, groups, taps = len(sizes), attrs.offset_group, math.prod(g.kernel)
    # Where each tap of each window reads without offset: [taps, *out, dims]
    starts = [np.arange(o) * s - b for o, s, b in zip(g.out, g.strides, g.begin)]
    steps = [np.arange(k) * d for k, d in zip(g.kernel, g.dilations)]
    plain = _mesh(steps).reshape(taps, *[1] * dims, dims) + _mesh(starts)
    moved = np.moveaxis(offset.reshape(n, groups, taps, dims, *g.out), 3, -1).astype(np.float64) + plain
    columns = linear(data.reshape(n * groups, c // groups, *sizes), moved.reshape(n * groups, taps, *g.out, dims))
    columns = columns.reshape(n, groups, c // groups, taps, *g.out)
    if mask is not None:
        columns = columns * widened(mask).reshape(n, groups, 1, taps, *g.out)
    m = w.shape[0]
    flat = columns.reshape(n, attrs.group, c // attrs.group * taps, -1)
    y = np.matmul(weights.reshape(attrs.group, m // attrs.group, -1), flat).reshape(n, m, *g.out)
    if bias is not None:
        y = y + per_channel(bias, y.ndim)
    return y.astype(x.dtype, copy=False)


DEFORM_CONV = define(
    "DeformConv", "X:T W:T offset:T B:T? mask:T? -> Y:T", since=22, T=FLOATS, attrs=DeformConvAttrs,
    shapes=_deform_conv_shapes, reference=_deform_conv, accuracy=SUMS,
)  # fmt: skip
