"""Softmax, LogSoftmax and Hardmax along one axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.ops._attrs import Attrs, Int
from edge_rt.ops._rules import axis_of, shape_of, unary_with
from edge_rt.ops._spec import TRANSCENDENTAL, Accuracy, Array, Shape, Types, Values, define
from edge_rt.types import FLOATS

LOG_OF_SUM = Accuracy(rtol=2e-6, atol=1e-6)
"""The sum is rounded, so that its logarithm near 0 has the error of a number near 1."""


class Softmax(Attrs):
    axis = Int(-1)


def _shapes(attrs: Softmax, types: Types, values: Values) -> list[Shape]:
    shape = shape_of(types)
    axis_of(attrs.axis, len(shape))
    return [shape]


def _shifted(x: Array, axis: int) -> Any:
    """x - max(x), so that exp cannot overflow."""
    return x - np.max(x, axis, keepdims=True, initial=-np.inf)


def softmax(x: Array, attrs: Softmax) -> Any:
    powers = np.exp(_shifted(x, attrs.axis))
    return powers / np.sum(powers, attrs.axis, keepdims=True)


def _log_softmax(x: Array, attrs: Softmax) -> Any:
    shifted = _shifted(x, attrs.axis)
    return shifted - np.log(np.sum(np.exp(shifted), attrs.axis, keepdims=True))


def _hardmax(x: Array, attrs: Softmax) -> Any:
    """1 at the first of the largest elements, else 0."""
    result = np.zeros_like(x)
    if x.size:
        np.put_along_axis(result, np.expand_dims(np.argmax(x, attrs.axis), attrs.axis), x.dtype.type(1), attrs.axis)
    return result


define("Softmax", "input:T -> output:T", T=FLOATS, since=13, attrs=Softmax, shapes=_shapes, accuracy=TRANSCENDENTAL,
       reference=unary_with(softmax))  # fmt: skip
define("LogSoftmax", "input:T -> output:T", T=FLOATS, since=13, attrs=Softmax, shapes=_shapes,
       accuracy=LOG_OF_SUM, reference=unary_with(_log_softmax))  # fmt: skip
define("Hardmax", "input:T -> output:T", T=FLOATS, since=13, attrs=Softmax, shapes=_shapes,
       reference=unary_with(_hardmax))  # fmt: skip
