"""Files mapped into memory. Like the standard library's mmap, which is one more shared object to load at each start."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import numpy as np

PROT_READ, PROT_EXEC = 1, 4
MAP_SHARED, MAP_PRIVATE = 1, 2

FRONT = 48
"""Bytes of a code image with the SHA-256 of its header, which has the checksum of its code."""
LARGEST_PAGE = 1 << 16
"""Of the CPUs we know."""
ALIGNMENT = 64
"""Of the bytes of a bundle: the widest vector, and a cache line."""

_libc = ctypes.CDLL(None, use_errno=True)
_mmap, _munmap = _libc.mmap, _libc.munmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
_munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_FAILED = ctypes.c_void_p(-1).value


def map_descriptor(descriptor: int, size: int, protection: int, flags: int, offset: int = 0) -> int:
    """The address of `size` bytes of a file from `offset` on, a multiple of the page size. Raises OSError."""
    address: int | None = _mmap(None, size, protection, flags, descriptor, offset)
    if address is None or address == _FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return address


def unmap(address: int, size: int) -> None:
    """Takes back what `map_descriptor` gave."""
    _munmap(address, size)


_code: dict[tuple[int, ...], int] = {}


def map_code(descriptor: int, size: int, offset: int) -> int:
    """The address of the code in a file, for reading and running; the same each time in one process. Raises OSError."""
    place = *_identity(descriptor), offset
    found = _code.get(place)
    if found is None:
        found = _code[place] = map_descriptor(descriptor, size, PROT_READ | PROT_EXEC, MAP_PRIVATE, offset)
    return found


def code_address(descriptor: int, offset: int) -> int | None:
    """What `map_code` gave for this file, if it was asked."""
    return _code.get((*_identity(descriptor), offset))


def _identity(descriptor: int) -> tuple[int, ...]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


class MappedFile:
    """Bytes of an open file, read-only, for as long as an array or a view of `data` lasts."""

    __slots__ = ("__array_interface__", "_unmap")

    def __init__(self, descriptor: int, size: int, offset: int = 0) -> None:
        before = offset % LARGEST_PAGE
        address = map_descriptor(descriptor, before + size, PROT_READ, MAP_SHARED, offset - before)
        self._unmap = _munmap, address, before + size
        address += before
        self.__array_interface__ = {"shape": (size,), "typestr": "|u1", "data": (address, True), "version": 3}

    @property
    def data(self) -> memoryview:
        array: np.ndarray[Any, Any] = np.asarray(self)
        return array.data

    def __del__(self) -> None:
        if hasattr(self, "_unmap"):  # it lacks where mapping failed
            unmap_, address, size = self._unmap
            unmap_(address, size)


def content_of(source: str | os.PathLike[str] | bytes | bytearray | memoryview, mmap: bool = True) -> memoryview:
    """The bytes of a file, or those given, read-only and with a 64-byte aligned address: where they are, or a copy.

    mmap: map a file rather than read it. Raises OSError.
    """
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if mmap and size:
                try:
                    return MappedFile(file.fileno(), size).data
                except OSError as error:
                    error.filename = os.fspath(source)
                    raise
            if size:
                copy = _aligned_empty(size)
                return copy[: file.readinto(copy)].toreadonly()
            source = file.read()  # a pipe has no size
    try:
        view = memoryview(source)
    except TypeError:
        from edge_rt.errors import ModelError

        raise ModelError(f"a model must be a path or bytes, got {type(source).__name__}") from None
    view = view.toreadonly().cast("B")
    if not len(view) or np.frombuffer(view, np.uint8).ctypes.data % ALIGNMENT == 0:
        return view
    copy = _aligned_empty(len(view))
    copy[:] = view
    return copy.toreadonly()


def _aligned_empty(size: int) -> memoryview:
    block = np.empty(size + ALIGNMENT, np.uint8)
    shift = -block.ctypes.data % ALIGNMENT
    return block.data[shift : shift + size]
