"""Operators that read shapes or give a tensor another shape without touching its elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.dims import product
from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Int, OptionalInt
from edge_rt.ops._rules import (
    axes_of,
    broadcast,
    contents,
    has,
    length_of,
    moved,
    same_shape,
    scalar,
    settled,
    shape_of,
    shown,
    unknown_vector,
    vector,
)
from edge_rt.ops._spec import Array, Shape, Types, Values, define
from edge_rt.types import Dim, DType

# ---- Identity -------------------------------------------------------------------------------------------------------


def _identity(attrs: Attrs, x: Array) -> Array:
    return x


define("Identity", "input:T -> output:T", since=25, shapes=same_shape, reference=_identity, propagate=moved(_identity))


# ---- Shape, Size ----------------------------------------------------------------------------------------------------


class ShapeAttrs(Attrs):
    """start, end: part of the shape to give, as in shape[start:end]."""

    start = Int(0)
    end = OptionalInt()


def _shape_contents(attrs: ShapeAttrs, types: Types, values: Values) -> list[Array | None]:
    return [settled(shape_of(types)[attrs.start : attrs.end], DType.INT64)]


define(
    "Shape", "data:T -> shape:int64", since=25, attrs=ShapeAttrs,
    shapes=lambda attrs, types, values: [(len(shape_of(types)[attrs.start : attrs.end]),)],
    reference=lambda attrs, x: np.array(x.shape[attrs.start : attrs.end], np.int64),
    propagate=_shape_contents,
)  # fmt: skip
define(
    "Size", "data:T -> size:int64", since=25, shapes=scalar,
    reference=lambda attrs, x: np.array(x.size, np.int64),
    propagate=lambda attrs, types, values: [settled(product(shape_of(types)), DType.INT64)],
)  # fmt: skip


# ---- Flatten --------------------------------------------------------------------------------------------------------


class Flatten(Attrs):
    """axis: the first one that goes to the inner dimension; in [-r, r]."""

    axis = Int(1)


def _flat(shape: tuple[Dim, ...], axis: int) -> list[Dim]:
    rank = len(shape)
    if not -rank <= axis <= rank:
        raise GraphError(f"axis must be in [{-rank}, {rank}], got {axis}")
    axis += rank if axis < 0 else 0
    return [product(shape[:axis]), product(shape[axis:])]


def _flatten(attrs: Flatten, x: Array) -> Array:
    return np.reshape(x, _flat(x.shape, attrs.axis))


define(
    "Flatten", "input:T -> output:T", since=25, attrs=Flatten, reference=_flatten, propagate=moved(_flatten),
    shapes=lambda attrs, types, values: [_flat(shape_of(types), attrs.axis)],
)  # fmt: skip


# ---- Squeeze, Unsqueeze ---------------------------------------------------------------------------------------------


def _squeeze_shapes(attrs: Attrs, types: Types, values: Values) -> list[Shape | None]:
    shape = shape_of(types)
    if not has(types, 1):
        # `d == 1` of a symbol is False; int() of it says that the rank cannot be told
        return [[d for d in shape if int(d) != 1]]
    axes = contents(values, 1)
    if axes is None:
        count = length_of(types, 1, "axes")
        if count is None:
            return [None]
        if count > len(shape):
            raise GraphError(f"axes must be at most {len(shape)} numbers, got {count}")
        return [[None] * (len(shape) - count)]
    dropped = axes_of(axes, len(shape))
    for axis in dropped:
        if isinstance(shape[axis], int) and shape[axis] != 1:
            raise GraphError(f"axis {axis} must have size 1, got shape {shown(shape)}")
    return [[d for axis, d in enumerate(shape) if axis not in dropped]]


def _squeeze(attrs: Attrs, x: Array, axes: Array | None = None) -> Array:
    if axes is None:
        return np.squeeze(x)
    dropped = {a % max(x.ndim, 1) for a in axes.reshape(-1).tolist()}
    return np.reshape(x, [d for axis, d in enumerate(x.shape) if axis not in dropped])


define(
    "Squeeze", "data:T axes:int64? -> squeezed:T", since=25, shapes=_squeeze_shapes, reference=_squeeze,
    shape_inputs=(1,), propagate=moved(_squeeze),
)  # fmt: skip


def unsqueezed(shape: tuple[Dim, ...], axes: list[Any]) -> list[Dim]:
    rank = len(shape) + len(axes)
    new = axes_of(axes, rank)
    old = iter(shape)
    return [1 if axis in new else next(old) for axis in range(rank)]


def _unsqueeze_shapes(attrs: Attrs, types: Types, values: Values) -> list[Shape | None]:
    axes = contents(values, 1)
    if axes is None:
        count = length_of(types, 1, "axes")
        return [None if count is None else [None] * (len(shape_of(types)) + count)]
    return [unsqueezed(shape_of(types), axes)]


def _unsqueeze(attrs: Attrs, x: Array, axes: Array) -> Array:
    return np.reshape(x, unsqueezed(x.shape, axes.reshape(-1).tolist()))


define(
    "Unsqueeze", "data:T axes:int64 -> expanded:T", since=25, shapes=_unsqueeze_shapes, reference=_unsqueeze,
    shape_inputs=(1,), propagate=moved(_unsqueeze),
)  # fmt: skip


# ---- Expand ---------------------------------------------------------------------------------------------------------


def _expand_shapes(attrs: Attrs, types: Types, values: Values) -> list[Shape | None]:
    target = vector(types, values, 1, "shape")
    if target is None:
        unknown = unknown_vector(types, 1, "shape")
        return [None if unknown is None else broadcast(shape_of(types), unknown)]
    if any(isinstance(d, int) and d < 0 for d in target):
        raise GraphError(f"shape must not be negative, got {shown(target)}")
    return [broadcast(shape_of(types), target)]


def _expand(attrs: Attrs, x: Array, shape: Array) -> Array:
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape.tolist()))).copy()


define(
    "Expand", "input:T shape:int64 -> output:T", since=13, shapes=_expand_shapes, reference=_expand,
    shape_inputs=(1,), propagate=moved(_expand),
)  # fmt: skip
