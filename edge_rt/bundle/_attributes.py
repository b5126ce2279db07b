"""How each kind of attribute field is stored: the functions encode, check and decode, by kind.

Numbers, strings and short sequences stand in the header; arrays and long sequences are tensors, given by their index.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt.bundle._format import MAX_INLINE, MAX_STRING, check_limit, refuse
from edge_rt.bundle._types import DTYPES, check_dtype
from edge_rt.errors import BundleSchemaError
from edge_rt.graph import Graph
from edge_rt.ops import _attrs
from edge_rt.ops._attrs import Field, Kind

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


def _same(value: Any, *rest: Any) -> Any:
    return value


def _nowhere(raw: Any) -> int | None:
    return None


class Codec:
    """How values of a kind are stored; by default as they are.

    check(raw, path, by, nesting): raises BundleSchemaError or BundleLimitError that names `path`; nesting: of the graph the
    node is in. encode(value, to); decode(raw, path, by). tensor_index(raw): of the tensor that holds the value, if one does.
    """

    __slots__ = ("check", "decode", "encode", "tensor_index")

    def __init__(
        self,
        check: Callable[[Any, str, Checker, int], None],
        encode: Callable[[Any, Encoder], Any] = _same,
        decode: Callable[[Any, str, Decoder], Any] = _same,
        tensor_index: Callable[[Any], int | None] = _nowhere,
    ) -> None:
        self.check, self.encode, self.decode, self.tensor_index = check, encode, decode, tensor_index


def _check_int(raw: Any, path: str, by: Checker | None = None, nesting: int = 0) -> None:
    if type(raw) is not int:
        refuse(path, "an integer", raw)
    if raw > 0x7FFF_FFFF_FFFF_FFFF:
        refuse(path, "an integer of 64 bits", raw)


def _check_bool(raw: Any, path: str, by: Checker, nesting: int) -> None:
    if type(raw) is not bool:
        refuse(path, "a boolean", raw)


def _check_float(raw: Any, path: str, by: Checker | None = None, nesting: int = 0) -> None:
    if type(raw) is not float:
        refuse(path, "a floating-point number", raw)


def _check_str(raw: Any, path: str, by: Checker | None = None, nesting: int = 0) -> None:
    if type(raw) is not str:
        refuse(path, "a string", raw)
    check_limit(path, "length of a string", len(raw), MAX_STRING)


def _check_strs(raw: Any, path: str, by: Checker, nesting: int) -> None:
    if type(raw) is not list:
        refuse(path, "a list of strings", raw)
    for i, text in enumerate(raw):
        _check_str(text, f"{path}[{i}]")


def _check_dtype(raw: Any, path: str, by: Checker, nesting: int) -> None:
    check_dtype(raw, path)


def _check_tensor(raw: Any, path: str, by: Checker, nesting: int) -> None:
    by.tensor(raw, path)


def _check_subgraph(raw: Any, path: str, by: Checker, nesting: int) -> None:
    by.subgraph(raw, path, nesting + 1)


def _numbers(dtype: str, check_number: Callable[[Any, str], None]) -> Codec:
    """A list, or the index of a one-dimensional tensor of more than MAX_INLINE numbers."""

    def check(raw: Any, path: str, by: Checker, nesting: int) -> None:
        if type(raw) is list:
            check_limit(path, "length of a list", len(raw), MAX_INLINE)
            for i, number in enumerate(raw):
                check_number(number, f"{path}[{i}]")
            return
        found, shape = by.tensor(raw, path)[:2]
        if found != dtype or len(shape) != 1 or shape[0] <= MAX_INLINE:
            requirement = f"a list, or a tensor {dtype}[n] with n > {MAX_INLINE}"
            raise BundleSchemaError(f"{path} must be {requirement}, got {found}{shape}")

    def encode(value: Any, to: Encoder) -> Any:
        return list(value) if len(value) <= MAX_INLINE else to.tensor(np.asarray(value, dtype))

    return Codec(check, encode, _decode_numbers, _index_of_numbers)


def _decode_numbers(raw: Any, path: str, by: Decoder) -> Any:
    return tuple(raw) if type(raw) is list else tuple(by.tensor(raw).tolist())


def _index_of_numbers(raw: Any) -> int | None:
    return raw if type(raw) is int else None


_INTEGER, _FLOAT, _DTYPE = (
    Codec(_check_int),
    Codec(_check_float),
    Codec(_check_dtype, lambda value, to: value.value, lambda raw, path, by: DTYPES[raw]),
)
_INTEGERS = _numbers("int64", _check_int)
_TENSOR = Codec(_check_tensor, lambda value, to: to.tensor(value), lambda raw, path, by: by.tensor(raw), int)

CODECS: dict[Kind[Any], Codec] = {
    _attrs.Int: _INTEGER,
    _attrs.OptionalInt: _INTEGER,
    _attrs.Bool: Codec(_check_bool),
    _attrs.Float: _FLOAT,
    _attrs.OptionalFloat: _FLOAT,
    _attrs.Str: Codec(_check_str),
    _attrs.Strs: Codec(_check_strs, lambda value, to: list(value)),
    _attrs.Ints: _INTEGERS,
    _attrs.OptionalInts: _INTEGERS,
    _attrs.Floats: _numbers("float64", _check_float),
    _attrs.ElementType: _DTYPE,
    _attrs.OptionalElementType: _DTYPE,
    _attrs.Array: _TENSOR,
    _attrs.OptionalArray: _TENSOR,
    _attrs.Subgraph: Codec(
        _check_subgraph, lambda value, to: to.subgraph(value), lambda raw, path, by: by.subgraph(raw, path)
    ),
}
"""An optional field's None is its default, so it is never stored."""


def codec_of(field: Field[Any]) -> Codec:
    """The codec of a field's kind. Raises KeyError where there is none."""
    return CODECS[field.kind]


def is_default(field: Field[Any], value: Any) -> bool:
    """Whether a value need not be stored. Compares printed forms, which tell 0.0 from -0.0 and NaN from nothing."""
    if value is field.default:
        return True
    return not (field.required or isinstance(value, (np.ndarray, Graph))) and repr(value) == repr(field.default)

