"""Tensors, eager and symbolic, and the operators that they share with variables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from edge_rt.errors import TracingError
from edge_rt.types import DType, TensorType

if TYPE_CHECKING:
    from edge_rt.graph import Value
    from exporter.authoring.scope import Scope

Array = np.ndarray[Any, Any]


class Operand:
    """What arithmetic, comparison and indexing work on: a Tensor or a Variable. Comparison is element by element;
    as keys of dicts and members of sets operands count by identity."""

    __slots__ = ("__weakref__",)
    __array_priority__ = 100
    __hash__ = object.__hash__

    @property
    def type(self) -> TensorType:
        """dtype and shape, with symbolic sizes as `Sym`."""
        raise NotImplementedError

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.type.dtype.numpy

    @property
    def shape(self) -> Any:
        """The shape as a tuple, with None for sizes that only a call tells; None while even the rank is unknown."""
        shape = self.type.shape
        return None if shape is None else tuple(d if isinstance(d, int) else None for d in shape)

    @property
    def ndim(self) -> int | None:
        return self.type.rank

    def numpy(self) -> Array:
        """A copy of the contents. Raises TracingError where only a call tells them."""
        return np.array(self._contents())

    def _contents(self) -> Array:
        raise NotImplementedError

    # ---- as Python values -------------------------------------------------------------------------------------------

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        contents = self._contents()
        if dtype is not None and contents.dtype != dtype:
            return contents.astype(dtype)
        return contents.copy() if copy else contents

    def __bool__(self) -> bool:
        return bool(self._contents())

    def __int__(self) -> int:
        return int(self._contents())

    def __float__(self) -> float:
        return float(self._contents())

    def __index__(self) -> int:
        contents = self._contents()
        if contents.dtype.kind not in "iu" or contents.ndim:
            raise TypeError(f"only an integer scalar can be an index, got {self.type}")
        return int(contents)

    def item(self) -> Any:
        """The only element, as a Python value."""
        return self._contents().item()

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"a tensor must have a known rank of at least 1 to have a length, got {self.type}")
        if self.shape[0] is None:
            raise TracingError(f"the length of {self.type} is not known while tracing: use ex.shape(x)[0]")
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    # ---- operators --------------------------------------------------------------------------------------------------

    def __getitem__(self, key: Any) -> Tensor:
        from exporter.authoring.indexing import getitem

        return getitem(self, key)

    def __add__(self, other: Any) -> Tensor:
        return _math("add", self, other)

    def __radd__(self, other: Any) -> Tensor:
        return _math("add", other, self)

    def __sub__(self, other: Any) -> Tensor:
        return _math("subtract", self, other)

    def __rsub__(self, other: Any) -> Tensor:
        return _math("subtract", other, self)

    def __mul__(self, other: Any) -> Tensor:
        return _math("multiply", self, other)

    def __rmul__(self, other: Any) -> Tensor:
        return _math("multiply", other, self)

    def __truediv__(self, other: Any) -> Tensor:
        return _math("divide", self, other)

    def __rtruediv__(self, other: Any) -> Tensor:
        return _math("divide", other, self)

    def __floordiv__(self, other: Any) -> Tensor:
        return _math("floordiv", self, other)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return _math("floordiv", other, self)

    def __mod__(self, other: Any) -> Tensor:
        return _math("mod", self, other)

    def __rmod__(self, other: Any) -> Tensor:
        return _math("mod", other, self)

    def __pow__(self, other: Any) -> Tensor:
        return _math("pow", self, other)

    def __rpow__(self, other: Any) -> Tensor:
        return _math("pow", other, self)

    def __matmul__(self, other: Any) -> Tensor:
        return _math("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Tensor:
        return _math("matmul", other, self)

    def __and__(self, other: Any) -> Tensor:
        return _math("bitwise_and", self, other)

    def __rand__(self, other: Any) -> Tensor:
        return _math("bitwise_and", other, self)

    def __or__(self, other: Any) -> Tensor:
        return _math("bitwise_or", self, other)

    def __ror__(self, other: Any) -> Tensor:
        return _math("bitwise_or", other, self)

    def __xor__(self, other: Any) -> Tensor:
        return _math("bitwise_xor", self, other)

    def __rxor__(self, other: Any) -> Tensor:
        return _math("bitwise_xor", other, self)

    def __invert__(self) -> Tensor:
        return _math("invert", self)

    def __neg__(self) -> Tensor:
        return _math("negative", self)

    def __abs__(self) -> Tensor:
        return _math("abs", self)

    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        return _math("equal", self, other)

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        return _math("not_equal", self, other)

    def __lt__(self, other: Any) -> Tensor:
        return _math("less", self, other)

    def __le__(self, other: Any) -> Tensor:
        return _math("less_equal", self, other)

    def __gt__(self, other: Any) -> Tensor:
        return _math("greater", self, other)

    def __ge__(self, other: Any) -> Tensor:
        return _math("greater_equal", self, other)


class Tensor(Operand):
    """An eager tensor, which has contents, or a symbolic one. mask: set by layers that mask steps of sequences."""

    __slots__ = ("mask",)
    mask: Any


class EagerTensor(Tensor):
    """Contents that never change. The array becomes read-only."""

    __slots__ = ("_array",)

    def __init__(self, array: Array) -> None:
        array.flags.writeable = False
        self._array = array

    @property
    def type(self) -> TensorType:
        return TensorType.of(self._array)

    def _contents(self) -> Array:
        return self._array

    def __reduce__(self) -> tuple[Any, ...]:
        return EagerTensor, (self._array,)

    def __repr__(self) -> str:
        return f"<Tensor shape={self.shape} dtype={self.dtype}, numpy={self._array!r}>"


class SymbolicTensor(Tensor):
    """A value of a graph that is being traced."""

    __slots__ = ("scope", "value")

    def __init__(self, value: Value, scope: Scope) -> None:
        self.value, self.scope = value, scope

    @property
    def type(self) -> TensorType:
        return self.value.type

    @property
    def name(self) -> str:
        return self.value.name

    def _contents(self) -> Array:
        refuse_contents(f"the symbolic tensor '{self.name}' ({self.type})")

    def __repr__(self) -> str:
        return f"<Tensor '{self.name}' shape={self.shape} dtype={self.dtype}>"


def refuse_contents(what: str) -> NoReturn:
    """Raises the TracingError of a value that only a call tells."""
    raise TracingError(
        f"{what} has no contents while a function is traced, so Python cannot decide by it: use ex.cond, ex.while_loop "
        "or ex.where instead of if and while on tensors"
    )


def as_dtype(dtype: Any) -> DType:
    """The element type of a name, a NumPy dtype or a Python type (float is float32, int is int32)."""
    if isinstance(dtype, DType):
        return dtype
    return _PYTHON.get(dtype) or DType.of(dtype) if isinstance(dtype, type) else DType.of(dtype)


_PYTHON: dict[type, DType] = {float: DType.FLOAT32, int: DType.INT32, bool: DType.BOOL}


def _math(name: str, *operands: Any) -> Tensor:
    from exporter.authoring.ops import math

    result: Tensor = getattr(math, name)(*operands)
    return result
