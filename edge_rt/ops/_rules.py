"""Shape rules and value rules that several operator families share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from edge_rt.dims import Sym, is_known, is_limited, is_nonnegative, maximum
from edge_rt.errors import DataError, GraphError
from edge_rt.ops._attrs import Attrs
from edge_rt.ops._spec import Array, Reference, Types, ValueRule, Values
from edge_rt.types import Dim, DType, TensorType

UNKNOWN: list[Array | None] = [None]
"""Contents of the only output where nothing is known."""


# ---- reading the arguments of a rule --------------------------------------------------------------------------------


def type_of(types: Types, index: int = 0) -> TensorType:
    """Type of an input that is there."""
    found = types[index]
    assert found is not None
    return found


def shape_of(types: Types, index: int = 0) -> tuple[Dim, ...]:
    """Shape of an input that is there (rules run only where all ranks are known)."""
    shape = type_of(types, index).shape
    assert shape is not None
    return shape


def has(types: Types, index: int) -> bool:
    """Whether an optional input is there."""
    return index < len(types) and types[index] is not None


def contents(values: Values, index: int) -> list[Any] | None:
    """Known elements of an input, flat: numbers and Syms. None if unknown or absent."""
    value = values[index] if index < len(values) else None
    return None if value is None else value.reshape(-1).tolist()


def axis_of(axis: int, rank: int, name: str = "axis") -> int:
    """The axis counted from the front. Raises GraphError where it is outside [-rank, rank)."""
    if not -rank <= axis < rank:
        raise GraphError(f"{name} must be in [{-rank}, {rank - 1}], got {axis}")
    return axis + rank if axis < 0 else axis


def axes_of(axes: Iterable[int], rank: int) -> list[int]:
    """Axes counted from the front. Raises GraphError for one outside [-rank, rank) or given twice."""
    found = [axis_of(int(a), rank, "axes") for a in axes]
    if len(set(found)) != len(found):
        raise GraphError(f"axes must be different, got {found}")
    return found


def at_least_zero(dim: Dim) -> Dim:
    return dim if is_nonnegative(dim) else maximum(0, dim)


def shown(shape: Iterable[Dim | None]) -> str:
    """A shape as errors print it."""
    return f"[{', '.join('?' if d is None else str(d) for d in shape)}]"


def require_rank(types: Types, index: int, rank: int, name: str) -> tuple[Dim, ...]:
    """The shape of an input that must have this rank. Raises GraphError otherwise."""
    shape = shape_of(types, index)
    if len(shape) != rank:
        raise GraphError(f"{name} must have rank {rank}, got shape {shown(shape)}")
    return shape


def require_number(types: Types, index: int, name: str) -> None:
    """Checks that an input, if it is there, is one number: of rank 0, or 1 and size 1."""
    shape = shape_of(types, index) if has(types, index) else ()
    if len(shape) > 1 or (shape and is_known(shape[0]) and shape[0] != 1):
        raise GraphError(f"{name} must be one number, got the shape {shown(shape)}")


def vector(types: Types, values: Values, index: int, name: str) -> list[Any] | None:
    """Known elements of an input that must have rank 1; None if unknown. Raises GraphError for another rank."""
    require_rank(types, index, 1, name)
    return contents(values, index)


def length_of(types: Types, index: int, name: str) -> int | None:
    """Number of elements of an input that must have rank 1, if known. Raises GraphError for another rank."""
    (length,) = require_rank(types, index, 1, name)
    return length if isinstance(length, int) else None


def unknown_vector(types: Types, index: int, name: str) -> list[None] | None:
    """A shape as long as the input that holds it, which must have rank 1, without any size; None if that is unknown."""
    length = length_of(types, index, name)
    return None if length is None else [None] * length


# ---- shapes ---------------------------------------------------------------------------------------------------------


def same_shape(attrs: Any, types: Types, values: Values) -> list[tuple[Dim, ...]]:
    """The shape of the first input."""
    return [shape_of(types)]


def scalar(attrs: Any, types: Types, values: Values) -> list[tuple[Dim, ...]]:
    return [()]


def joined(a: Dim | None, b: Dim | None) -> Dim | None:
    """Size of an axis that broadcasts; None where that cannot be told. GraphError where it does not broadcast."""
    if a == b:
        return a
    if a == 1:
        return b
    if b == 1:
        return a
    if isinstance(a, int):
        if isinstance(b, int):
            raise GraphError(f"sizes {a} and {b} do not broadcast")
        return a
    if isinstance(b, int) or a is None or b is None:
        return b if isinstance(b, int) else None
    if is_limited(b, a):
        return a
    return b if is_limited(a, b) else None


def broadcast(*shapes: Sequence[Dim | None]) -> list[Dim | None]:
    """The shape that all of these broadcast to. Raises GraphError where there is none."""
    result = shapes[0]
    for shape in shapes[1:]:
        if shape == result:
            continue
        longer, shorter = (result, shape) if len(result) >= len(shape) else (shape, result)
        skip = len(longer) - len(shorter)
        try:
            result = [*longer[:skip], *map(joined, longer[skip:], shorter)]
        except GraphError:
            raise GraphError(f"shapes must broadcast, got {' and '.join(map(shown, shapes))}") from None
    return list(result)


def broadcast_shapes(attrs: Any, types: Types, values: Values) -> list[list[Dim | None]]:
    """All inputs broadcast."""
    return [broadcast(*[shape_of(types, i) for i in range(len(types))])]


def equal_size(a: Dim, b: Dim, what: str) -> Dim:
    """The size of two axes that must be equal; the number, of a number and a symbol. GraphError if they differ."""
    if isinstance(a, int) and isinstance(b, int) and a != b:
        raise GraphError(f"{what} must be equal, got {a} and {b}")
    return b if isinstance(b, int) else a


def broadcasts_to(shape: Sequence[Dim], target: Sequence[Dim], name: str) -> None:
    """Raises GraphError if `shape` does not broadcast to `target` without changing it."""
    if len(shape) > len(target) or any(
        isinstance(a, int) and a != 1 and isinstance(b, int) and a != b
        for a, b in zip(reversed(shape), reversed(target))
    ):
        raise GraphError(f"{name} must broadcast to {shown(target)}, got {shown(shape)}")


# ---- contents -------------------------------------------------------------------------------------------------------


def settled(elements: Any, dtype: DType) -> Array | None:
    """Contents from numbers and Syms: an array of `dtype` if no element is symbolic, else of dtype object.

    None where a number does not fit dtype, or a symbol stands for what is not an integer.
    """
    array = np.asarray(elements, object)
    flat = array.reshape(-1).tolist()
    symbolic = any(isinstance(v, Sym) for v in flat)
    if dtype.is_integer:
        low, high = integer_range(dtype.numpy)
        if not all(isinstance(v, Sym) or low <= v <= high for v in flat):
            return None
    elif symbolic:
        return None
    return array if symbolic else array.astype(dtype.numpy)


def moved(reference: Reference, symbolic: tuple[int, ...] | None = (0,)) -> ValueRule:
    """Contents of an operator that only moves elements of its inputs `symbolic` (None: of all).

    Its reference does that for symbolic elements too. The other inputs have to be numbers.
    """

    def rule(attrs: Attrs, types: Types, values: Values) -> list[Array | None]:
        numbers = True
        for i, t in enumerate(types):
            v = values[i]
            if v is None:
                if t is not None:
                    return UNKNOWN
            elif v.dtype == object:
                if symbolic is not None and i not in symbolic:
                    return UNKNOWN
                numbers = False
        result = reference(attrs, *values)
        if numbers:
            return [np.asarray(result)]
        return [settled(result, type_of(types, 0 if symbolic is None else symbolic[0]).dtype)]

    return rule


def computed(reference: Reference, function: Callable[..., Any], gives: DType | None = None) -> ValueRule:
    """Contents of an elementwise operator: by `function` of one or two elements where some are symbolic.

    More than two inputs are folded from the left. gives: dtype of the result, by default that of the first input.
    """
    two = function.__code__.co_argcount == 2
    elementwise = np.frompyfunc(function, 2 if two else 1, 1)

    def rule(attrs: Attrs, types: Types, values: Values) -> list[Array | None]:
        numbers = True
        for v in values:
            if v is None:
                return UNKNOWN
            if v.dtype == object:
                numbers = False
        if numbers:
            with np.errstate(all="ignore"):
                return [np.asarray(reference(attrs, *values))]
        operands = [np.asarray(v, object) for v in values if v is not None]
        result = reduce(elementwise, operands) if two else elementwise(operands[0])
        return [settled(result, gives or type_of(types).dtype)]

    return rule


# ---- references -----------------------------------------------------------------------------------------------------


def widened(x: Array) -> Array:
    """float16 as float32, in which references compute it; other dtypes as they are."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def unary(function: Callable[..., Any]) -> Reference:
    """A reference from `function(x)`; float16 is computed in float32."""
    return lambda attrs, x: function(widened(x)).astype(x.dtype, copy=False)


def unary_with(function: Callable[[Array, Any], Any]) -> Reference:
    """A reference from `function(x, attrs)`; float16 is computed in float32."""
    return lambda attrs, x: function(widened(x), attrs).astype(x.dtype, copy=False)


def f32(x: float) -> float:
    """The float32 nearest to x: ONNX's attributes are float32."""
    return float(np.float32(x))


def integer_range(dtype: np.dtype[Any]) -> tuple[int, int]:
    """The smallest and the largest number of an integer dtype."""
    bits = 8 * dtype.itemsize
    return (0, (1 << bits) - 1) if dtype.kind == "u" else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def check_indices(indices: Array, size: int, axis: int) -> None:
    """Raises DataError unless all indices are in [-size, size)."""
    wrong = (indices < -size) | (indices >= size)
    if wrong.any():
        first = indices[wrong].reshape(-1)[0]
        raise DataError(f"indices must be in [{-size}, {size - 1}] on axis {axis}, got {first}")


