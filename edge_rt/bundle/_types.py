"""Tensor types in the header: [dtype, sizes], sizes nil where the rank is unknown.

A size is a number; or the name of a symbol; or the terms of a symbolic expression, [factor, atom, ...] each.
"""

from __future__ import annotations

from typing import Any

from edge_rt.bundle._format import MAX_DIM, MAX_RANK, MAX_TERMS, check_limit, refuse
from edge_rt.dims import MAX_ATOM, MAX_DEGREE, MAX_FACTOR, Sym, from_terms, symbol
from edge_rt.errors import BundleLimitError, SymbolicDimError
from edge_rt.types import ELEMENT_TYPES, Dim, TensorType

DTYPES = {t.value: t for t in ELEMENT_TYPES}


def encode_type(type_: TensorType) -> list[Any]:
    return [type_.dtype.value, None if type_.shape is None else [_encode_dim(d) for d in type_.shape]]


def decode_type(raw: list[Any]) -> TensorType:
    """The type; `raw` passed `check_type`."""
    dtype, sizes = raw
    return TensorType(DTYPES[dtype], None if sizes is None else map(_decode_dim, sizes))


def check_dtype(raw: Any, path: str) -> None:
    if type(raw) is not str or raw not in DTYPES:
        refuse(path, "an element type", raw)


def check_type(raw: Any, path: str) -> None:
    """Raises BundleSchemaError or BundleLimitError unless `raw` is a type in canonical form."""
    if type(raw) is not list or len(raw) != 2:
        refuse(path, "[dtype, sizes]", raw)
    dtype, sizes = raw
    check_dtype(dtype, f"{path}.dtype")
    if sizes is None:
        return
    if type(sizes) is not list:
        refuse(f"{path}.shape", "a list or nil", sizes)
    check_limit(f"{path}.shape", "rank", len(sizes), MAX_RANK)
    for axis, size in enumerate(sizes):
        if type(size) is int:
            check_size(size, f"{path}.shape[{axis}]")
        elif type(size) is str:
            if not 0 < len(size) <= MAX_ATOM:
                refuse(f"{path}.shape[{axis}]", f"a name of 1 to {MAX_ATOM} characters", size)
        else:
            _check_terms(size, f"{path}.shape[{axis}]")


def check_size(size: int, path: str) -> None:
    """Raises unless the number may be the size of an axis."""
    if size < 0:
        refuse(path, "at least 0", size)
    if size > MAX_DIM:
        refuse(path, f"at most {MAX_DIM}", size, BundleLimitError)


def _check_terms(raw: Any, path: str) -> None:
    if type(raw) is not list:
        refuse(path, "a number, a name or a list of terms", raw)
    check_limit(path, "number of terms", len(raw), MAX_TERMS)
    for i, term in enumerate(raw):
        if type(term) is not list or not term or type(term[0]) is not int:
            refuse(f"{path}[{i}]", "[factor, atom, ...]", term)
        check_limit(f"{path}[{i}]", "number of atoms", len(term) - 1, MAX_DEGREE)
        if abs(term[0]) >= MAX_FACTOR:
            refuse(f"{path}[{i}]", "smaller", term[0], BundleLimitError)
        for atom in term[1:]:
            if type(atom) is not str or not 0 < len(atom) <= MAX_ATOM:
                refuse(f"{path}[{i}]", f"made of names of 1 to {MAX_ATOM} characters", atom)
    try:
        canonical = _encode_dim(_decode_dim(raw))
    except SymbolicDimError as error:
        raise BundleLimitError(f"{path}: {error}") from None
    if canonical != raw:
        refuse(path, "in canonical form", raw)


def _encode_dim(dim: Dim) -> Any:
    if not isinstance(dim, Sym):
        return int(dim)
    terms = dim.terms
    if len(terms) == 1 and terms[0][1] == 1 and len(terms[0][0]) == 1:
        return terms[0][0][0]
    return [[factor, *atoms] for atoms, factor in terms]


def _decode_dim(raw: Any) -> Dim:
    if type(raw) is int:
        return raw
    if type(raw) is str:
        return symbol(raw)
    return from_terms((tuple(term[1:]), term[0]) for term in raw)
