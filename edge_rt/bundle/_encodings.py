"""How the bytes of a float32 tensor may be stored other than "raw": as float16, or as integers with a scale.

In the tensor table: "f16", or [name, axis, scale, zero] with a name of INTEGERS; see FORMAT.md.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from edge_rt.bundle._format import refuse
from edge_rt.bundle._types import DTYPES
from edge_rt.errors import BundleSchemaError

Array = np.ndarray[Any, Any]

INTEGERS = {"int8": 8, "int4": 4}
"""Bits of an element."""


class Encoded:
    """A float32 tensor as it is stored: as float16, or as integers q that stand for (q - zero) * scale along an axis.

    name: "f16", "int8" or "int4". shape: of the tensor. stored: float16 or int8 of that shape; for int4 uint8, see
    `pack_int4`. scale: float32[size of the axis]; zero: int8 of that shape, or None for zeros.
    """

    __slots__ = ("axis", "name", "scale", "shape", "stored", "zero")

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...],
        stored: Array,
        axis: int = 0,
        scale: Array | None = None,
        zero: Array | None = None,
    ) -> None:
        self.name, self.shape, self.stored = name, shape, stored
        self.axis, self.scale, self.zero = axis, scale, zero

    @property
    def nbytes(self) -> int:
        """Bytes of all that is stored."""
        return sum(a.nbytes for a in (self.stored, self.scale, self.zero) if a is not None)

    def decoded(self) -> Array:
        """The tensor, read-only."""
        codes = unpack_int4(self.stored, self.shape) if self.name == "int4" else self.stored
        decoded = codes.astype(np.float32)
        if self.scale is not None:
            along = (-1, *[1] * (len(self.shape) - 1 - self.axis))
            if self.zero is not None:
                decoded -= self.zero.reshape(along)
            with np.errstate(all="ignore"):
                decoded *= self.scale.reshape(along)
        decoded.flags.writeable = False
        return decoded


def pack_int4(codes: Array) -> Array:
    """int8 codes of -8 to 7 as uint8[ceil(size / 2)], the earlier one in the low half; what is left over is 0."""
    halves = np.zeros((codes.size + 1) // 2 * 2, np.uint8)
    halves[: codes.size] = codes.reshape(-1).view(np.uint8) & 15
    return halves[::2] | halves[1::2] << 4


def unpack_int4(stored: Array, shape: Any) -> Array:
    """int8 codes of a shape from uint8[ceil(size / 2)]."""
    halves = np.stack([stored << 4, stored & 0xF0], -1).view(np.int8) >> 4
    return halves.reshape(-1)[: prod(shape)].reshape(shape)


def stored_bytes(dtype: str, shape: list[int], encoding: Any) -> int:
    """Bytes of a tensor whose encoding passed `check_encoding`."""
    size = prod(shape)
    if encoding == "raw":
        return size * DTYPES[dtype].itemsize
    return 2 * size if encoding == "f16" else (size * INTEGERS[encoding[0]] + 7) // 8


def check_encoding(tensors: list[Any], dtype: str, shape: list[int], encoding: Any, path: str) -> None:
    """Raises BundleSchemaError unless a tensor of this type may be stored so. Tensors that the encoding refers to need
    not have been checked yet: what is asked of them here is all that decoding needs beyond that check."""
    if encoding == "raw":
        return
    if encoding != "f16" and (type(encoding) is not list or len(encoding) != 4 or encoding[0] not in tuple(INTEGERS)):
        refuse(path, f"one of raw, f16, or {' or '.join(INTEGERS)} with axis, scale and zero point", encoding)
    if dtype != "float32":
        refuse(path, f"raw for {dtype}", encoding)
    if encoding == "f16":
        return
    _, axis, scale, zero = encoding
    if type(axis) is not int or not 0 <= axis < len(shape):
        refuse(f"{path}.axis", f"one of the {len(shape)} axes", axis)
    _check_parameter(tensors, scale, "float32", shape[axis], f"{path}.scale")
    if zero is not None:
        _check_parameter(tensors, zero, "int8", shape[axis], f"{path}.zero")


def _check_parameter(tensors: list[Any], index: Any, dtype: str, size: int, path: str) -> None:
    """Raises BundleSchemaError unless `index` is that of a raw tensor dtype[size]."""
    if type(index) is not int or not 0 <= index < len(tensors):
        refuse(path, f"the index of one of {len(tensors)} tensors", index)
    entry = tensors[index]
    if type(entry) is not list or len(entry) != 6 or entry[0] != dtype or entry[1] != [size] or entry[5] != "raw":
        raise BundleSchemaError(f"{path} must be the index of a raw tensor {dtype}[{size}]")
