"""Elementwise arithmetic and means of 8-bit numbers that stay 8-bit numbers: what stands between integer products.

Scales are relative to that of y, so that a whole step of y is 1. All arithmetic is in float32, one rounding per operation,
where a product and its sum with another number are one: kernels give the same bits. Halves round to even; results saturate
at [lo, hi] and at the range of y's type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, ElementType, Float, Int
from edge_rt.ops._rules import broadcast_shapes, integer_range, shape_of, shown, type_of
from edge_rt.ops._spec import EXACT, Array, Types, Values, define
from edge_rt.ops.edge_conv import image
from edge_rt.types import BYTES, DType


class RoundedAttrs(Attrs):
    """How float32 steps of y become y."""

    output = ElementType()
    y_zero = Int(0)
    lo = Float(-np.inf)
    hi = Float(np.inf)


class QAddAttrs(RoundedAttrs):
    a_zero = Int(0)
    a_scale = Float()
    b_zero = Int(0)
    b_scale = Float()


class QMulAttrs(RoundedAttrs):
    a_zero = Int(0)
    b_zero = Int(0)
    scale = Float()


class QMeanAttrs(RoundedAttrs):
    x_zero = Int(0)
    scale = Float()


def limits(attrs: RoundedAttrs) -> tuple[float, float]:
    """The smallest and the largest y."""
    low, high = integer_range(attrs.output.numpy)
    return max(low, attrs.lo), min(high, attrs.hi)


def _output(attrs: RoundedAttrs, given: Sequence[DType | None]) -> list[DType]:
    if attrs.output not in BYTES:
        raise GraphError(f"output must be int8 or uint8, got {attrs.output}")
    low, high = integer_range(attrs.output.numpy)
    if not low <= attrs.y_zero <= high:
        raise GraphError(f"y_zero must be in [{low}, {high}], got {attrs.y_zero}")
    return [attrs.output]


def _rounded(attrs: RoundedAttrs, steps: Array) -> Array:
    return np.clip(np.rint(steps) + np.float32(attrs.y_zero), *limits(attrs)).astype(attrs.output.numpy)


def _centred(x: Array, zero: int) -> Array:
    return (x.astype(np.int32) - zero).astype(np.float32)


def _add(attrs: QAddAttrs, a: Array, b: Array) -> Array:
    scaled = _centred(a, attrs.a_zero) * np.float32(attrs.a_scale)
    # In float64 the product is exact.
    product = _centred(b, attrs.b_zero).astype(np.float64) * np.float32(attrs.b_scale)
    return _rounded(attrs, (scaled + product).astype(np.float32))


def _mul(attrs: QMulAttrs, a: Array, b: Array) -> Array:
    return _rounded(attrs, _centred(a, attrs.a_zero) * _centred(b, attrs.b_zero) * np.float32(attrs.scale))


def _check_zero(name: str, zero: int, dtype: DType) -> None:
    low, high = integer_range(dtype.numpy)
    if not low <= zero <= high:
        raise GraphError(f"{name} must be in [{low}, {high}], got {zero}")


def _pair_shapes(attrs: Any, types: Types, values: Values) -> Any:
    for i, name in enumerate(("a_zero", "b_zero")):
        _check_zero(name, getattr(attrs, name), type_of(types, i).dtype)
    return broadcast_shapes(attrs, types, values)


ADD = define(
    "edge.QAdd", "a:A b:B -> y:Y", A=BYTES, B=BYTES, attrs=QAddAttrs, dtypes=_output, shapes=_pair_shapes,
    reference=_add, accuracy=EXACT,
)  # fmt: skip
MUL = define(
    "edge.QMul", "a:A b:B -> y:Y", A=BYTES, B=BYTES, attrs=QMulAttrs, dtypes=_output, shapes=_pair_shapes,
    reference=_mul, accuracy=EXACT,
)  # fmt: skip


def _mean_shapes(attrs: QMeanAttrs, types: Types, values: Values) -> Any:
    n, _, _, c = image(types)
    _check_zero("x_zero", attrs.x_zero, type_of(types).dtype)
    return [[n, 1, 1, c]]


def _mean(attrs: QMeanAttrs, x: Array) -> Array:
    pixels = x.shape[1] * x.shape[2]
    sums = x.sum(axis=(1, 2), keepdims=True, dtype=np.int32) - np.int32(pixels * attrs.x_zero)
    return _rounded(attrs, sums.astype(np.float32) * (np.float32(attrs.scale) / np.float32(max(pixels, 1))))


MEAN = define(
    "edge.QMean", "x:X -> y:Y", X=BYTES, attrs=QMeanAttrs, dtypes=_output, shapes=_mean_shapes, reference=_mean,
    accuracy=EXACT,
)  # fmt: skip


def _lookup_shapes(attrs: Attrs, types: Types, values: Values) -> Any:
    if shape_of(types, 1) != (256,):
        raise GraphError(f"table must be [256], got {shown(shape_of(types, 1))}")
    return [shape_of(types)]


LOOKUP = define(
    "edge.Lookup", "x:X table:Y -> y:Y", X=BYTES, Y=BYTES, shapes=_lookup_shapes,
    reference=lambda attrs, x, table: table[x.view(np.uint8)], accuracy=EXACT,
)  # fmt: skip
"""y = table[x], where an int8 x counts as the uint8 of the same bits."""
