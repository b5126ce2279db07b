"""Arithmetic, comparison, logic and reductions. A Python number takes the dtype of the tensor beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_rt.types import DType
from exporter.authoring.dispatch import apply, convert, pair
from exporter.authoring.tensor import Tensor, as_dtype

Axis = Any
"""An axis, a sequence of them, or None for all."""


def _unary(op: str, what: str) -> Callable[..., Tensor]:
    def function(x: Any, name: str | None = None) -> Tensor:
        result: Tensor = apply(op, x, name=name)
        return result

    function.__doc__ = f"{what}, element by element: the operator {op}."
    return function


def _binary(op: str, what: str) -> Callable[..., Tensor]:
    def function(x: Any, y: Any, name: str | None = None) -> Tensor:
        result: Tensor = apply(op, *pair(x, y), name=name)
        return result

    function.__doc__ = f"{what}, element by element, with broadcasting: the operator {op}."
    return function


abs = _unary("Abs", "|x|")
acos = _unary("Acos", "Inverse cosine")
acosh = _unary("Acosh", "Inverse hyperbolic cosine")
asin = _unary("Asin", "Inverse sine")
asinh = _unary("Asinh", "Inverse hyperbolic sine")
atan = _unary("Atan", "Inverse tangent")
atanh = _unary("Atanh", "Inverse hyperbolic tangent")
ceil = _unary("Ceil", "The smallest integer not below x")
cos = _unary("Cos", "Cosine")
cosh = _unary("Cosh", "Hyperbolic cosine")
erf = _unary("Erf", "The error function")
exp = _unary("Exp", "e ** x")
floor = _unary("Floor", "The largest integer not above x")
is_nan = _unary("IsNaN", "Whether x is not a number")
log = _unary("Log", "Natural logarithm")
logical_not = _unary("Not", "Not x")
negative = _unary("Neg", "-x")
reciprocal = _unary("Reciprocal", "1 / x")
round = _unary("Round", "The nearest integer, the even one of two")
sigmoid = _unary("Sigmoid", "1 / (1 + exp(-x))")
sign = _unary("Sign", "-1, 0 or 1")
sin = _unary("Sin", "Sine")
sinh = _unary("Sinh", "Hyperbolic sine")
softplus = _unary("Softplus", "log(1 + exp(x))")
sqrt = _unary("Sqrt", "Square root")
tan = _unary("Tan", "Tangent")
tanh = _unary("Tanh", "Hyperbolic tangent")

add = _binary("Add", "x + y")
equal = _binary("Equal", "x == y")
greater = _binary("Greater", "x > y")
greater_equal = _binary("GreaterOrEqual", "x >= y")
less = _binary("Less", "x < y")
less_equal = _binary("LessOrEqual", "x <= y")
logical_and = _binary("And", "x and y")
logical_or = _binary("Or", "x or y")
logical_xor = _binary("Xor", "Either x or y")
matmul_only = _binary("MatMul", "Matrix product of the last two axes")
maximum = _binary("Max", "The larger of x and y")
minimum = _binary("Min", "The smaller of x and y")
mod = _binary("Mod", "The remainder of x / y, with the sign of y")
multiply = _binary("Mul", "x * y")
pow = _binary("Pow", "x ** y, in the dtype of x")
subtract = _binary("Sub", "x - y")


def matmul(a: Any, b: Any, transpose_a: bool = False, transpose_b: bool = False, name: str | None = None) -> Tensor:
    """a @ b over the last two axes, others broadcast. transpose_a, transpose_b: swap these axes first."""
    a, b = pair(a, b)
    return matmul_only(_swapped(a) if transpose_a else a, _swapped(b) if transpose_b else b, name=name)


def _swapped(x: Any) -> Tensor:
    rank = x.ndim
    result: Tensor = apply("Transpose", x, perm=[*range(rank - 2), rank - 1, rank - 2])
    return result


def not_equal(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x != y, element by element."""
    return logical_not(equal(x, y), name=name)


