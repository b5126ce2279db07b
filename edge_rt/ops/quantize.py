"""Quantised numbers q with real value (q - zero_point) * scale, and arithmetic on them. Rounding is to even."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.dims import ceil_div
from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Bool, Int, OptionalElementType
from edge_rt.ops._rules import axis_of, broadcast, broadcasts_to, has, integer_range, require_number, shape_of, shown
from edge_rt.ops._spec import ARITHMETIC, EXACT, Accuracy, Array, Types, Values, define
from edge_rt.ops._windows import check_shape, differ, geometry
from edge_rt.ops.conv import ConvAttrs, conv_shape, convolve, per_channel
from edge_rt.types import BYTES, DType

SMALL = BYTES | {DType.INT16, DType.UINT16}
SCALES = frozenset({DType.FLOAT16, DType.FLOAT32})
ONE_STEP = Accuracy(steps=1)


def rounded(x: Array, zero_point: Any, dtype: np.dtype[Any]) -> Array:
    """x (already divided by the scale) rounded, moved by the zero point and clipped to the range of `dtype`."""
    low, high = integer_range(dtype)
    moved = np.rint(x.astype(np.float64)) + np.asarray(zero_point, np.float64)
    # NaN has no integer: it becomes the zero point's.
    return np.clip(np.where(np.isnan(moved), zero_point, moved), low, high).astype(dtype)


# ---- linear quantisation --------------------------------------------------------------------------------------------


class QuantizeAttrs(Attrs):
    axis = Int(1)
    block_size = Int(0)
    output_dtype = OptionalElementType()
    precision = OptionalElementType()
    saturate = Bool(True)


class DequantizeAttrs(Attrs):
    axis = Int(1)
    block_size = Int(0)
    output_dtype = OptionalElementType()


def _check_scale(attrs: Any, types: Types) -> None:
    """Raises GraphError unless the scale is a number, one per index of the axis, or one per block."""
    x, scale = shape_of(types, 0), shape_of(types, 1)
    # Quantisers write one scale as [1] beside one zero point as [].
    if has(types, 2) and not (scale in ((), (1,)) and shape_of(types, 2) in ((), (1,))):
        check_shape("zero point", shape_of(types, 2), scale)
    if len(scale) == 0 or (len(scale) == 1 and scale[0] == 1):
        return
    if len(x) == 0:
        raise GraphError(f"scale must be one number for x of rank 0, got {shown(scale)}")
    axis = axis_of(attrs.axis, len(x)) if len(x) > 1 else 0
    if len(scale) == 1 and attrs.block_size == 0:
        check_shape("scale", scale, [x[axis]])
    elif len(scale) != len(x) or any(differ(a, b) for i, (a, b) in enumerate(zip(scale, x)) if i != axis):
        raise GraphError(f"scale must have the shape {shown(x)} of x, but for axis {axis}, got {shown(scale)}")
    elif attrs.block_size < 1:
        raise GraphError(f"block_size must be >= 1 for a scale of shape {shown(scale)}, got {attrs.block_size}")
    elif differ(scale[axis], ceil_div(x[axis], attrs.block_size)):
        raise GraphError(f"scale must have {ceil_div(x[axis], attrs.block_size)} blocks, got {shown(scale)}")


def spread(parameter: Array, x: Array, axis: int, block_size: int) -> Array:
    """A scale or zero point so that it broadcasts over x."""
    if parameter.size == 1:
        return parameter.reshape(())
    axis %= x.ndim
    if parameter.ndim == 1 and (x.ndim > 1 or not block_size):
        return parameter.reshape(-1, *[1] * (x.ndim - 1 - axis))
    size = x.shape[axis]
    return np.repeat(parameter, block_size, axis=axis)[(slice(None),) * axis + (slice(size),)]


def _quantize_shapes(attrs: Any, types: Types, values: Values) -> Any:
    _check_scale(attrs, types)
    return [shape_of(types)]


def _quantize_dtypes(attrs: Any, given: Sequence[DType | None]) -> list[DType]:
    zero_point = given[2] if len(given) > 2 else None
    dtype = attrs.output_dtype or zero_point or DType.UINT8
    if dtype not in SMALL or (zero_point is not None and zero_point is not dtype):
        raise GraphError(f"output_dtype must be that of the zero point, got {dtype.value}")
    if attrs.precision is not None and not attrs.precision.is_float:
        raise GraphError(f"precision must be a floating type, got {attrs.precision.value}")
    return [dtype]


def _quantize(attrs: Any, x: Array, scale: Array, zero_point: Array | None = None) -> Array:
    dtype = (attrs.output_dtype or DType.UINT8).numpy if zero_point is None else zero_point.dtype
    zero = np.zeros((), dtype) if zero_point is None else spread(zero_point, x, attrs.axis, attrs.block_size)
    default = DType.of(scale) if scale.dtype.kind == "f" else DType.FLOAT32
    precision = (attrs.precision or default).numpy
    divisor = spread(scale, x, attrs.axis, attrs.block_size).astype(precision)
    return rounded(x.astype(precision) / divisor, zero, dtype)


QUANTIZE_LINEAR = define(
    "QuantizeLinear", "x:T y_scale:S y_zero_point:Q? -> y:Q", since=28, attrs=QuantizeAttrs,
    T=SCALES | {DType.INT32, DType.FLOAT64}, S=SCALES | {DType.INT32, DType.FLOAT64}, Q=SMALL,
    dtypes=_quantize_dtypes, shapes=_quantize_shapes, reference=_quantize, accuracy=ONE_STEP,
)  # fmt: skip


def _dequantize_dtypes(attrs: Any, given: Sequence[DType | None]) -> list[DType]:
    dtype = attrs.output_dtype or given[1]
    if dtype is None or not dtype.is_float:
        raise GraphError(f"output_dtype must be a floating type, got {dtype}")
    return [dtype]


def _dequantize(attrs: Any, x: Array, scale: Array, zero_point: Array | None = None) -> Array:
    dtype = (attrs.output_dtype or DType.of(scale)).numpy
    wide = np.int64 if x.dtype.itemsize == 4 else np.int32
    moved: Any = x.astype(wide)
    if zero_point is not None:
        moved -= spread(zero_point, x, attrs.axis, attrs.block_size).astype(wide)
    precise = np.float64 if dtype.itemsize == 8 else np.float32
    factor = spread(scale, x, attrs.axis, attrs.block_size).astype(precise)
    return np.asarray(moved.astype(precise) * factor, dtype)


DEQUANTIZE_LINEAR = define(
    "DequantizeLinear", "x:Q x_scale:S x_zero_point:Q? -> y:S", since=28, attrs=DequantizeAttrs,
    Q=SMALL | {DType.INT32}, S=SCALES | {DType.FLOAT64},
    dtypes=_dequantize_dtypes, shapes=_quantize_shapes, reference=_dequantize, accuracy=ARITHMETIC,
)  # fmt: skip


def _dynamic_shapes(attrs: Any, types: Types, values: Values) -> Any:
    return [shape_of(types), (), ()]


def dynamic_quantize(x: Array) -> tuple[Array, Array, Array]:
    """x as uint8 with a scale and zero point that span its values and 0; per tensor, as ONNX defines it."""
    low = min(np.float32(0), x.min(initial=0))
    high = max(np.float32(0), x.max(initial=0))
    scale = np.float32((high - low) / np.float32(255))
    if scale == 0:
        scale = np.float32(1)
    zero_point = rounded(np.asarray(-low / scale), 0, np.dtype(np.uint8))
    return rounded(x / scale, zero_point, np.dtype(np.uint8)), np.asarray(scale), zero_point


def _dynamic_quantize(attrs: Any, x: Array) -> tuple[Array, Array, Array]:
    return dynamic_quantize(x)


DYNAMIC_QUANTIZE_LINEAR = define(
    "DynamicQuantizeLinear", "x:float32 -> y:uint8 y_scale:float32 y_zero_point:uint8", since=11,
    shapes=_dynamic_shapes, reference=_dynamic_quantize, accuracy=Accuracy(rtol=3e-7, steps=1),
)  # fmt: skip


# ---- products -------------------------------------------------------------------------------------------------------


def matmul_shape(a: Sequence[Any], b: Sequence[Any]) -> list[Any]:
    """Shape of numpy's matmul. Raises GraphError if the operands do not fit."""
    if not a or not b or differ(a[-1], b[-2] if len(b) > 1 else b[0]):
        raise GraphError(f"inner sizes must be equal, got {shown(a)} and {shown(b)}")
    rows, columns = ([a[-2]] if len(a) > 1 else []), ([b[-1]] if len(b) > 1 else [])
    batch = broadcast(a[:-2], b[:-2])
    return [*batch, *rows, *columns]


