"""Attribute records: small, immutable, typed, hashable, and cheap to define.

    class Concat(Attrs):
        axis = Int()                      # required
    class Conv(Attrs):
        strides = Ints(())                # optional, with its default
        auto_pad = Str("NOTSET", choices=("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))

    Conv(strides=(2, 2)).strides          # (2, 2)

A field checks the values it is given, so that a record which exists is valid on its own; what depends on the inputs is
checked by the operator's rules. Fields are also the schema by which bundles store attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from edge_rt.errors import GraphError
from edge_rt.types import DType

if TYPE_CHECKING:
    from edge_rt.graph import Graph

T = TypeVar("T")
_REQUIRED: Any = object()

if TYPE_CHECKING:

    class _Of(Generic[T]): ...

else:

    class _Of:
        """Generic for type checkers alone: typing's own takes longer than all that is defined below."""

        __slots__ = ()

        def __class_getitem__(cls, item):
            return cls


class Kind(_Of[T]):
    """What values a field takes, and what makes such a field: a kind has a class to itself no more than a record has, since
    classes take long to make. text: what error messages call the values. normalised: a value as records hold it; raises
    TypeError or ValueError for what is none. default: of fields that are given none."""

    __slots__ = ("default", "normalised", "text")

    def __init__(self, text: str, normalised: Callable[[Any], T], default: T = _REQUIRED) -> None:
        self.text, self.normalised, self.default = text, normalised, default

    def __call__(self, default: T = _REQUIRED, choices: tuple[T, ...] = ()) -> Field[T]:
        """A field of this kind; with `choices`, one of them."""
        return Field(self, self.default if default is _REQUIRED else default, choices)


class Field(_Of[T]):
    """One attribute."""

    __slots__ = ("choices", "default", "index", "kind", "name")

    index: int
    name: str

    def __init__(self, kind: Kind[T], default: T, choices: tuple[T, ...]) -> None:
        self.kind, self.default, self.choices = kind, default, choices

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @property
    def required(self) -> bool:
        return self.default is _REQUIRED

    @property
    def text(self) -> str:
        """What error messages call the values."""
        return f"one of {', '.join(map(str, self.choices))}" if self.choices else self.kind.text

    def __get__(self, record: Any, owner: type) -> T:
        if record is None:
            return self  # type: ignore[return-value]
        return record._values[self.index]  # type: ignore[no-any-return]

    def check(self, value: Any) -> T:
        """The value, normalised. Raises TypeError or ValueError."""
        value = self.kind.normalised(value)
        if self.choices and value not in self.choices:
            raise ValueError
        return value  # type: ignore[no-any-return]


def _int(value: Any) -> int:
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    raise TypeError


def _bool(value: Any) -> bool:
    if isinstance(value, (bool, np.bool_)) or (isinstance(value, (int, np.integer)) and value in (0, 1)):
        return bool(value)
    raise TypeError


def _float(value: Any) -> float:
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        return float(value)
    raise TypeError


def _str(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise TypeError


def _dtype(value: Any) -> DType:
    return value if isinstance(value, DType) else DType(value)


def _array(value: Any) -> np.ndarray[Any, Any]:
    """Read-only and contiguous: a copy, unless it was given such a one."""
    if isinstance(value, np.ndarray) and value.flags.c_contiguous and not value.flags.writeable:
        DType.of(value)
        return value
    array = np.array(value, order="C")
    DType.of(array)
    array.flags.writeable = False
    return array


def _graph(value: Any) -> Graph:
    from edge_rt.graph import Graph

    if not isinstance(value, Graph):
        raise TypeError
    return value


def _several(element: Callable[[Any], T]) -> Callable[[Any], tuple[T, ...]]:
    def normalised(value: Any) -> tuple[T, ...]:
        if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
            raise TypeError
        return tuple(map(element, value))

    return normalised


def _optional(kind: Kind[T]) -> Kind[T | None]:
    """Values that may be absent: None then, and by default."""

    def normalised(value: Any) -> T | None:
        return None if value is None else kind.normalised(value)

    return Kind(f"{kind.text} or None", normalised, None)


Int = Kind("an integer", _int)
Bool = Kind("a boolean", _bool)
Float = Kind("a number", _float)
Str = Kind("a string", _str)
Ints = Kind("a sequence of integers", _several(_int))
Floats = Kind("a sequence of numbers", _several(_float))
Strs = Kind("a sequence of strings", _several(_str))
ElementType = Kind("an element type", _dtype)
Array = Kind("an array", _array)
"""A tensor, stored inside the record."""
Subgraph = Kind("a graph", _graph)
"""A graph that the operator runs (the branch of an If, the body of a Loop)."""
OptionalInt = _optional(Int)
OptionalFloat = _optional(Float)
OptionalInts = _optional(Ints)
OptionalElementType = _optional(ElementType)
OptionalArray = _optional(Array)


class Attrs:
    """Base of attribute records; also the record of operators without attributes."""

    __slots__ = ("_hash", "_values")

    fields: dict[str, Field[Any]] = {}
    _values: tuple[Any, ...]

    def __init_subclass__(cls) -> None:
        own = {name: f for name, f in vars(cls).items() if isinstance(f, Field)}
        cls.fields = {**cls.fields, **own}
        for index, f in enumerate(cls.fields.values()):
            f.index = index

    def __init__(self, **values: Any) -> None:
        collected = []
        for name, f in self.fields.items():
            value = values.pop(name, f.default)
            if value is _REQUIRED:
                raise GraphError(f"attribute '{name}' is required")
            if value is not f.default:
                try:
                    value = f.check(value)
                except (TypeError, ValueError):
                    raise GraphError(f"attribute '{name}' must be {f.text}, got {value!r}") from None
            collected.append(value)
        if values:
            known = ", ".join(self.fields) or "none"
            raise GraphError(f"unknown attribute '{next(iter(values))}', known: {known}")
        object.__setattr__(self, "_values", tuple(collected))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"attribute records are immutable: use replace({name}=...)")

    def replace(self, **changes: Any) -> Any:
        """A copy with some attributes changed."""
        return type(self)(**{**dict(self), **changes})

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """(name, value) of all attributes, in the order of definition."""
        return iter(zip(self.fields, self._values))

    def key(self) -> tuple[Any, ...]:
        """A hashable stand-in for the values: arrays by content, graphs by identity."""
        return tuple(
            (v.dtype.str, v.shape, v.tobytes()) if isinstance(v, np.ndarray) else repr(v) if isinstance(v, float) else v
            for v in self._values
        )

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and isinstance(other, Attrs) and self.key() == other.key()

    def __hash__(self) -> int:
        return hash((type(self), self.key()))

    def __repr__(self) -> str:
        shown = [f"{n}={v!r}" for n, v in self if v is not self.fields[n].default]
        return f"{type(self).__name__}({', '.join(shown)})"
