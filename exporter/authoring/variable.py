"""Variables: state that lives outside of functions and is shared by reference."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from edge_rt.types import TensorType
from exporter.authoring import scope as scopes
from exporter.authoring.tensor import EagerTensor, Operand, SymbolicTensor, Tensor, as_dtype, refuse_contents

Array = np.ndarray[Any, Any]

_BIRTHS = itertools.count()

def next_birth() -> int:
    """A number that grows with each call; variables keep the one at which they were made."""
    return next(_BIRTHS)


SETTLE: list[Callable[[Variable], None]] = []
"""Called before a variable is read or written: restorations that wait for variables to appear (see checkpoint.py)."""


class Variable(Operand):
    """A tensor that can be assigned to. Its dtype and shape stay.

    initial: contents, or a function that gives them. trainable: whether training changes it; may be set. name: gets the
    open name scopes in front and ":0" behind. dtype: float32, int32 or bool for Python numbers, by default.

    While a function is traced, reads and assignments become part of its graph, in program order. Raises AuthoringError
    for an initial value that depends on the inputs of a function, and for a variable that a function makes again in a
    later trace.
    """

    __slots__ = ("_array", "birth", "name", "trainable")

    def __init__(self, initial: Any, trainable: bool = True, name: str | None = None, dtype: Any = None) -> None:
        from exporter.authoring.initial import initial_array

        scope = scopes.current()
        if scope is not None and not scope.may_create:
            raise AuthoringError(
                "a function made a variable again when it was traced anew: make variables once, before or in its first call"
            )
        self.name = scopes.scoped(name or "Variable") + ":0"
        self.trainable = trainable
        self._array = initial_array(initial, None if dtype is None else as_dtype(dtype), self.name)
        self._array.flags.writeable = False
        self.birth = next_birth()

    @property
    def array(self) -> Array:
        """The contents now, read-only."""
        for settle in SETTLE:
            settle(self)
        return self._array

    @property
    def type(self) -> TensorType:
        return TensorType.of(self._array)

    def set(self, array: Array) -> None:
        """Replaces the contents, outside of any graph. The array becomes the variable's own."""
        for settle in SETTLE:
            settle(self)
        self.replace(array)

    def replace(self, array: Array) -> None:
        """`set` without a look at restorations that wait."""
        array.flags.writeable = False
        self._array = array

    def value(self) -> Tensor:
        """The contents at this point of the program, as a tensor."""
        scope = scopes.current()
        return EagerTensor(self.array) if scope is None else SymbolicTensor(scope.read(self), scope)

    read_value = value

    def _contents(self) -> Array:
        if scopes.current() is not None:
            refuse_contents(f"the variable '{self.name}'")
        return self.array

    def assign(self, value: Any) -> Variable:
        """Replaces the contents. Raises AuthoringError for another dtype or shape."""
        from exporter.authoring.dispatch import convert, value_of

        scope = scopes.current()
        given = convert(value, self.type.dtype)
        self._check(given.type)
        if scope is None:
            self.set(np.array(given._contents()))
        else:
            scope.write(self, value_of(given, scope))
        return self

    def assign_add(self, value: Any) -> Variable:
        """Adds to the contents."""
        return self.assign(self + value)

    def assign_sub(self, value: Any) -> Variable:
        """Subtracts from the contents."""
        return self.assign(self - value)

    def _check(self, got: TensorType) -> None:
        own = self.type
        fits = got.shape is None or (
            len(got.shape) == len(own.static_shape)
            and all(not isinstance(g, int) or g == s for g, s in zip(got.shape, own.static_shape))
        )
        if got.dtype is not own.dtype or not fits:
            raise AuthoringError(f"variable '{self.name}': expected {own}, got {got}")

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy is a variable of its own: its birth must be, too.
        return _copy, (self.array, self.trainable, self.name)

    def __repr__(self) -> str:
        contents = repr(self.array) if scopes.current() is None else "<symbolic>"
        return f"<Variable '{self.name}' shape={self.shape} dtype={self.dtype}, numpy={contents}>"


def _copy(array: Array, trainable: bool, name: str) -> Variable:
    with scopes.init_scope():
        variable = Variable(array, trainable)
    variable.name = name
    return variable
