"""Mapping a code image into the process: readable and executable, never writable."""

from __future__ import annotations

import ctypes
import mmap
import os
from pathlib import Path

from edge_rt.errors import CodeImageError, TargetError
from edge_rt.native.image import CODE_OFFSET, Header, check_code, read_header

_libc = ctypes.CDLL(None, use_errno=True)
_mmap, _munmap = _libc.mmap, _libc.munmap
_mmap.restype = ctypes.c_void_p
_mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64]
_munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_MAP_FAILED = ctypes.c_void_p(-1).value


def map_file(path: Path) -> tuple[int, Header]:
    """Maps an image file; (address of its code, header).

    Raises FileNotFoundError, CodeImageError if the file is damaged, TargetError if the system refuses the mapping.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _map_descriptor(descriptor, str(path))
    finally:
        os.close(descriptor)


def map_bytes(data: bytes, where: str) -> tuple[int, Header]:
    """Maps an image that is not a file of its own (it came from a zip), through an anonymous file."""
    descriptor = os.memfd_create("edge-rt", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(data)
        return _map_descriptor(descriptor, where)
    finally:
        os.close(descriptor)


def _map_descriptor(descriptor: int, where: str) -> tuple[int, Header]:
    header = read_header(os.pread(descriptor, CODE_OFFSET, 0), where)
    present = os.fstat(descriptor).st_size - header.code_offset
    if present != header.code_size:
        raise CodeImageError(f"{where}: has {max(present, 0)} bytes of code, its header says {header.code_size}")
    protection = mmap.PROT_READ | mmap.PROT_EXEC
    address = _mmap(None, header.code_size, protection, mmap.MAP_PRIVATE, descriptor, header.code_offset)
    if address is None or address == _MAP_FAILED:
        reason = os.strerror(ctypes.get_errno())
        raise TargetError(
            f"{where}: the system refuses to map it as code ({reason}); its file system may be mounted noexec, or a "
            "security policy may forbid executable mappings"
        )
    try:
        check_code(header, memoryview((ctypes.c_ubyte * header.code_size).from_address(address)), where)
    except CodeImageError:
        _munmap(address, header.code_size)
        raise
    return address, header
