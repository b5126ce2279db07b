"""Files mapped into memory. Like the standard library's mmap, which is one more shared object to load at each start."""

from __future__ import annotations

import ctypes
import os
from typing import Any

import numpy as np

PROT_READ, PROT_EXEC = 1, 4
MAP_SHARED, MAP_PRIVATE = 1, 2

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


class MappedFile:
    """The bytes of an open file, read-only, for as long as an array or a view of `data` lasts."""

    __slots__ = ("__array_interface__", "_unmap")

    def __init__(self, descriptor: int, size: int) -> None:
        address = map_descriptor(descriptor, size, PROT_READ, MAP_SHARED)
        self._unmap = _munmap, address, size
        self.__array_interface__ = {"shape": (size,), "typestr": "|u1", "data": (address, True), "version": 3}

    @property
    def data(self) -> memoryview:
        array: np.ndarray[Any, Any] = np.asarray(self)
        return array.data

    def __del__(self) -> None:
        if hasattr(self, "_unmap"):  # it lacks where mapping failed
            unmap_, address, size = self._unmap
            unmap_(address, size)
