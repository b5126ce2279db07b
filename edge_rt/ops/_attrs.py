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
        """Generic for type checkers alone: typing's own takes most of the time it takes to define the fields below."""

        __slots__ = ()

        def __class_getitem__(cls, item):
            return cls


class Field(_Of[T]):
    """One attribute. Subclasses say in `check` which values they take and what they normalise them to."""

    __slots__ = ("default", "index", "name")

    index: int
    name: str

    kind = "field"
    """What error messages call the values of this field."""

    def __init__(self, default: T = _REQUIRED) -> None:
        self.default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @property
    def required(self) -> bool:
        return self.default is _REQUIRED

    def __get__(self, record: Any, owner: type) -> T:
        if record is None:
            return self  # type: ignore[return-value]
        return record._values[self.index]  # type: ignore[no-any-return]

    def check(self, value: Any) -> T:
        """The value, normalised. Raises TypeError or ValueError."""
        raise NotImplementedError


class Int(Field[int]):
    kind = "an integer"

    def check(self, value: Any) -> int:
        if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
            return int(value)
        raise TypeError


class OptionalInt(Field["int | None"]):
    """An integer that may be absent; None then, and by default."""

    kind = "an integer or None"

    def __init__(self) -> None:
        super().__init__(None)

    def check(self, value: Any) -> int | None:
        return None if value is None else Int().check(value)


class Bool(Field[bool]):
    kind = "a boolean"

    def check(self, value: Any) -> bool:
        if isinstance(value, (bool, np.bool_)) or (isinstance(value, (int, np.integer)) and value in (0, 1)):
            return bool(value)
        raise TypeError


class Float(Field[float]):
    kind = "a number"

    def check(self, value: Any) -> float:
        if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
            return float(value)
        raise TypeError


class OptionalFloat(Field["float | None"]):
    """A number that may be absent; None then, and by default."""

    kind = "a number or None"

    def __init__(self) -> None:
        super().__init__(None)

    def check(self, value: Any) -> float | None:
        return None if value is None else Float().check(value)


class Str(Field[str]):
    """A string; with `choices`, one of them."""

    __slots__ = ("choices",)

    def __init__(self, default: str = _REQUIRED, choices: tuple[str, ...] = ()) -> None:
        super().__init__(default)
        self.choices = choices

    @property
    def kind(self) -> str:  # type: ignore[override]
        return "one of " + ", ".join(self.choices) if self.choices else "a string"

    def check(self, value: Any) -> str:
        if not isinstance(value, str):
            raise TypeError
        if self.choices and value not in self.choices:
            raise ValueError
        return value


class _Tuple(Field[tuple[T, ...]]):
    element: Callable[[Any], T]

    def check(self, value: Any) -> tuple[T, ...]:
        if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
            raise TypeError
        return tuple(self.element(v) for v in value)


class Ints(_Tuple[int]):
    kind = "a sequence of integers"
    element = Int().check


class Floats(_Tuple[float]):
    kind = "a sequence of numbers"
    element = Float().check


class Strs(_Tuple[str]):
    kind = "a sequence of strings"
    element = Str().check


class OptionalInts(Field["tuple[int, ...] | None"]):
    """Integers that may be absent; None then, and by default."""

    kind = "a sequence of integers or None"

    def __init__(self) -> None:
        super().__init__(None)

    def check(self, value: Any) -> tuple[int, ...] | None:
        return None if value is None else Ints().check(value)


class ElementType(Field["DType"]):
    kind = "an element type"

    def check(self, value: Any) -> DType:
        return value if isinstance(value, DType) else DType(value)


class OptionalElementType(Field["DType | None"]):
    """An element type that may be absent; None then, and by default."""

    kind = "an element type or None"

    def __init__(self) -> None:
        super().__init__(None)

    def check(self, value: Any) -> DType | None:
        return None if value is None else ElementType().check(value)


class Array(Field["np.ndarray[Any, Any]"]):
    """A tensor, stored inside the record: a read-only, contiguous array (a copy, unless it was given such a one)."""

    kind = "an array"

    def check(self, value: Any) -> np.ndarray[Any, Any]:
        if isinstance(value, np.ndarray) and value.flags.c_contiguous and not value.flags.writeable:
            DType.of(value)
            return value
        array = np.array(value, order="C")
        DType.of(array)
        array.flags.writeable = False
        return array


class OptionalArray(Field["np.ndarray[Any, Any] | None"]):
    """A tensor that may be absent; None then, and by default."""

    kind = "an array or None"

    def __init__(self) -> None:
        super().__init__(None)

    def check(self, value: Any) -> np.ndarray[Any, Any] | None:
        return None if value is None else Array().check(value)


class Subgraph(Field["Graph"]):
    """A graph that the operator runs (the branch of an If, the body of a Loop)."""

    kind = "a graph"

    def check(self, value: Any) -> Graph:
        from edge_rt.graph import Graph

        if not isinstance(value, Graph):
            raise TypeError
        return value


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
                    raise GraphError(f"attribute '{name}' must be {f.kind}, got {value!r}") from None
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
