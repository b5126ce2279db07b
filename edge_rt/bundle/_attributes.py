"""How each kind of attribute field is stored: the three functions encode, check and decode, by field class.

Numbers, strings and short sequences stand in the header; arrays and long sequences are tensors, given by their index.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt.bundle._format import MAX_INLINE, MAX_STRING, check_limit, refuse
from edge_rt.bundle._types import DTYPES, check_dtype
from edge_rt.errors import BundleSchemaError
from edge_rt.graph import Graph
from edge_rt.ops import _attrs
from edge_rt.ops._attrs import Field
from edge_rt.types import DType

Array = np.ndarray[Any, Any]


if TYPE_CHECKING:  # making a Protocol takes as long as five classes
    from typing import Protocol

    class Encoder(Protocol):
        """What the writer offers: tensors and graphs by what stands for them in the header."""

        def tensor(self, array: Array) -> int: ...
        def subgraph(self, graph: Graph) -> dict[str, Any]: ...

    class Checker(Protocol):
        """What validation offers."""

        def tensor(self, raw: Any, path: str) -> list[Any]: ...
        def subgraph(self, raw: Any, path: str, nesting: int) -> None: ...

    class Decoder(Protocol):
        """What the reader offers."""

        def tensor(self, index: int) -> Array: ...
        def subgraph(self, raw: dict[str, Any], path: str) -> Graph: ...


class Codec:
    """Stores a field's values as they are. Subclasses change what differs."""

    def encode(self, value: Any, to: Encoder) -> Any:
        return value

    def check(self, raw: Any, path: str, by: Checker, nesting: int) -> None:
        """Raises BundleSchemaError or BundleLimitError that names `path`. nesting: of the graph the node is in."""
        raise NotImplementedError

    def decode(self, raw: Any, path: str, by: Decoder) -> Any:
        return raw

    def tensor_index(self, raw: Any) -> int | None:
        """The index of the tensor that holds the value, if one does."""
        return None


class _Int(Codec):
    def check(self, raw: Any, path: str, by: Checker, nesting: int) -> None:
        _check_int(raw, path)


class _Bool(Codec):
    def check(self, raw: Any, path: str, by: Checker, nesting: int) -> None:
        if type(raw) is not bool:
            refuse(path, "a boolean", raw)


class _Float(Codec):
    def check(self, raw: Any, path: str, by: Checker, nesting: int) -> None:
        if type(raw) is not float:
            refuse(path, "a floating-point number", raw)


class _Str(Codec):
    def check(self, raw: Any, path: str, by: Checker, nesting: int) -> None:
        _check_str(raw, path)


class _Strs(Codec):
    def encode(self, value: Any, to: Encoder) -> Any:
        return list(value)

    def check(self, raw: Any, path: str, by: Checker, nesting: int) -> None:
        if type(raw) is not list:
            refuse(path, "a list of strings", raw)
        for i, text in enumerate(raw):
            _check_str(text, f"{path}[{i}]")


class _Numbers(Codec):
    """A list, or the index of a one-dimensional tensor of more than MAX_INLINE numbers."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def encode(self, value: Any, to: Encoder) -> Any:
        return list(value) if len(value) <= MAX_INLINE else to.tensor(np.asarray(value, self.dtype))

    def check(self, raw: Any, path: str, by: Checker, nesting: int) -> None:
        if type(raw) is list:
            check_limit(path, "length of a list", len(raw), MAX_INLINE)
            for i, number in enumerate(raw):
                if self.dtype == "int64":
                    _check_int(number, f"{path}[{i}]")
                elif type(number) is not float:
                    refuse(f"{path}[{i}]", "a floating-point number", number)
            return
        dtype, shape = by.tensor(raw, path)[:2]
        if dtype != self.dtype or len(shape) != 1 or shape[0] <= MAX_INLINE:
            requirement = f"a list, or a tensor {self.dtype}[n] with n > {MAX_INLINE}"
            raise BundleSchemaError(f"{path} must be {requirement}, got {dtype}{shape}")

    def decode(self, raw: Any, path: str, by: Decoder) -> Any:
        return tuple(raw) if type(raw) is list else tuple(by.tensor(raw).tolist())

    def tensor_index(self, raw: Any) -> int | None:
        return raw if type(raw) is int else None


class _ElementType(Codec):
    def encode(self, value: DType, to: Encoder) -> Any:
        return value.value

    def check(self, raw: Any, path: str, by: Checker, nesting: int) -> None:
        check_dtype(raw, path)

    def decode(self, raw: Any, path: str, by: Decoder) -> Any:
        return DTYPES[raw]


class _Tensor(Codec):
    def encode(self, value: Array, to: Encoder) -> Any:
        return to.tensor(value)

    def check(self, raw: Any, path: str, by: Checker, nesting: int) -> None:
        by.tensor(raw, path)

    def decode(self, raw: Any, path: str, by: Decoder) -> Any:
        return by.tensor(raw)

    def tensor_index(self, raw: Any) -> int | None:
        return int(raw)


class _Subgraph(Codec):
    def encode(self, value: Graph, to: Encoder) -> Any:
        return to.subgraph(value)

    def check(self, raw: Any, path: str, by: Checker, nesting: int) -> None:
        by.subgraph(raw, path, nesting + 1)

    def decode(self, raw: Any, path: str, by: Decoder) -> Any:
        return by.subgraph(raw, path)


CODECS: dict[type[Field[Any]], Codec] = {
    _attrs.Int: _Int(),
    _attrs.OptionalInt: _Int(),
    _attrs.Bool: _Bool(),
    _attrs.Float: _Float(),
    _attrs.OptionalFloat: _Float(),
    _attrs.Str: _Str(),
    _attrs.Strs: _Strs(),
    _attrs.Ints: _Numbers("int64"),
    _attrs.OptionalInts: _Numbers("int64"),
    _attrs.Floats: _Numbers("float64"),
    _attrs.ElementType: _ElementType(),
    _attrs.OptionalElementType: _ElementType(),
    _attrs.Array: _Tensor(),
    _attrs.OptionalArray: _Tensor(),
    _attrs.Subgraph: _Subgraph(),
}
"""An optional field's None is its default, so it is never stored."""


def codec_of(field: Field[Any]) -> Codec:
    """The codec of a field's class. Raises KeyError where there is none."""
    return CODECS[type(field)]


def is_default(field: Field[Any], value: Any) -> bool:
    """Whether a value need not be stored. Compares printed forms, which tell 0.0 from -0.0 and NaN from nothing."""
    if value is field.default:
        return True
    return not (field.required or isinstance(value, (np.ndarray, Graph))) and repr(value) == repr(field.default)


def _check_int(raw: Any, path: str) -> None:
    if type(raw) is not int:
        refuse(path, "an integer", raw)
    if raw > 0x7FFF_FFFF_FFFF_FFFF:
        refuse(path, "an integer of 64 bits", raw)


def _check_str(raw: Any, path: str) -> None:
    if type(raw) is not str:
        refuse(path, "a string", raw)
    check_limit(path, "length of a string", len(raw), MAX_STRING)
