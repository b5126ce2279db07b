"""`apply`: an operator of the op table on tensors. Eager ones are computed by the record's NumPy reference, symbolic ones
become a node of the graph that is being traced. `convert` makes tensors of Python values and arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from edge_rt import ops
from edge_rt.errors import AuthoringError, DataError, GraphError
from edge_rt.graph import Value
from edge_rt.ops._attrs import Attrs
from edge_rt.ops._spec import OpSpec
from edge_rt.types import DType, TensorType
from exporter.authoring import scope as scopes
from exporter.authoring.scope import Scope
from exporter.authoring.tensor import EagerTensor, Operand, SymbolicTensor, Tensor, as_dtype
from exporter.authoring.variable import Variable

Array = np.ndarray[Any, Any]

RECORDERS: list[tuple[type[Tensor], Callable[..., Any]]] = []
"""(class of tensors, function(op, inputs, attributes, name) -> outputs): who takes operators on tensors of other kinds,
such as those of the functional API. The outputs are a Tensor, or a tuple of them."""


def apply(op: str, *inputs: Any, name: str | None = None, **attributes: Any) -> Any:
    """Applies the operator `op` of the op table: its output, or a tuple of several.

    inputs: tensors, variables, or what `convert` takes; None for an absent optional one. attributes: of the record.
    Symbolic if an input is, or if a function is being traced and the operator is impure or an input is a variable; else
    eager. Raises InferenceError or GraphError where the operator does not accept inputs or attributes, DataError for
    contents out of range.
    """
    for kind, record in RECORDERS:
        if any(isinstance(x, kind) for x in inputs):
            return record(op, inputs, attributes, name)
    given = [None if x is None else convert(x) for x in inputs]
    spec = ops.get(op)
    scope = scopes.current()
    if scope is None:
        if not any(isinstance(x, SymbolicTensor) for x in given):
            return _eager(spec, given, attributes)
        raise AuthoringError(f"{op}: a symbolic tensor was given outside of the trace that it belongs to")
    if spec.is_pure and all(x is None or isinstance(x, EagerTensor) for x in given):
        return _eager(spec, given, attributes)
    made = scope.graph.add(spec, *[_value(x, scope) for x in given], name=scopes.scoped(name or op), **attributes)
    return wrap(made, scope)


def wrap(made: Value | tuple[Value, ...], scope: Scope) -> Any:
    """Values of the scope's graph as symbolic tensors."""
    if isinstance(made, tuple):
        return tuple(SymbolicTensor(v, scope) for v in made)
    return SymbolicTensor(made, scope)


def value_of(x: Any, scope: Scope, like: DType | None = None) -> Value:
    """Anything that `convert` takes, as a value of the scope's graph."""
    value = _value(convert(x, like), scope)
    assert value is not None
    return value


def _value(x: Operand | None, scope: Scope) -> Value | None:
    if isinstance(x, Variable):
        return scope.read(x)
    if isinstance(x, SymbolicTensor):
        return scope.resolve(x.value, x.scope)
    return None if x is None else scope.constant(x._contents())


def _eager(spec: OpSpec, given: Sequence[Operand | None], attributes: dict[str, Any]) -> Any:
    while given and given[-1] is None:
        given = given[:-1]
    arrays = [None if x is None else x._contents() for x in given]
    attrs = _attrs(spec, attributes)
    types = [None if a is None else TensorType.of(a) for a in arrays]
    values = [a if i in spec.shape_inputs else None for i, a in enumerate(arrays)]
    spec.infer(attrs, types, values, spec.name)
    try:
        made = [EagerTensor(_owned(a)) for a in spec.evaluate(attrs, *arrays) if a is not None]
    except DataError as error:
        raise DataError(f"{spec.name}: {error}") from None
    return made[0] if len(made) == 1 else tuple(made)


def _attrs(spec: OpSpec, attributes: dict[str, Any]) -> Attrs:
    try:
        return spec.attrs(**attributes)
    except GraphError as error:
        raise GraphError(f"{spec.name}: {error}") from None


def _owned(array: Array) -> Array:
    return np.asarray(array, order="C")


