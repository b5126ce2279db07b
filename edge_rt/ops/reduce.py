"""Reductions over axes. `axes` is an input; without it, or empty, all axes (none, with noop_with_empty_axes)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edge_rt.dims import maximum, minimum
from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Bool
from edge_rt.ops._rules import (
    UNKNOWN,
    axes_of,
    contents,
    has,
    integer_range,
    length_of,
    settled,
    shape_of,
    type_of,
    widened,
)
from edge_rt.ops._spec import EXACT, SUMS, Accuracy, Array, Reference, Shape, Types, ValueRule, Values, define
from edge_rt.types import FLOATS, DType

WIDE = FLOATS | {DType.INT32, DType.INT64, DType.UINT32, DType.UINT64}
ORDERED = WIDE | {DType.INT8, DType.UINT8, DType.BOOL}

Axes = tuple[int, ...]


class Reduce(Attrs):
    keepdims = Bool(True)
    noop_with_empty_axes = Bool(False)


def _reduce_shapes(attrs: Reduce, types: Types, values: Values) -> list[Shape | None]:
    shape = shape_of(types)
    axes: Any = contents(values, 1)
    if axes is None and has(types, 1) and shape_of(types, 1) != (0,):
        count = length_of(types, 1, "axes")
        if attrs.keepdims:
            return [[None] * len(shape)]
        if count is not None and count > len(shape):
            raise GraphError(f"axes must be at most {len(shape)} numbers, got {count}")
        return [None if count is None else [None] * (len(shape) - count)]
    if not axes:
        if attrs.noop_with_empty_axes:
            return [shape]
        axes = range(len(shape))
    gone = axes_of(axes, len(shape))
    if attrs.keepdims:
        return [[1 if i in gone else d for i, d in enumerate(shape)]]
    return [[d for i, d in enumerate(shape) if i not in gone]]


def reduced_axes(attrs: Reduce, x: Array, axes: Array | None) -> Axes:
    """The axes to reduce, counted from the front; none where the reduction does nothing."""
    if axes is None or axes.size == 0:
        return () if attrs.noop_with_empty_axes else tuple(range(x.ndim))
    return tuple(axes_of(axes.reshape(-1).tolist(), x.ndim))


def _reference(function: Callable[[Array, Axes, bool], Any]) -> Reference:
    def reference(attrs: Reduce, x: Array, axes: Array | None = None) -> Any:
        result = function(widened(x), reduced_axes(attrs, x, axes), attrs.keepdims)
        return np.asarray(result).astype(x.dtype, copy=False)

    return reference


def _sum(x: Array, axes: Axes, keep: bool) -> Any:
    return np.sum(x, axes, x.dtype, keepdims=keep)


def _mean(x: Array, axes: Axes, keep: bool) -> Any:
    """The mean; of integers rounded toward zero, 0 for no elements."""
    count = int(np.prod([x.shape[a] for a in axes], dtype=np.int64))
    if x.dtype.kind == "f":
        return _sum(x, axes, keep) / x.dtype.type(count)
    wide = np.uint64 if x.dtype.kind == "u" else np.int64
    total = np.sum(x, axes, wide, keepdims=keep)
    quotient = np.absolute(total).astype(np.uint64) // np.uint64(max(count, 1))
    return np.where(total < 0, -quotient.astype(np.int64), quotient.astype(wide))


def _l2(x: Array, axes: Axes, keep: bool) -> Any:
    squares = _sum(np.square(x.astype(np.float64) if x.dtype.kind != "f" else x), axes, keep)
    return np.sqrt(squares)


def _log_sum_exp(x: Array, axes: Axes, keep: bool) -> Any:
    """Shifted by the largest element, so that no finite result overflows."""
    largest = np.max(x, axes, keepdims=True, initial=-np.inf)
    shift = np.where(np.isfinite(largest), largest, 0).astype(x.dtype)
    result = np.log(np.sum(np.exp(x - shift), axes, keepdims=True)) + shift
    return result if keep else np.squeeze(result, axes)


def _extreme(x: Array, axes: Axes, keep: bool, largest: bool) -> Any:
    if x.dtype.kind == "b":
        return np.any(x, axes, keepdims=keep) if largest else np.all(x, axes, keepdims=keep)
    if x.dtype.kind == "f":
        neutral: Any = -np.inf if largest else np.inf
    else:
        neutral = integer_range(x.dtype)[0 if largest else 1]
    return (np.max if largest else np.min)(x, axes, keepdims=keep, initial=x.dtype.type(neutral))


def _max(x: Array, axes: Axes, keep: bool) -> Any:
    return _extreme(x, axes, keep, True)


def _min(x: Array, axes: Axes, keep: bool) -> Any:
    return _extreme(x, axes, keep, False)


def _contents(reference: Reference, ufunc: Any) -> ValueRule:
    """Contents of a reduction of symbolic elements by an elementwise function of two."""

    def rule(attrs: Reduce, types: Types, values: Values) -> list[Array | None]:
        x, axes = values[0], values[1] if len(values) > 1 else None
        if x is None or (has(types, 1) and (axes is None or axes.dtype == object)):
            return UNKNOWN
        if x.dtype != object:
            with np.errstate(all="ignore"):
                return [reference(attrs, *values)]
        found = reduced_axes(attrs, x, axes)
        if any(x.shape[a] == 0 for a in found):
            return UNKNOWN
        result: Any = x
        for axis in found:
            result = np.expand_dims(ufunc.reduce(result, axis), axis)
        return [settled(result if attrs.keepdims else np.squeeze(result, found), type_of(types).dtype)]

    return rule


def _define(
    name: str,
    function: Callable[[Array, Axes, bool], Any],
    types: frozenset[DType] = WIDE,
    since: int = 18,
    accuracy: Accuracy = SUMS,
    symbolic: Any = None,
) -> None:
    reference = _reference(function)
    define(
        name, "data:T axes:int64? -> reduced:T", T=types, since=since, attrs=Reduce, shapes=_reduce_shapes,
        reference=reference, accuracy=accuracy, shape_inputs=(1,),
        propagate=None if symbolic is None else _contents(reference, symbolic),
    )  # fmt: skip


_define("ReduceSum", _sum, since=13, symbolic=np.add)
_define("ReduceMean", _mean)
_define("ReduceProd", lambda x, axes, keep: np.prod(x, axes, x.dtype, keepdims=keep), symbolic=np.multiply)
_define("ReduceMax", _max, ORDERED, 20, EXACT, np.frompyfunc(maximum, 2, 1))
_define("ReduceMin", _min, ORDERED, 20, EXACT, np.frompyfunc(minimum, 2, 1))
_define("ReduceL1", lambda x, axes, keep: _sum(np.absolute(x), axes, keep))
_define("ReduceL2", _l2)
_define("ReduceSumSquare", lambda x, axes, keep: _sum(np.square(x), axes, keep))
_define("ReduceLogSum", lambda x, axes, keep: np.log(_sum(x, axes, keep)), FLOATS, 28)
_define("ReduceLogSumExp", _log_sum_exp, FLOATS, 28)
