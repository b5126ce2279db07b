"""Tensors made from a size: ConstantOfShape, EyeLike, Range and the windows of signal processing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.dims import ceil_div
from edge_rt.errors import DataError, GraphError
from edge_rt.ops._attrs import Attrs, Bool, ElementType, Int, OptionalArray, OptionalElementType
from edge_rt.ops._rules import (
    UNKNOWN,
    at_least_zero,
    contents,
    require_rank,
    settled,
    shape_of,
    shown,
    type_of,
    unknown_vector,
    vector,
)
from edge_rt.ops._spec import TRANSCENDENTAL, Array, Shape, Types, Values, define
from edge_rt.ops.cast import converted
from edge_rt.types import ANY, COMPLEX, FLOATS, NUMERIC, DType

REAL = ANY - COMPLEX

# ---- ConstantOfShape ------------------------------------------------------------------------------------------------


class ConstantOfShape(Attrs):
    """value: one element; the float32 0, if absent."""

    value = OptionalArray()


def _element(attrs: ConstantOfShape, given: Sequence[DType | None]) -> list[DType]:
    if attrs.value is None:
        return [DType.FLOAT32]
    if attrs.value.size != 1:
        raise GraphError(f"attribute 'value' must hold one element, got shape {shown(attrs.value.shape)}")
    return [DType.of(attrs.value)]


def _constant_shapes(attrs: ConstantOfShape, types: Types, values: Values) -> list[Shape | None]:
    sizes = vector(types, values, 0, "input")
    if sizes is None:
        return [unknown_vector(types, 0, "input")]
    if any(isinstance(d, int) and d < 0 for d in sizes):
        raise GraphError(f"input must not be negative, got {shown(sizes)}")
    return [sizes]


def _constant(attrs: ConstantOfShape, shape: Array) -> Array:
    if attrs.value is None:
        return np.zeros(shape.tolist(), np.float32)
    return np.full(shape.tolist(), attrs.value.reshape(()), attrs.value.dtype)


define(
    "ConstantOfShape", "input:int64 -> output:T", since=25, attrs=ConstantOfShape, shapes=_constant_shapes,
    dtypes=_element, reference=_constant, shape_inputs=(0,),
)  # fmt: skip


# ---- EyeLike --------------------------------------------------------------------------------------------------------


class EyeLike(Attrs):
    """dtype: of the output; the input's, if absent. k: the diagonal, above the main one if positive."""

    dtype = OptionalElementType()
    k = Int(0)


def _eye_dtype(attrs: EyeLike, given: Sequence[DType | None]) -> list[DType]:
    dtype = attrs.dtype or given[0]
    assert dtype is not None
    return [dtype]


def _eye(attrs: EyeLike, x: Array) -> Any:
    rows, columns = np.ogrid[: x.shape[0], : x.shape[1]]
    return (columns - rows == attrs.k).astype(attrs.dtype.numpy if attrs.dtype else x.dtype)


define(
    "EyeLike", "input:T1 -> output:T2", T1=REAL, since=22, attrs=EyeLike, dtypes=_eye_dtype, reference=_eye,
    shapes=lambda attrs, types, values: [require_rank(types, 0, 2, "input")],
)  # fmt: skip


# ---- Range ----------------------------------------------------------------------------------------------------------


class Range(Attrs):
    """stash_type: element type in which float16 is computed."""

    stash_type = ElementType(DType.FLOAT32)


def _range_shapes(attrs: Range, types: Types, values: Values) -> list[Shape]:
    for i, name in enumerate(("start", "limit", "delta")):
        if shape_of(types, i) not in ((), (1,)):
            raise GraphError(f"{name} must be a scalar, got shape {shown(shape_of(types, i))}")
    if not attrs.stash_type.is_float:
        raise GraphError(f"stash_type must be a floating type, got {attrs.stash_type.value}")
    given = [contents(values, i) for i in range(3)]
    if any(v is None for v in given):
        return [[None]]
    start, limit, delta = (v[0] for v in given if v is not None)
    if isinstance(start, float):
        return [[_float_length(start, limit, delta)]]
    if not isinstance(delta, int):
        return [[None]]
    if delta == 0:
        raise GraphError("delta must not be 0")
    return [[at_least_zero(ceil_div(limit - start, delta))]]