def centred(x: Array, zero_point: Array | None, axis: int) -> Array:
    """x - zero_point in float64, where sums of products of bytes are exact. axis: of a zero point per row or column."""
    wide = x.astype(np.float64)
    if zero_point is None:
        return wide
    if zero_point.ndim == 1 and zero_point.size > 1 and x.ndim > 1:
        zero_point = zero_point.reshape(-1, *[1] * (x.ndim - 1 - axis % x.ndim))
    return wide - zero_point


def integers(x: Array) -> Array:
    """Exact sums in float64 as int32, wrapped around like an int32 accumulator."""
    return x.astype(np.int64).astype(np.int32)


def check_along(types: Types, index: int, name: str, x: Sequence[Any], axis: int) -> None:
    """Checks that a scale or zero point, if it is there, is one number, one per index of an axis of x, or broadcasts."""
    own = shape_of(types, index) if has(types, index) else ()
    if len(own) > 1:
        broadcasts_to(own, x, name)
    elif own and own[0] != 1:
        if len(x) < 2:
            raise GraphError(f"{name} must be one number, got {shown(own)}")
        check_shape(name, own, [x[axis]])


def _matmul_shapes(attrs: Any, types: Types, values: Values) -> Any:
    a, b = shape_of(types, 0), shape_of(types, 1)
    made = matmul_shape(a, b)
    check_along(types, 2, "a_zero_point", a, -2)
    check_along(types, 3, "b_zero_point", b, -1)
    return [made]