def convert(x: Any, like: DType | None = None, dtype: Any = None) -> Operand:
    """A Python number, a nested sequence, an array or an operand, as an operand.

    Python numbers and sequences of them take the dtype `like`, or float32, int32 and bool. Arrays keep theirs, but for
    `like` of the same or a wider kind (float64 beside float32). dtype: what it must be, whatever `like` says; an operand
    of another dtype is refused. Sequences may hold operands, which are stacked. Raises AuthoringError for anything else.
    """
    wanted = None if dtype is None else as_dtype(dtype)
    if isinstance(x, Operand):
        if wanted is not None and x.type.dtype is not wanted:
            raise AuthoringError(f"expected a tensor of dtype {wanted.value}, got {x.type}: convert it with ex.cast")
        return x
    if isinstance(x, (list, tuple)) and _holds_operand(x):
        from exporter.authoring.ops.array import stack

        kinds = [v.type.dtype for v in _leaves(x) if isinstance(v, Operand)]
        return stack([convert(v, like or kinds[0], dtype) for v in x])
    return EagerTensor(to_array(x, like, wanted))


def to_array(x: Any, like: DType | None = None, dtype: DType | None = None) -> Array:
    """A new array of a Python value or an array, by the rules of `convert`."""
    is_typed = isinstance(x, (np.ndarray, np.generic)) or (
        isinstance(x, (list, tuple)) and any(isinstance(v, (np.ndarray, np.generic)) for v in _leaves(x))
    )
    try:
        array = np.array(x, order="C")
        if array.dtype.kind not in "biufc":
            raise TypeError
    except (TypeError, ValueError):
        raise AuthoringError(f"expected numbers, an array or a tensor, got {type(x).__name__}: {str(x)[:80]}") from None
    if dtype is not None:
        target = dtype
    elif is_typed:
        target = DType.of(array)
        if like is not None and np.can_cast(array.dtype, like.numpy, "same_kind") and target is not DType.BOOL:
            target = like
    else:
        target = _python_dtype(array, like, x)
    made = array.astype(target.numpy, copy=False)
    if target.is_integer and array.dtype != made.dtype and not np.array_equal(made, array):
        raise AuthoringError(f"{target.value} does not represent {str(x)[:80]}")
    return made


def _python_dtype(array: Array, like: DType | None, x: Any) -> DType:
    """The dtype of Python numbers: `like` where that is of their kind or a wider one."""
    order = "biufc" if array.size else "?"
    if like is None:
        if not array.size:
            return DType.FLOAT32
        return {"b": DType.BOOL, "i": DType.INT32, "u": DType.INT32, "f": DType.FLOAT32}.get(
            array.dtype.kind, DType.COMPLEX64
        )
    rank = {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}
    own = rank[array.dtype.kind]
    if order == "?" or own == rank[like.kind] or 0 < own < rank[like.kind]:
        return like
    what = f"{str(x)[:80]} cannot stand beside a tensor of dtype {like.value}"
    raise AuthoringError(f"{what}: convert one of them with ex.cast")


def pair(a: Any, b: Any) -> tuple[Operand, Operand]:
    """Two operands of a binary operator. A Python number or an array takes the dtype of the tensor beside it."""
    if isinstance(a, Operand):
        return a, convert(b, a.type.dtype)
    if isinstance(b, Operand):
        return convert(a, b.type.dtype), b
    first = convert(a)
    return first, convert(b, first.type.dtype)


def _leaves(x: Any) -> list[Any]:
    return [leaf for v in x for leaf in _leaves(v)] if isinstance(x, (list, tuple)) else [x]


def _holds_operand(x: Any) -> bool:
    return any(isinstance(v, Operand) for v in _leaves(x))


def constant(value: Any, dtype: Any = None, shape: Sequence[int] | None = None) -> Tensor:
    """A tensor with the given contents. Python numbers become float32, int32 or bool unless `dtype` says otherwise; arrays
    keep their dtype. shape: what to reshape to; a single element is repeated."""
    if isinstance(value, Operand):
        value = value._contents()
    array = to_array(value, None, None if dtype is None else as_dtype(dtype))
    if shape is not None:
        array = np.full(shape, array.reshape(())) if array.size == 1 else array.reshape(shape)
    return EagerTensor(array)


def convert_to_tensor(value: Any, dtype: Any = None) -> Tensor:
    """The value as a Tensor: a variable's present value, a tensor itself, anything else as `constant` makes it."""
    made = convert(value, dtype=dtype)
    return made.value() if isinstance(made, Variable) else cast("Tensor", made)
