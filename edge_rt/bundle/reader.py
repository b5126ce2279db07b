"""Reads a bundle: everything is checked at this door, and what comes out can be trusted."""

from __future__ import annotations

import os
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from math import prod
from typing import Any

import numpy as np

from edge_rt.bundle._build import Builder
from edge_rt.bundle._encodings import Encoded
from edge_rt.bundle._format import HASHED, MAGIC, MAX_HEADER, PREAMBLE, VERSION, aligned, check_limit, digest
from edge_rt.bundle._msgpack import decode
from edge_rt.bundle._types import DTYPES
from edge_rt.bundle.model import Bundle, TestVector
from edge_rt.bundle.validate import validate_header, validate_source
from edge_rt.errors import (
    BundleChecksumError,
    BundleError,
    BundleLayoutError,
    BundleMagicError,
    BundleSchemaError,
    BundleTruncatedError,
    BundleVersionError,
)
from edge_rt.mapped import content_of

Array = np.ndarray[Any, Any]
Path = str | os.PathLike[str]
Bytes = bytes | bytearray | memoryview


def read(source: Path | Bytes, *, mmap: bool = True, verify: str = "header", name: str | None = None) -> Bundle:
    """The bundle in a file or in a buffer. name: of the file that a buffer is from, for errors.

    Constants, variables and test vectors are read-only views, 64-byte aligned, on the file's map (mmap=True), on the
    buffer if that is aligned, or on one aligned copy. The file must be replaced by rename only, never written to.
    verify: "header" checks everything but the contents of tensors; "all" also these, against their SHA-256.
    Raises a BundleError that says what is wrong and where; OSError if the file cannot be read.
    """
    with _named(source if name is None else name):
        return _read(content_of(source, mmap), verify)


def read_header(source: Path | Bytes) -> tuple[dict[str, Any], int]:
    """The validated header as data, and the length of the file. Raises like `read`, but builds no graph."""
    with _named(source):
        data = content_of(source)
        header, _ = _header(data)
    return header, len(data)


@contextmanager
def _named(source: Path | Bytes) -> Iterator[None]:
    """Puts a file's name in front of what is wrong with it."""
    try:
        yield
    except BundleError as error:
        if isinstance(source, (str, os.PathLike)):
            raise type(error)(f"{os.fspath(source)}: {error}") from None
        raise


def _read(data: memoryview, verify: str) -> Bundle:
    if verify not in ("header", "all"):
        raise ValueError(f"verify must be 'header' or 'all', got {verify!r}")
    header, start = _header(data)
    tensors = Tensors(data, start, header["tensors"])
    if verify == "all":
        for index in range(len(tensors.table)):
            tensors.verify(index)
    source = None if header["source"] is None else partial(_source, tensors, header["source"])
    return Bundle(
        Builder(header, tensors).signatures(),
        metadata=header["metadata"],
        assets=_blobs({name: tensors[index] for name, index in header["assets"].items()}),
        test_vectors=[
            TestVector(signature, _arrays(inputs, tensors), _arrays(outputs, tensors))
            for signature, inputs, outputs in header["test_vectors"]
        ],
        source=source,
        encodings=tensors.encodings,
        requires=header["requires"]["ops"],
        variables={name: tensors[index] for name, index in header["variables"]},
        spans=tensors.spans,
    )


def _blobs(arrays: Mapping[str, Array]) -> Mapping[str, bytes]:
    if not arrays:
        return {}
    from edge_rt.bundle.blobs import Blobs

    return Blobs(arrays)


def _source(tensors: Tensors, index: int) -> Bundle:
    tensors.verify(index)
    header = decode(tensors[index].tobytes(), "source")
    validate_source(header, tensors.table)
    return Bundle(
        Builder(header, tensors, "source.").signatures(),
        metadata=header["metadata"],
        requires=header["requires"]["ops"],
        variables={name: tensors[index] for name, index in header["variables"]},
    )


def _arrays(indices: Mapping[str, int], tensors: Tensors) -> dict[str, Array]:
    return {name: tensors[index] for name, index in indices.items()}