def _matmul_integer(
    attrs: Any, a: Array, b: Array, a_zero: Array | None = None, b_zero: Array | None = None
) -> Array:
    return integers(np.matmul(centred(a, a_zero, -2), centred(b, b_zero, -1)))


MATMUL_INTEGER = define(
    "MatMulInteger", "A:T B:U a_zero_point:T? b_zero_point:U? -> Y:int32", since=10, T=BYTES, U=BYTES,
    shapes=_matmul_shapes, reference=_matmul_integer, accuracy=EXACT,
)  # fmt: skip


def _scale_along(scale: Array, x: Array, axis: int) -> Array:
    """A scale per row or column so that it broadcasts over the product x."""
    if scale.size == 1:
        return scale.reshape(())
    return scale if scale.ndim > 1 else scale.reshape(-1, *[1] * (-1 - axis))


def _qlinear_matmul_shapes(attrs: Any, types: Types, values: Values) -> Any:
    a, b = shape_of(types, 0), shape_of(types, 3)
    made = matmul_shape(a, b)
    for i, name, x, axis in (
        (1, "a_scale", made, -2), (2, "a_zero_point", a, -2), (4, "b_scale", made, -1), (5, "b_zero_point", b, -1),
        (6, "y_scale", made, -2), (7, "y_zero_point", made, -2),
    ):  # fmt: skip
        check_along(types, i, name, x, axis)
    return [made]


