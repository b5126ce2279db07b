"""Resize: each axis on its own, as a weighted sum of a few neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from edge_rt.dims import floor_div, is_known
from edge_rt.errors import DataError, GraphError
from edge_rt.ops._attrs import Attrs, Bool, Float, OptionalInts, Str
from edge_rt.ops._rules import axes_of, contents, has, integer_range, shape_of, shown, widened
from edge_rt.ops._spec import SUMS, Array, Types, Values, define
from edge_rt.ops._windows import check_shape
from edge_rt.types import ANY, COMPLEX, FLOATS, Dim

COORDINATES = (
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize",
)  # fmt: skip


class ResizeAttrs(Attrs):
    antialias = Bool(False)
    axes = OptionalInts()
    coordinate_transformation_mode = Str("half_pixel", choices=COORDINATES)
    cubic_coeff_a = Float(-0.75)
    exclude_outside = Bool(False)
    extrapolation_value = Float(0.0)
    keep_aspect_ratio_policy = Str("stretch", choices=("stretch", "not_larger", "not_smaller"))
    mode = Str("nearest", choices=("nearest", "linear", "cubic"))
    nearest_mode = Str("round_prefer_floor", choices=("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"))


class Axis(NamedTuple):
    """How one axis is resized. width: size * scale, unrounded; start, end: the region of interest, in parts of it."""

    axis: int
    size: int
    out: int
    scale: float
    width: float
    start: float
    end: float


def resized_axes(
    attrs: ResizeAttrs, shape: Sequence[int], roi: Array | None, scales: Array | None, sizes: Array | None
) -> list[Axis]:
    """The axes that change, for known inputs. Raises DataError if scales or sizes are not positive.

    The region of interest does not change the output size: neither ONNX's shape inference nor its runtimes let it.
    """
    axes = list(range(len(shape))) if attrs.axes is None else axes_of(attrs.axes, len(shape))
    outs, factors = _sizes(attrs, [shape[a] for a in axes], scales, sizes)
    crops = attrs.coordinate_transformation_mode == "tf_crop_and_resize" and roi is not None and roi.size > 0
    region = np.float32(roi).reshape(2, -1) if crops else np.array([[0.0] * len(axes), [1.0] * len(axes)])
    found = [
        Axis(axis, shape[axis], out, factor, _width(shape[axis], out, factor), float(start), float(end))
        for axis, out, factor, start, end in zip(axes, outs, factors, *region)
    ]
    return [a for a in found if a.out != a.size or a.scale != 1 or (a.start, a.end) != (0, 1)]


def _sizes(
    attrs: ResizeAttrs, given: Sequence[int], scales: Array | None, sizes: Array | None
) -> tuple[list[int], list[float]]:
    """Output sizes and scales of the resized axes, of sizes `given`."""
    if scales is not None and scales.size:
        if not (scales > 0).all():
            raise DataError(f"scales must be > 0, got {scales.tolist()}")
        factors = scales.astype(np.float32)
        return [int(np.floor(np.float32(d) * s)) for d, s in zip(given, factors)], factors.tolist()
    wanted = sizes.tolist() if sizes is not None else []
    if any(w < 0 for w in wanted):
        raise DataError(f"sizes must be >= 0, got {wanted}")
    ratios = [float(np.float32(w) / np.float32(d)) if d else 1.0 for w, d in zip(wanted, given)]
    if attrs.keep_aspect_ratio_policy == "stretch":
        return wanted, ratios
    chosen = min if attrs.keep_aspect_ratio_policy == "not_larger" else max
    ratio = chosen(w / d for w, d in zip(wanted, given))
    return [int(np.floor(ratio * d + 0.5)) for d in given], [ratio] * len(given)


def _width(size: int, out: int, scale: float) -> float:
    """size * scale; exactly `out` where the scale is their rounded ratio."""
    width = float(np.float32(size) * np.float32(scale))
    return float(out) if round(width) == out and abs(width - out) < 1e-5 * out else width


def coordinates(attrs: ResizeAttrs, a: Axis) -> Array:
    """f32[out]: where each output position lies on the input axis. In float32, as ONNX Runtime does it."""
    x = np.arange(a.out, dtype=np.float32)
    scale, size, mode = np.float32(a.scale), np.float32(a.size), attrs.coordinate_transformation_mode
    half, last = np.float32(0.5), np.float32(a.width - 1)
    if mode == "asymmetric":
        return x / scale
    if mode == "align_corners":
        return x * (size - 1) / last if a.out > 1 else np.zeros_like(x)
    if mode == "tf_crop_and_resize":
        start, end = np.float32(a.start), np.float32(a.end)
        if a.out > 1:
            return start * (size - 1) + x * (end - start) * (size - 1) / last
        return np.full_like(x, half * (start + end) * (size - 1))
    if mode == "pytorch_half_pixel" and a.out == 1:
        return np.zeros_like(x)
    plain = (x + half) / scale - half
    if mode == "half_pixel_symmetric":
        return plain + size / 2 * (1 - np.float32(a.out / a.width))
    return plain


def taps(attrs: ResizeAttrs, a: Axis) -> tuple[Array, Array]:
    """Neighbours i64[out, taps] and their weights f32[out, taps], which sum to 1."""
    x = coordinates(attrs, a)
    if attrs.mode == "nearest":
        half = np.float32(0.5)
        moved = x - half if attrs.nearest_mode == "round_prefer_floor" else x
        moved = x + half if attrs.nearest_mode == "round_prefer_ceil" else moved
        down = attrs.nearest_mode in ("floor", "round_prefer_ceil")
        index = (np.floor(moved) if down else np.ceil(moved)).astype(np.int64)[:, None]
        return np.clip(index, 0, a.size - 1), np.ones(index.shape, np.float32)
    reach = 1 if attrs.mode == "linear" else 2
    stretch = min(a.scale, 1.0) if attrs.antialias else 1.0
    first = int(np.floor(-reach / stretch)) + 1
    base = np.floor(x)
    index = base.astype(np.int64)[:, None] + np.arange(first, 2 - first)
    distance = np.abs((index - x[:, None].astype(np.float64)) * stretch)
    weights = np.maximum(1 - distance, 0) if reach == 1 else cubic_weights(distance, attrs.cubic_coeff_a)
    if attrs.exclude_outside:
        weights = np.where((index >= 0) & (index < a.size), weights, 0)
    weights = weights / weights.sum(axis=1, keepdims=True)
    return np.clip(index, 0, a.size - 1), weights.astype(np.float32)


def cubic_weights(distance: Array, a: float) -> Array:
    """Weights of cubic convolution (Keys 1981, equation 4)."""
    near = ((a + 2) * distance - (a + 3)) * distance**2 + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))


def _resize_shapes(attrs: Any, types: Types, values: Values) -> Any:
    shape = shape_of(types)
    axes = list(range(len(shape))) if attrs.axes is None else axes_of(attrs.axes, len(shape))
    scales, sizes = contents(values, 2), contents(values, 3)
    given = [name for i, name in ((2, "scales"), (3, "sizes")) if has(types, i) and shape_of(types, i) != (0,)]
    if len(given) != 1:
        raise GraphError(f"either scales or sizes must be given, got {' and '.join(given) or 'neither'}")
    check_shape(given[0], shape_of(types, 2 if given[0] == "scales" else 3), [len(axes)])
    out: list[Dim | None] = list(shape)
    wanted: Sequence[Any] = [None] * len(axes)
    if scales:
        wanted = [_scaled(shape[a], s) for a, s in zip(axes, scales)]
    elif sizes and attrs.keep_aspect_ratio_policy == "stretch":
        wanted = sizes
    elif sizes and all(is_known(d) for d in [*sizes, *(shape[a] for a in axes)]):
        wanted = _sizes(attrs, [int(shape[a]) for a in axes], None, np.array(sizes))[0]
    for axis, size in zip(axes, wanted):
        out[axis] = size
    return [out]


def _scaled(dim: Dim, scale: float) -> Dim | None:
    """floor(dim * scale); None where that cannot be told."""
    if not 0 < scale <= float(np.finfo(np.float32).max):
        raise GraphError(f"scales must be finite and > 0, got {scale}")
    if isinstance(dim, int):
        with np.errstate(over="ignore"):
            size = np.floor(np.float32(dim) * np.float32(scale))
        if not np.isfinite(size):
            raise GraphError(f"scales must give a size, got {scale} for the size {dim}")
        return int(size)
    numerator, denominator = float(np.float32(scale)).as_integer_ratio()
    return floor_div(dim * numerator, denominator) if denominator <= 64 else None


def _resize(
    attrs: Any, x: Array, roi: Array | None = None, scales: Array | None = None, sizes: Array | None = None
) -> Array:
    y = x
    outside: list[tuple[int, Array]] = []
    for a in resized_axes(attrs, x.shape, roi, scales, sizes):
        if a.size == 0 and a.out > 0:
            raise DataError(f"an empty axis cannot be resized to {a.out}, got x {shown(x.shape)}")
        index, weights = taps(attrs, a)
        if attrs.mode == "nearest":
            y = y.take(index[:, 0], axis=a.axis)
        else:
            data = widened(y) if y.dtype.kind in "fc" else y.astype(np.float64 if y.dtype.itemsize > 2 else np.float32)
            shape = [1] * x.ndim
            shape[a.axis] = a.out
            y = sum(
                data.take(index[:, k], axis=a.axis) * weights[:, k].astype(data.dtype).reshape(shape)
                for k in range(index.shape[1])
            )
        if attrs.coordinate_transformation_mode == "tf_crop_and_resize":
            position = coordinates(attrs, a)
            outside.append((a.axis, (position < 0) | (position > a.size - 1)))
    if y.dtype != x.dtype:
        y = np.clip(y, *integer_range(x.dtype)).astype(x.dtype) if x.dtype.kind in "iu" else y.astype(x.dtype)
    elif outside or y is x:
        y = y.copy()
    for axis, positions in outside:
        y[(slice(None),) * axis + (positions,)] = attrs.extrapolation_value
    return y


RESIZE = define(
    "Resize", "X:T roi:R? scales:float32? sizes:int64? -> Y:T", since=19, T=ANY - COMPLEX, R=FLOATS, attrs=ResizeAttrs,
    shapes=_resize_shapes, reference=_resize, accuracy=SUMS, shape_inputs=(2, 3),
)  # fmt: skip
