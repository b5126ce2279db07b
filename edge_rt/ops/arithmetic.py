"""Elementwise arithmetic: sums, products, quotients, extrema, rounding."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np

from edge_rt import dims
from edge_rt.errors import DataError, GraphError, SymbolicDimError
from edge_rt.ops._attrs import Attrs, Bool
from edge_rt.ops._rules import (
    broadcast_shapes,
    computed,
    integer_range,
    same_shape,
    shape_of,
    shown,
    unary,
    widened,
)
from edge_rt.ops._spec import ARITHMETIC, SUMS, Array, Reference, Types, Values, define
from edge_rt.types import FLOATS, NUMERIC, SIGNED, DType

Number = Any


def _divisor(b: Array) -> Array:
    """The divisor of an integer division. Raises DataError if an element is 0."""
    if not np.all(b):
        raise DataError("divisor must not be 0")
    return b


def divide(a: Array, b: Array) -> Any:
    """a / b; of integers rounded toward zero, and the smallest integer / -1 wraps to itself."""
    if a.dtype.kind == "f":
        return np.divide(a, b)
    quotient = np.floor_divide(a, _divisor(b))
    if a.dtype.kind == "u":
        return quotient
    inexact = quotient * b != a
    return (quotient + (inexact & ((a < 0) != (b < 0)))).astype(a.dtype)


def modulo(attrs: Mod, a: Array, b: Array) -> Any:
    """The remainder; with the sign of a if `fmod`, else of b."""
    if a.dtype.kind == "f":
        return np.fmod(a, b) if attrs.fmod else np.mod(a, b)
    b = _divisor(b)
    if a.dtype.kind == "i":
        # x % -1 is 0 for every x, and traps on x86 for the smallest one
        b = np.where(b == -1, b.dtype.type(1), b)
    return np.fmod(a, b) if attrs.fmod else np.mod(a, b)


def power(attrs: Attrs, x: Array, y: Array) -> Any:
    """x ** y as the dtype of x. Integers wrap; a negative exponent gives what is left of 1 / x ** -y, 0 for x = 0."""
    if x.dtype.kind == "i" and y.dtype.kind in "iu":
        low, high = integer_range(np.dtype(np.int64))
        exponent = np.minimum(y, high).astype(np.int64) if y.dtype == np.uint64 else y.astype(np.int64)
        base = x.astype(np.int64)
        result = np.power(base, np.abs(np.maximum(exponent, low + 1)))
        return np.where((exponent >= 0) | (np.abs(base) == 1), result, 0).astype(x.dtype)
    return np.power(widened(x), widened(y)).astype(x.dtype)


def clip(attrs: Attrs, x: Array, low: Array | None = None, high: Array | None = None) -> Any:
    """x limited to [low, high]; `high` where low > high. NaN stays."""
    result: Any = x
    if low is not None:
        result = np.maximum(result, low.reshape(()))
    if high is not None:
        result = np.minimum(result, high.reshape(()))
    return result


def _clip_shapes(attrs: Attrs, types: Types, values: Values) -> list[tuple[Any, ...]]:
    for i, name in ((1, "min"), (2, "max")):
        if i < len(types) and types[i] is not None and shape_of(types, i) not in ((), (1,)):
            raise GraphError(f"{name} must be a scalar, got shape {shown(shape_of(types, i))}")
    return [shape_of(types)]


def _mean(attrs: Attrs, *inputs: Array) -> Any:
    total = reduce(np.add, map(widened, inputs))
    return np.divide(total, total.dtype.type(len(inputs))).astype(inputs[0].dtype)


def _symbolic_divide(a: Number, b: Number) -> Number:
    if isinstance(b, int) and b == 0:
        raise SymbolicDimError("divisor is 0")
    return dims.trunc_div(a, b)


def _symbolic_modulo(a: Number, b: Number) -> Number:
    if dims.is_nonnegative(a) and dims.is_nonnegative(b) and dims.is_nonnegative(b - 1):
        return a % b
    raise SymbolicDimError(f"the sign of {a} % {b} is not known yet")


def _binary(name: str, since: int, reference: Reference, symbolic: Callable[[Number, Number], Number]) -> None:
    define(
        name, "A:T B:T -> C:T", T=NUMERIC, since=since, shapes=broadcast_shapes, accuracy=ARITHMETIC,
        reference=reference, propagate=computed(reference, symbolic),
    )  # fmt: skip


def _extremum(name: str, function: Any, symbolic: Callable[[Number, Number], Number]) -> None:
    def reference(attrs: Attrs, *inputs: Array) -> Any:
        return reduce(function, inputs)

    define(
        name, "data_0:T more:T* -> out:T", T=NUMERIC, since=13, shapes=broadcast_shapes,
        reference=reference, propagate=computed(reference, symbolic),
    )  # fmt: skip


class Mod(Attrs):
    fmod = Bool(False)


_binary("Add", 14, lambda attrs, a, b: np.add(a, b), lambda a, b: a + b)
_binary("Sub", 14, lambda attrs, a, b: np.subtract(a, b), lambda a, b: a - b)
_binary("Mul", 14, lambda attrs, a, b: np.multiply(a, b), lambda a, b: a * b)
_binary("Div", 14, lambda attrs, a, b: divide(a, b), _symbolic_divide)
define(
    "Mod", "A:T B:T -> C:T", T=NUMERIC, since=28, attrs=Mod, shapes=broadcast_shapes,
    reference=modulo, propagate=computed(modulo, _symbolic_modulo),
)  # fmt: skip
define(
    "Pow", "X:T Y:T1 -> Z:T", since=15, shapes=broadcast_shapes, accuracy=ARITHMETIC, reference=power,
    T=FLOATS | {DType.INT32, DType.INT64}, T1=NUMERIC,
)  # fmt: skip

# NaN in any input gives NaN
_extremum("Max", np.maximum, dims.maximum)
_extremum("Min", np.minimum, dims.minimum)
define(
    "Sum", "data_0:T more:T* -> sum:T", T=FLOATS, since=13, shapes=broadcast_shapes, accuracy=SUMS,
    reference=lambda attrs, *inputs: reduce(np.add, map(widened, inputs)).astype(inputs[0].dtype),
)  # fmt: skip
define(
    "Mean", "data_0:T more:T* -> mean:T", T=FLOATS, since=13, shapes=broadcast_shapes, accuracy=SUMS,
    reference=_mean,
)  # fmt: skip
define("Clip", "input:T min:T? max:T? -> output:T", T=NUMERIC, since=13, shapes=_clip_shapes, reference=clip)


def _negate(attrs: Attrs, x: Array) -> Any:
    return np.negative(x)


def _square_root(x: Array) -> Any:
    return np.sqrt(x)


define(
    "Neg", "X:T -> Y:T", T=FLOATS | SIGNED, since=13, shapes=same_shape,
    reference=_negate, propagate=computed(_negate, lambda x: -x),
)  # fmt: skip
define("Abs", "X:T -> Y:T", T=NUMERIC, since=13, shapes=same_shape, reference=lambda attrs, x: np.absolute(x))
define("Sign", "input:T -> output:T", T=NUMERIC, since=13, shapes=same_shape, reference=lambda attrs, x: np.sign(x))
define("Ceil", "X:T -> Y:T", T=FLOATS, since=13, shapes=same_shape, reference=lambda attrs, x: np.ceil(x))
define("Floor", "X:T -> Y:T", T=FLOATS, since=13, shapes=same_shape, reference=lambda attrs, x: np.floor(x))
define("Round", "X:T -> Y:T", T=FLOATS, since=22, shapes=same_shape, reference=lambda attrs, x: np.rint(x))
define("Sqrt", "X:T -> Y:T", T=FLOATS, since=13, shapes=same_shape, accuracy=ARITHMETIC, reference=unary(np.sqrt))
define(
    "Reciprocal", "X:T -> Y:T", T=FLOATS, since=13, shapes=same_shape, accuracy=ARITHMETIC,
    reference=unary(lambda x: np.divide(x.dtype.type(1), x)),
)  # fmt: skip