def divide(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y; integers are divided as float32."""
    x, y = pair(x, y)
    if x.type.dtype.is_integer and y.type.dtype.is_integer:
        x, y = cast(x, DType.FLOAT32), cast(y, DType.FLOAT32)
    result: Tensor = apply("Div", x, y, name=name)
    return result


def floordiv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """x / y, rounded down."""
    x, y = pair(x, y)
    if x.type.dtype.is_float:
        return floor(apply("Div", x, y), name=name)
    result: Tensor = apply("Div", subtract(x, mod(x, y)), y, name=name)
    return result


def bitwise_and(x: Any, y: Any) -> Tensor:
    """x & y; "and" of booleans."""
    return _logic("And", "BitwiseAnd", x, y)


def bitwise_or(x: Any, y: Any) -> Tensor:
    """x | y; "or" of booleans."""
    return _logic("Or", "BitwiseOr", x, y)


def bitwise_xor(x: Any, y: Any) -> Tensor:
    """x ^ y; "either or" of booleans."""
    return _logic("Xor", "BitwiseXor", x, y)


def invert(x: Any) -> Tensor:
    """~x; "not" of booleans."""
    return _logic("Not", "BitwiseNot", x)


def _logic(boolean: str, integer: str, *operands: Any) -> Tensor:
    given = pair(*operands) if len(operands) == 2 else (convert(operands[0]),)
    result: Tensor = apply(boolean if given[0].type.dtype is DType.BOOL else integer, *given)
    return result


def square(x: Any, name: str | None = None) -> Tensor:
    """x * x."""
    x = convert(x)
    return multiply(x, x, name=name)


def squared_difference(x: Any, y: Any) -> Tensor:
    """(x - y) ** 2."""
    return square(subtract(x, y))


def rsqrt(x: Any, name: str | None = None) -> Tensor:
    """1 / sqrt(x)."""
    return reciprocal(sqrt(x), name=name)


def log1p(x: Any) -> Tensor:
    """log(1 + x)."""
    return log(add(x, 1))


def expm1(x: Any) -> Tensor:
    """exp(x) - 1."""
    return subtract(exp(x), 1)


def add_n(values: Sequence[Any]) -> Tensor:
    """The sum of several tensors."""
    result: Tensor = apply("Sum", *values)
    return result


def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
    """x with another dtype. Of floats to integers the fraction is cut off."""
    from exporter.authoring.dispatch import convert_to_tensor

    x, to = convert(x), as_dtype(dtype)
    if x.type.dtype is to:
        return convert_to_tensor(x)
    result: Tensor = apply("Cast", x, to=to, name=name)
    return result


def clip_by_value(x: Any, low: Any, high: Any, name: str | None = None) -> Tensor:
    """x limited to [low, high], which are numbers or scalar tensors."""
    x = convert(x)
    dtype = x.type.dtype
    result: Tensor = apply("Clip", x, convert(low, dtype), convert(high, dtype), name=name)
    return result


def argmax(x: Any, axis: int = 0, name: str | None = None) -> Tensor:
    """Index int64 of the largest element along an axis, the first of several."""
    result: Tensor = apply("ArgMax", x, axis=axis, keepdims=False, name=name)
    return result


def argmin(x: Any, axis: int = 0, name: str | None = None) -> Tensor:
    """Index int64 of the smallest element along an axis, the first of several."""
    result: Tensor = apply("ArgMin", x, axis=axis, keepdims=False, name=name)
    return result


def cumsum(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Tensor:
    """Running sums along an axis."""
    result: Tensor = apply("CumSum", x, np.array(axis, np.int64), exclusive=exclusive, reverse=reverse)
    return result


def _reduction(op: str, what: str) -> Callable[..., Tensor]:
    def function(x: Any, axis: Axis = None, keepdims: bool = False, name: str | None = None) -> Tensor:
        axes = None if axis is None else np.array([axis] if isinstance(axis, int) else list(axis), np.int64)
        if axes is not None and not axes.size:
            result: Tensor = apply("Identity", x, name=name)
        else:
            result = apply(op, x, axes, keepdims=keepdims, name=name)
        return result

    function.__doc__ = f"{what} over `axis` (one, several, or None for all): the operator {op}."
    return function


reduce_logsumexp = _reduction("ReduceLogSumExp", "log(sum(exp(x)))")
reduce_max = _reduction("ReduceMax", "The largest element")
reduce_mean = _reduction("ReduceMean", "The mean")
reduce_min = _reduction("ReduceMin", "The smallest element")
reduce_prod = _reduction("ReduceProd", "The product")
reduce_sum = _reduction("ReduceSum", "The sum")


def reduce_any(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether any element is true."""
    return reduce_max(x, axis, keepdims)


def reduce_all(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether all elements are true."""
    return reduce_min(x, axis, keepdims)


def reduce_variance(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean of the squared differences from the mean."""
    x = convert(x)
    return reduce_mean(square(subtract(x, reduce_mean(x, axis, True))), axis, keepdims)


def reduce_std(x: Any, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The square root of the variance."""
    return sqrt(reduce_variance(x, axis, keepdims))


def einsum(equation: str, *operands: Any, name: str | None = None) -> Tensor:
    """Sums of products over named axes, as in NumPy."""
    result: Tensor = apply("Einsum", *operands, equation=equation, name=name)
    return result


def l2_normalize(x: Any, axis: Axis = None, epsilon: float = 1e-12) -> Tensor:
    """x / sqrt(max(sum(x ** 2), epsilon))."""
    x = convert(x)
    return multiply(x, rsqrt(maximum(reduce_sum(square(x), axis, True), epsilon)))
