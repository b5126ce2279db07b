"""Order and running totals along an axis: TopK, Unique, CumSum, CumProd."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import DataError, GraphError
from edge_rt.ops._attrs import Attrs, Bool, Int, OptionalInt
from edge_rt.ops._rules import axis_of, contents, require_number, shape_of, widened
from edge_rt.ops._spec import SUMS, Array, Shape, Types, Values, define
from edge_rt.types import FLOATS, NUMERIC, DType

# ---- TopK -----------------------------------------------------------------------------------------------------------


class TopK(Attrs):
    """sorted: whether the order of the output matters; it is always sorted here."""

    axis = Int(-1)
    largest = Bool(True)
    sorted = Bool(True)


def _top_k_shapes(attrs: TopK, types: Types, values: Values) -> list[Shape]:
    shape: list[Any] = list(shape_of(types))
    axis = axis_of(attrs.axis, len(shape))
    k = contents(values, 1)
    if k is not None:
        if len(k) != 1:
            raise GraphError(f"K must hold one number, got {k}")
        if isinstance(k[0], int) and (k[0] < 0 or (isinstance(shape[axis], int) and k[0] > shape[axis])):
            raise GraphError(f"K must be in [0, {shape[axis]}], got {k[0]}")
    shape[axis] = None if k is None else k[0]
    return [shape, shape]


def _top_k(attrs: TopK, x: Array, k: Array) -> tuple[Any, Any]:
    """Among equal elements those with the lower index come first; NaN counts as larger than all numbers."""
    axis, count = axis_of(attrs.axis, x.ndim), int(k.reshape(-1)[0])
    if not 0 <= count <= x.shape[axis]:
        raise DataError(f"K must be in [0, {x.shape[axis]}], got {count}")
    if attrs.largest:
        # a stable ascending sort of the flipped axis, flipped back, is a stable descending one
        flipped = np.argsort(np.flip(x, axis), axis, kind="stable")
        order = x.shape[axis] - 1 - np.flip(flipped, axis)
    else:
        order = np.argsort(x, axis, kind="stable")
    first = np.take(order, np.arange(count), axis)
    return np.take_along_axis(x, first, axis), first


define(
    "TopK", "X:T K:int64 -> Values:T Indices:int64", T=NUMERIC, since=24, attrs=TopK, shapes=_top_k_shapes,
    reference=_top_k, shape_inputs=(1,),
)  # fmt: skip


# ---- Unique ---------------------------------------------------------------------------------------------------------


class Unique(Attrs):
    """axis: of the subtensors to compare; without it, elements are. sorted: else in the order of first occurrence."""

    axis = OptionalInt()
    sorted = Bool(True)


def _unique_shapes(attrs: Unique, types: Types, values: Values) -> list[Shape]:
    shape: list[Any] = list(shape_of(types))
    axis = None if attrs.axis is None else axis_of(attrs.axis, len(shape))
    x = values[0]
    if x is not None and x.dtype != object:
        return [result.shape for result in _unique(attrs, x)]
    if axis is None:
        length: Any = 1
        for d in shape:
            length = length * d
        return [[None], [None], [length], [None]]
    return [[*shape[:axis], None, *shape[axis + 1 :]], [None], [shape[axis]], [None]]


def _unique(attrs: Unique, x: Array) -> tuple[Array, ...]:
    found, indices, inverse, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, axis=attrs.axis
    )
    inverse = inverse.reshape(-1)
    if not attrs.sorted:
        order = np.argsort(indices, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        found = np.take(found, order, 0 if attrs.axis is None else attrs.axis)
        indices, counts, inverse = indices[order], counts[order], rank[inverse]
    return found, indices.astype(np.int64), inverse.astype(np.int64), counts.astype(np.int64)


define(
    "Unique", "X:T -> Y:T indices:int64 inverse_indices:int64 counts:int64", since=28, attrs=Unique,
    shapes=_unique_shapes, reference=_unique,
)  # fmt: skip


# ---- CumSum, CumProd ------------------------------------------------------------------------------------------------


class Cumulative(Attrs):
    """exclusive: each result leaves out the element at its own place; reverse: from the end of the axis."""

    exclusive = Bool(False)
    reverse = Bool(False)


def _cumulative(name: str, since: int, ufunc: Any) -> None:
    def reference(attrs: Cumulative, x: Array, axis: Array) -> Any:
        along = int(axis.reshape(-1)[0])
        if not -x.ndim <= along < x.ndim:
            raise DataError(f"axis must be in [{-x.ndim}, {x.ndim - 1}], got {along}")
        wide = np.moveaxis(widened(x), along, 0)
        wide = wide[::-1] if attrs.reverse else wide
        if attrs.exclusive:
            shifted = np.empty_like(wide)
            shifted[:1], shifted[1:] = ufunc.identity, wide[:-1]
            wide = shifted
        total = ufunc.accumulate(wide, 0, x.dtype if wide.dtype == x.dtype else None)
        return np.moveaxis(total[::-1] if attrs.reverse else total, 0, along).astype(x.dtype, copy=False)

    def shapes(attrs: Cumulative, types: Types, values: Values) -> list[Shape]:
        require_number(types, 1, "axis")
        return [shape_of(types)]

    define(
        name, "x:T axis:I -> y:T", since=since, attrs=Cumulative, shapes=shapes, reference=reference,
        accuracy=SUMS, T=FLOATS | {DType.INT32, DType.INT64, DType.UINT32, DType.UINT64},
        I=frozenset({DType.INT32, DType.INT64}),
    )  # fmt: skip


_cumulative("CumSum", 14, np.add)
_cumulative("CumProd", 26, np.multiply)