def _float_length(start: float, limit: float, delta: float) -> int:
    """Number of elements. Raises GraphError where it is not a number."""
    length = (limit - start) / delta if delta else math.nan
    if not math.isfinite(length):
        raise GraphError(f"limits must be finite and delta not 0, got {start}, {limit}, {delta}")
    return max(0, math.ceil(length))


def _range(attrs: Range, start: Array, limit: Array, delta: Array) -> Any:
    dtype = start.dtype
    first, last, step = (v.reshape(-1)[0].item() for v in (start, limit, delta))
    if dtype.kind != "f":
        if step == 0:
            raise DataError("delta must not be 0")
        return np.arange(first, last, step, dtype=np.int64).astype(dtype)
    try:
        length = _float_length(first, last, step)
    except GraphError as error:
        raise DataError(str(error)) from None
    wide = (attrs.stash_type.numpy if dtype == np.float16 else dtype).type
    return (wide(first) + np.arange(length).astype(wide) * wide(step)).astype(dtype)


def _range_contents(attrs: Range, types: Types, values: Values) -> list[Array | None]:
    start, limit, delta = values
    if start is None or limit is None or delta is None or delta.dtype == object:
        return UNKNOWN
    if start.dtype != object and limit.dtype != object:
        return [_range(attrs, start, limit, delta)]
    (first,), (last,), (step,) = (v.reshape(-1).tolist() for v in (start, limit, delta))
    length = int(at_least_zero(ceil_div(last - first, step)))
    return [settled([first + i * step for i in range(length)], type_of(types).dtype)]


define(
    "Range", "start:T limit:T delta:T -> output:T", T=FLOATS | {DType.INT16, DType.INT32, DType.INT64}, since=27,
    attrs=Range, shapes=_range_shapes, reference=_range, shape_inputs=(0, 1, 2), propagate=_range_contents,
)  # fmt: skip


# ---- windows --------------------------------------------------------------------------------------------------------


class Window(Attrs):
    """periodic: one period of a repeating window, instead of a symmetric one."""

    output_datatype = ElementType(DType.FLOAT32)
    periodic = Bool(True)


def _window_dtype(attrs: Window, given: Sequence[DType | None]) -> list[DType]:
    if attrs.output_datatype not in NUMERIC:
        raise GraphError(f"attribute 'output_datatype' must be a number type, got {attrs.output_datatype}")
    return [attrs.output_datatype]


def _window_shapes(attrs: Window, types: Types, values: Values) -> list[Shape]:
    if shape_of(types) not in ((), (1,)):
        raise GraphError(f"size must be a scalar, got shape {shown(shape_of(types))}")
    size = contents(values, 0)
    if size is not None and isinstance(size[0], int) and size[0] < 0:
        raise GraphError(f"size must not be negative, got {size[0]}")
    return [[None if size is None else size[0]]]


def _window(name: str, *coefficients: float) -> None:
    """A sum of cosines: a0 - a1 cos(2 pi i / n) + a2 cos(4 pi i / n)."""

    def reference(attrs: Window, size: Array) -> Any:
        count = int(size.reshape(-1)[0])
        period = count if attrs.periodic else count - 1
        angle = np.arange(count) * (2 * np.pi / period) if period else np.zeros(count)
        window = sum(a * np.cos(i * angle) * (-1) ** i for i, a in enumerate(coefficients))
        return converted(np.asarray(window, np.float64), attrs.output_datatype.numpy)

    define(
        name, "size:I -> output:T", I=frozenset({DType.INT32, DType.INT64}), since=17, attrs=Window,
        shapes=_window_shapes, dtypes=_window_dtype, reference=reference, accuracy=TRANSCENDENTAL, shape_inputs=(0,),
    )  # fmt: skip


_window("HannWindow", 0.5, 0.5)
_window("HammingWindow", 25 / 46, 21 / 46)
_window("BlackmanWindow", 0.42, 0.5, 0.08)
