"""ArgMax and ArgMin: positions of the largest and the smallest numbers along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Bool, Int
from edge_rt.ops._rules import axis_of, shape_of, shown
from edge_rt.ops._spec import Array, Reference, Shape, Types, Values, define
from edge_rt.types import NUMERIC


class ArgReduce(Attrs):
    axis = Int(0)
    keepdims = Bool(True)
    select_last_index = Bool(False)


def _arg_shapes(attrs: ArgReduce, types: Types, values: Values) -> list[Shape]:
    shape = shape_of(types)
    axis = axis_of(attrs.axis, len(shape))
    if shape[axis] == 0:
        raise GraphError(f"axis {axis} must not be empty, got shape {shown(shape)}")
    return [(*shape[:axis], *([1] if attrs.keepdims else []), *shape[axis + 1 :])]


def _arg(function: Any) -> Reference:
    def reference(attrs: ArgReduce, x: Array) -> Any:
        axis = axis_of(attrs.axis, x.ndim)
        if attrs.select_last_index:
            found = x.shape[axis] - 1 - function(np.flip(x, axis), axis)
        else:
            found = function(x, axis)
        return np.expand_dims(found, axis) if attrs.keepdims else found

    return reference


for _name, _function in (("ArgMax", np.argmax), ("ArgMin", np.argmin)):
    define(
        _name, "data:T -> reduced:int64", T=NUMERIC, since=13, attrs=ArgReduce, shapes=_arg_shapes,
        reference=_arg(_function),
    )  # fmt: skip