class Tensors:
    """The tensors of a file as read-only arrays, each made once, when it is asked for: views of raw ones, others decoded."""

    __slots__ = ("_arrays", "_attributes", "_data", "_start", "encodings", "table")

    def __init__(self, data: memoryview, start: int, table: list[Any]) -> None:
        self._data, self._start, self.table = data, start, table
        self._arrays: dict[int, Array] = {}
        self._attributes: set[int] = set()
        self.encodings: list[tuple[Array, Encoded]] = []
        """Arrays that were decoded, and what from."""

    def __getitem__(self, index: int) -> Array:
        array = self._arrays.get(index)
        if array is None:
            dtype, shape, _, _, _, encoding = self.table[index]
            raw = encoding == "raw"
            array = self._view(index, DTYPES[dtype].numpy, shape) if raw else self._decoded(index, encoding)
            self._arrays[index] = array
        return array

    def attribute(self, index: int) -> Array:
        """The tensor as an attribute of an operator: rules look at all of it."""
        self._attributes.add(index)
        return self[index]

    def spans(self, few: int, seen: Container[int]) -> list[tuple[int, int]]:
        """The bytes behind the header (first, end), without the contents of tensors that have more than `few` elements, are
        no attributes and do not begin at one of the offsets in `seen`."""
        spans = []
        first = PREAMBLE.size + PREAMBLE.unpack_from(self._data)[3]
        for index, (_, shape, offset, nbytes, _, _) in enumerate(self.table):
            start = self._start + offset
            if prod(shape) > few and index not in self._attributes and start not in seen:
                if start > first:
                    spans.append((first, start))
                first = start + nbytes
        if first < len(self._data):
            spans.append((first, len(self._data)))
        return spans

    def _view(self, index: int, dtype: Any, shape: Any) -> Array:
        start = self._start + self.table[index][2]
        return np.ndarray(shape, np.dtype(dtype).newbyteorder("<"), self._data, start)

    def _decoded(self, index: int, encoding: Any) -> Array:
        _, shape, _, nbytes, _, _ = self.table[index]
        shape = tuple(shape)
        if encoding == "f16":
            encoded = Encoded("f16", shape, self._view(index, np.float16, shape))
        else:
            name, axis, scale, zero = encoding
            stored = self._view(index, np.int8, shape) if name == "int8" else self._view(index, np.uint8, nbytes)
            encoded = Encoded(name, shape, stored, axis, self[scale], None if zero is None else self[zero])
        array = encoded.decoded()
        self.encodings.append((array, encoded))
        return array

    def verify(self, index: int) -> None:
        """Raises BundleChecksumError unless the tensor has its SHA-256; BundleSchemaError for a boolean beyond 1 and for
        what is not zero behind the last int4."""
        from hashlib import sha256  # faster than edge_rt.hashing where there is much to hash

        dtype, shape, offset, nbytes, sha, encoding = self.table[index]
        start = self._start + offset
        content = self._data[start : start + nbytes]
        if sha256(content).digest() != sha:
            place = f"tensors[{index}] ({dtype}{shape}, bytes {start} to {start + nbytes})"
            raise BundleChecksumError(f"{place} must have the SHA-256 of its entry, {sha.hex()}")
        if dtype == "bool" and nbytes and np.frombuffer(content, np.uint8).max() > 1:
            raise BundleSchemaError(f"tensors[{index}] must have only bytes 0 and 1, being boolean")
        if encoding[0] == "int4" and prod(shape) % 2 and content[-1] > 15:
            raise BundleSchemaError(f"tensors[{index}] must end with 0 in the unused half of its last byte")


def _header(data: memoryview) -> tuple[dict[str, Any], int]:
    """The validated header, and where the tensor section starts."""
    size = len(data)
    if bytes(data[: len(MAGIC)]) != MAGIC[:size]:
        raise BundleMagicError(f"not a .edge file: must start with {MAGIC!r}, got {bytes(data[: len(MAGIC)])!r}")
    if size < PREAMBLE.size:
        raise BundleTruncatedError(f"the file must have at least {PREAMBLE.size} bytes, got {size}")
    _, version, signature, length, section, sha = PREAMBLE.unpack_from(data)
    if version > VERSION:
        raise BundleVersionError(
            f"byte 8: written in format version {version}, this runtime reads versions up to {VERSION}"
        )
    if version < 1:
        raise BundleVersionError(f"byte 8: format version must be 1 to {VERSION}, got {version}")
    if signature:
        raise BundleSchemaError(f"byte 12: length of the signature must be 0 in version 1, got {signature}")
    check_limit("byte 16", "length of the header", length, MAX_HEADER)
    start = aligned(PREAMBLE.size + length)
    end = start + section
    if size < PREAMBLE.size + length:
        raise BundleTruncatedError(
            f"the header must end at byte {PREAMBLE.size + length}, the file ends at byte {size}"
        )
    content = bytes(data[PREAMBLE.size : PREAMBLE.size + length])
    if digest(data[:HASHED], content) != sha:
        raise BundleChecksumError(
            f"bytes 0 to {HASHED} and {PREAMBLE.size} to {PREAMBLE.size + length}, the header, must have the SHA-256 "
            f"that stands at byte {HASHED}, {sha.hex()}"
        )
    if size < end:
        raise BundleTruncatedError(f"the tensor section must end at byte {end}, the file ends at byte {size}")
    if size > end:
        raise BundleLayoutError(f"the file must end with its tensor section at byte {end}, it has {size} bytes")
    header = decode(content)
    validate_header(header, section)
    _check_padding(data, PREAMBLE.size + length, start, header["tensors"])
    return header, start


def _check_padding(data: memoryview, header_end: int, start: int, table: list[Any]) -> None:
    """Raises BundleLayoutError unless all bytes that belong to nothing are zero."""
    end = header_end
    for _, _, offset, nbytes, _, _ in table:
        begin = start + offset
        if begin != end and any(data[end:begin]):
            raise BundleLayoutError(f"bytes {end} to {begin}, padding, must be zero")
        end = begin + nbytes
    if not table and any(data[end:start]):
        raise BundleLayoutError(f"bytes {end} to {start}, padding, must be zero")
