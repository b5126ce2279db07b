"""Element types and tensor types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from edge_rt.dims import Sym
from edge_rt.errors import GraphError, SymbolicDimError

Dim = int | Sym
"""Size of one axis: a number, or a symbolic expression that a call's inputs decide."""


class DType:
    """Element type. `value` is NumPy's name, which is also how bundles spell it: DType("float32") is DType.FLOAT32.

    Like an Enum, which takes as long to make as all classes of the runtime together.
    """

    __slots__ = ("itemsize", "kind", "numpy", "value")

    BOOL: ClassVar[DType]
    INT8: ClassVar[DType]
    INT16: ClassVar[DType]
    INT32: ClassVar[DType]
    INT64: ClassVar[DType]
    UINT8: ClassVar[DType]
    UINT16: ClassVar[DType]
    UINT32: ClassVar[DType]
    UINT64: ClassVar[DType]
    FLOAT16: ClassVar[DType]
    FLOAT32: ClassVar[DType]
    FLOAT64: ClassVar[DType]
    COMPLEX64: ClassVar[DType]
    COMPLEX128: ClassVar[DType]

    value: str
    numpy: np.dtype[Any]
    itemsize: int
    kind: str
    """NumPy's kind: b boolean, i signed, u unsigned, f floating, c complex."""

    def __new__(cls, value: str) -> DType:
        """The element type of this name. Raises ValueError for an unknown one."""
        found = _BY_NAME.get(value)
        if found is None:
            raise ValueError(f"{value!r} is not an element type")
        return found

    def __reduce__(self) -> tuple[Any, ...]:
        return DType, (self.value,)

    @property
    def is_integer(self) -> bool:
        return self.kind in "iu"

    @property
    def is_float(self) -> bool:
        return self.kind == "f"

    @staticmethod
    def of(dtype: Any) -> DType:
        """The DType of a NumPy dtype, an array or a name.

        Raises GraphError for a dtype that edge-rt has no element type for.
        """
        plain = dtype.dtype if type(dtype) is np.ndarray else np.dtype(getattr(dtype, "dtype", dtype))
        known = _BY_NUMPY.get(plain)
        if known is not None:
            return known
        name = plain.name
        try:
            return DType(name)
        except ValueError:
            raise GraphError(f"dtype must be one of {', '.join(_BY_NAME)}, got {name}") from None

    def __repr__(self) -> str:
        return self.value


def _member(name: str) -> DType:
    made = object.__new__(DType)
    made.value, made.numpy = name, np.dtype(name)
    made.itemsize, made.kind = made.numpy.itemsize, made.numpy.kind
    setattr(DType, name.upper(), made)
    return made


_NAMES = "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 complex64 complex128"
ELEMENT_TYPES = tuple(map(_member, _NAMES.split()))
"""All of them."""
_BY_NAME = {t.value: t for t in ELEMENT_TYPES}
_BY_NUMPY = {t.numpy: t for t in ELEMENT_TYPES}

BYTES = frozenset({DType.INT8, DType.UINT8})
FLOATS = frozenset({DType.FLOAT16, DType.FLOAT32, DType.FLOAT64})
SIGNED = frozenset({DType.INT8, DType.INT16, DType.INT32, DType.INT64})
UNSIGNED = frozenset({DType.UINT8, DType.UINT16, DType.UINT32, DType.UINT64})
INTEGERS = SIGNED | UNSIGNED
NUMERIC = FLOATS | INTEGERS
COMPLEX = frozenset({DType.COMPLEX64, DType.COMPLEX128})
ANY = frozenset(ELEMENT_TYPES)


class TensorType:
    """dtype and shape of a tensor. `shape` is None while even the rank is unknown."""

    __slots__ = ("dtype", "shape")

    dtype: DType
    shape: tuple[Dim, ...] | None

    def __init__(self, dtype: DType, shape: Iterable[Dim] | None) -> None:
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)

    @staticmethod
    def of(array: np.ndarray[Any, Any]) -> TensorType:
        """The type of a NumPy array."""
        return TensorType(DType.of(array), array.shape)

    @property
    def rank(self) -> int | None:
        return None if self.shape is None else len(self.shape)

    @property
    def is_static(self) -> bool:
        """Whether every size is a number."""
        return self.shape is not None and all(type(d) is int for d in self.shape)

    @property
    def static_shape(self) -> tuple[int, ...]:
        """The shape as numbers. Raises SymbolicDimError unless `is_static`."""
        if self.shape is None:
            raise SymbolicDimError("the rank is not known yet")
        for d in self.shape:
            if type(d) is not int:
                return tuple(int(d) for d in self.shape)
        return self.shape  # type: ignore[return-value]

    @property
    def size(self) -> int:
        """Number of elements. Raises SymbolicDimError unless `is_static`."""
        n = 1
        for d in self.static_shape:
            n *= d
        return n

    @property
    def nbytes(self) -> int:
        """Bytes when dense. Raises SymbolicDimError unless `is_static`."""
        return self.size * self.dtype.itemsize

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorType) and self.dtype is other.dtype and self.shape == other.shape

    def __hash__(self) -> int:
        return hash((self.dtype, self.shape))

    def __repr__(self) -> str:
        shape = "?" if self.shape is None else ", ".join(map(str, self.shape))
        return f"{self.dtype.value}[{shape}]"
