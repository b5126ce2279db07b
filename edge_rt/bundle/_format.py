"""The fixed part of the format: the preamble, alignment, limits, and how errors quote values."""

from __future__ import annotations

import struct
from typing import Any, NoReturn

from edge_rt.errors import BundleError, BundleLimitError, BundleSchemaError
from edge_rt.hashing import sha256

MAGIC = b"\x89EDGE\r\n\x1a"
VERSION = 1
ALIGNMENT = 64
PREAMBLE = struct.Struct("<8sIIQQ32s")
"""magic, version, signature length (0 in version 1), header length, length of the tensor section, SHA-256."""
HASHED = PREAMBLE.size - 32
"""The SHA-256 is over this many bytes of the preamble, followed by the header."""

MAX_HEADER = 1 << 24
MAX_CONTAINERS = 1 << 19
"""Maps and lists in a header."""
MAX_DEPTH = 32
"""Maps and lists within each other. Follows from the limits on nested graphs and metadata, so nobody counts."""
MAX_LENGTH = 1 << 16
"""Entries of one map or list."""
MAX_NAME = 1024
MAX_STRING = 1 << 16
MAX_RANK = 32
MAX_DIM = 1 << 40
MAX_SIZE = 1 << 40
"""Elements of a tensor whose shape is known."""
MAX_PORTS = 2048
"""Inputs, outputs or variables of a graph."""
MAX_NESTING = 5
"""Graphs within graphs."""
MAX_WORK = 1 << 16
"""Nodes, inputs, outputs and variables of all graphs together."""
NESTING_WEIGHT = 4
"""With each graph around their own they count that many times more, since a loop's body is inferred several times."""
MAX_METADATA_NESTING = 16
MAX_TERMS = 64
"""Terms of a symbolic size, and atoms of a term."""
MAX_INLINE = 64
"""A sequence attribute with more numbers than this is stored as a tensor."""


def aligned(offset: int) -> int:
    """The next multiple of 64 that is not below `offset`."""
    return (offset + ALIGNMENT - 1) & -ALIGNMENT


def digest(preamble: bytes | memoryview, header: bytes) -> bytes:
    """The SHA-256 that a preamble must hold."""
    sha = sha256(preamble[:HASHED])
    sha.update(header)
    return sha.digest()


def brief(value: Any) -> str:
    """A value as errors quote it: at most about 80 characters, without walking what is large."""
    if isinstance(value, dict):
        return f"a map of {len(value)}"
    if isinstance(value, list):
        short = len(value) <= 4 and all(type(v) in (int, bool) for v in value)
        return repr(value) if short else f"a list of {len(value)}"
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    if isinstance(value, str) and len(value) > 64:
        return f"{value[:60]!r}... ({len(value)} characters)"
    return repr(value)


def refuse(path: str, requirement: str, value: Any, error: type[BundleError] | None = None) -> NoReturn:
    """Raises the error, by default BundleSchemaError: "header path must be requirement, got value"."""
    raise (error or BundleSchemaError)(f"{path} must be {requirement}, got {brief(value)}")


def check_limit(path: str, what: str, value: int, limit: int) -> None:
    """Raises BundleLimitError if `value` is beyond `limit`."""
    if value > limit:
        raise BundleLimitError(f"{path}: {what} must be at most {limit}, got {value}")
