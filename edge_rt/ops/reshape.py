"""Reshape: what most models have of the operators that leave elements where they are, in a file that is soon read."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.dims import floor_div, product
from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Bool
from edge_rt.ops._rules import moved, shape_of, shown, unknown_vector, vector
from edge_rt.ops._spec import Array, Shape, Types, Values, define
from edge_rt.types import Dim


class Reshape(Attrs):
    """allowzero: a 0 in the shape means 0, not "as the input"."""

    allowzero = Bool(False)


def reshaped(shape: tuple[Dim, ...], target: list[Any], allowzero: bool) -> list[Dim]:
    """The shape that `target` asks for, with its -1 and 0 replaced. Raises GraphError where that cannot be."""
    result: list[Dim] = []
    free = -1
    for axis, size in enumerate(target):
        if isinstance(size, int) and size <= 0:
            if size == -1 and free < 0:
                free, size = axis, 1
            elif size < 0 or (size == 0 and not allowzero and axis >= len(shape)):
                raise GraphError(
                    f"shape must have one -1 at most, and 0 only where {shown(shape)} has an axis; got {shown(target)}"
                )
            elif size == 0 and not allowzero:
                size = shape[axis]
        result.append(size)
    total, rest = product(shape), product(result)
    if free >= 0:
        if rest == 0 or (isinstance(total, int) and isinstance(rest, int) and total % rest):
            raise GraphError(f"shape must keep the number of elements of {shown(shape)}, got {shown(target)}")
        result[free] = floor_div(total, rest)
    elif isinstance(total, int) and isinstance(rest, int) and total != rest:
        raise GraphError(f"shape must keep the number of elements of {shown(shape)}, got {shown(target)}")
    return result


def _reshape_shapes(attrs: Reshape, types: Types, values: Values) -> list[Shape | None]:
    target = vector(types, values, 1, "shape")
    if target is None:
        return [unknown_vector(types, 1, "shape")]
    return [reshaped(shape_of(types), target, attrs.allowzero)]


def _reshape(attrs: Reshape, x: Array, shape: Array) -> Array:
    return np.reshape(x, reshaped(x.shape, shape.tolist(), attrs.allowzero))


define(
    "Reshape", "data:T shape:int64 -> reshaped:T", since=25, attrs=Reshape, shapes=_reshape_shapes,
    reference=_reshape, shape_inputs=(1,), propagate=moved(_reshape),
)  # fmt: skip