def _qlinear_matmul(
    attrs: Any, a: Array, a_scale: Array, a_zero: Array, b: Array, b_scale: Array, b_zero: Array,
    y_scale: Array, y_zero: Array,
) -> Array:  # fmt: skip
    sums = np.matmul(centred(a, a_zero, -2), centred(b, b_zero, -1))
    scale = _scale_along(a_scale, sums, -2).astype(np.float32) * _scale_along(b_scale, sums, -1).astype(np.float32)
    ratio = scale / _scale_along(y_scale, sums, -2).astype(np.float32)
    return rounded(sums * ratio, _scale_along(y_zero, sums, -2), y_zero.dtype)


QLINEAR_MATMUL = define(
    "QLinearMatMul",
    "a:T a_scale:S a_zero_point:T b:U b_scale:S b_zero_point:U y_scale:S y_zero_point:Q -> y:Q", since=21,
    T=BYTES, U=BYTES, Q=BYTES, S=SCALES,
    shapes=_qlinear_matmul_shapes, reference=_qlinear_matmul, accuracy=ONE_STEP,
)  # fmt: skip


def _conv_integer_shapes(attrs: Any, types: Types, values: Values) -> Any:
    made = conv_shape(attrs, shape_of(types, 0), shape_of(types, 1), None)
    require_number(types, 2, "x_zero_point")
    check_along(types, 3, "w_zero_point", shape_of(types, 1), 0)
    return [made]


def _integer_convolution(attrs: Any, x: Array, w: Array, x_zero: Array | None, w_zero: Array | None) -> Array:
    g = geometry(attrs, x.shape[2:], w.shape[2:])
    return convolve(centred(x, x_zero, 0), centred(w, w_zero, 0), g, attrs.group)


def _conv_integer(attrs: Any, x: Array, w: Array, x_zero: Array | None = None, w_zero: Array | None = None) -> Array:
    return integers(_integer_convolution(attrs, x, w, x_zero, w_zero))


CONV_INTEGER = define(
    "ConvInteger", "x:T w:U x_zero_point:T? w_zero_point:U? -> y:int32", since=10, T=BYTES, U=BYTES, attrs=ConvAttrs,
    shapes=_conv_integer_shapes, reference=_conv_integer, accuracy=EXACT,
)  # fmt: skip


def _qlinear_conv_shapes(attrs: Any, types: Types, values: Values) -> Any:
    bias = shape_of(types, 8) if has(types, 8) else None
    made = conv_shape(attrs, shape_of(types, 0), shape_of(types, 3), bias)
    for i, name in ((1, "x_scale"), (2, "x_zero_point"), (6, "y_scale"), (7, "y_zero_point")):
        require_number(types, i, name)
    for i, name in ((4, "w_scale"), (5, "w_zero_point")):
        if len(shape_of(types, i)) > 1:
            raise GraphError(f"{name} must be one number or one per channel, got {shown(shape_of(types, i))}")
        check_along(types, i, name, shape_of(types, 3), 0)
    return [made]


def _qlinear_conv(
    attrs: Any, x: Array, x_scale: Array, x_zero: Array, w: Array, w_scale: Array, w_zero: Array,
    y_scale: Array, y_zero: Array, bias: Array | None = None,
) -> Array:  # fmt: skip
    sums = _integer_convolution(attrs, x, w, x_zero, w_zero)
    if bias is not None:
        sums += per_channel(bias, sums.ndim)
    ratio = x_scale.reshape(()) * w_scale.reshape(-1) / y_scale.reshape(())
    return rounded(sums * per_channel(ratio, sums.ndim), y_zero.reshape(()), y_zero.dtype)


QLINEAR_CONV = define(
    "QLinearConv",
    "x:T x_scale:float32 x_zero_point:T w:U w_scale:float32 w_zero_point:U y_scale:float32 y_zero_point:Q B:int32? "
    "-> y:Q",
    since=10, T=BYTES, U=BYTES, Q=BYTES, attrs=ConvAttrs,
    shapes=_qlinear_conv_shapes, reference=_qlinear_conv, accuracy=ONE_STEP,
)  # fmt: skip
