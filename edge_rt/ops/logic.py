"""Comparisons, booleans, bits, and the choice between two tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edge_rt.dims import is_nonnegative
from edge_rt.errors import SymbolicDimError
from edge_rt.ops._attrs import Attrs, Bool, Str
from edge_rt.ops._rules import broadcast_shapes, computed, moved, same_shape
from edge_rt.ops._spec import Array, define
from edge_rt.types import FLOATS, INTEGERS, NUMERIC, DType

BOOL = frozenset({DType.BOOL})


def sign_of_difference(a: Any, b: Any) -> tuple[int, int]:
    """Bounds of the sign of a - b, for sizes and numbers: (1, 1) if a is larger, (0, 1) if it is not smaller ..."""
    difference = a - b
    if isinstance(difference, int):
        sign = (difference > 0) - (difference < 0)
        return sign, sign
    low = 1 if is_nonnegative(difference - 1) else 0 if is_nonnegative(difference) else -1
    high = -1 if is_nonnegative(-difference - 1) else 0 if is_nonnegative(-difference) else 1
    return low, high


def _decided(name: str, true_for: tuple[int, ...]) -> Callable[[Any, Any], bool]:
    def decide(a: Any, b: Any) -> bool:
        low, high = sign_of_difference(a, b)
        possible = range(low, high + 1)
        answers = {sign in true_for for sign in possible}
        if len(answers) == 1:
            return answers.pop()
        raise SymbolicDimError(f"{name} of {a} and {b} is not known yet")

    return decide


def _comparison(name: str, since: int, function: Any, true_for: tuple[int, ...], types: frozenset[DType]) -> None:
    def reference(attrs: Attrs, a: Array, b: Array) -> Any:
        return function(a, b)

    define(
        name, "A:T B:T -> C:bool", T=types, since=since, shapes=broadcast_shapes,
        reference=reference, propagate=computed(reference, _decided(name, true_for), gives=DType.BOOL),
    )  # fmt: skip


_comparison("Equal", 19, np.equal, (0,), NUMERIC | BOOL)
_comparison("Greater", 13, np.greater, (1,), NUMERIC)
_comparison("GreaterOrEqual", 16, np.greater_equal, (0, 1), NUMERIC)
_comparison("Less", 13, np.less, (-1,), NUMERIC)
_comparison("LessOrEqual", 16, np.less_equal, (-1, 0), NUMERIC)


# ---- booleans -------------------------------------------------------------------------------------------------------


def _boolean(name: str, function: Any) -> None:
    define(
        name, "A:bool B:bool -> C:bool", since=7, shapes=broadcast_shapes,
        reference=lambda attrs, a, b: function(a, b),
    )  # fmt: skip


_boolean("And", np.logical_and)
_boolean("Or", np.logical_or)
_boolean("Xor", np.logical_xor)
define("Not", "X:bool -> Y:bool", shapes=same_shape, reference=lambda attrs, x: np.logical_not(x))


class IsInf(Attrs):
    detect_negative = Bool(True)
    detect_positive = Bool(True)


def _is_infinite(attrs: IsInf, x: Array) -> Any:
    return ((x == np.inf) & attrs.detect_positive) | ((x == -np.inf) & attrs.detect_negative)


define("IsInf", "X:T -> Y:bool", T=FLOATS, since=20, attrs=IsInf, shapes=same_shape, reference=_is_infinite)
define("IsNaN", "X:T -> Y:bool", T=FLOATS, since=20, shapes=same_shape, reference=lambda attrs, x: np.isnan(x))


# ---- choice ---------------------------------------------------------------------------------------------------------


def _where(attrs: Attrs, condition: Array, x: Array, y: Array) -> Any:
    return np.where(condition, x, y)


define(
    "Where", "condition:bool X:T Y:T -> output:T", since=16, shapes=broadcast_shapes,
    reference=_where, propagate=moved(_where, (1, 2)),
)  # fmt: skip


# ---- bits -----------------------------------------------------------------------------------------------------------


def _bitwise(name: str, function: Any) -> None:
    define(
        name, "A:T B:T -> C:T", T=INTEGERS, since=18, shapes=broadcast_shapes,
        reference=lambda attrs, a, b: function(a, b),
    )  # fmt: skip


_bitwise("BitwiseAnd", np.bitwise_and)
_bitwise("BitwiseOr", np.bitwise_or)
_bitwise("BitwiseXor", np.bitwise_xor)
define("BitwiseNot", "X:T -> Y:T", T=INTEGERS, since=18, shapes=same_shape, reference=lambda attrs, x: np.invert(x))


class BitShift(Attrs):
    direction = Str(choices=("LEFT", "RIGHT"))


def _shift(attrs: BitShift, x: Array, y: Array) -> Any:
    """Shifts by less than 0 or by at least the width leave only copies of the sign (right) or zeros."""
    outside = (y < 0) | (y >= 8 * x.dtype.itemsize)
    amount = np.where(outside, y.dtype.type(0), y)
    if attrs.direction == "LEFT":
        return np.where(outside, x.dtype.type(0), np.left_shift(x, amount))
    copies_of_sign = np.negative((x < 0).astype(x.dtype))
    return np.where(outside, copies_of_sign, np.right_shift(x, amount))


define("BitShift", "X:T Y:T -> Z:T", T=INTEGERS, since=28, attrs=BitShift, shapes=broadcast_shapes, reference=_shift)
