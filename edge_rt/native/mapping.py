"""Mapping a code image into the process: readable and executable, never writable.

An image is mapped straight from its file, be it one of its own or an app in one file, in which it lies uncompressed at the
start of a page. Out of another zip it is mapped from an anonymous file in memory. Where the system refuses that, the error
says what $EDGE_RT_CODE can do: "memory" maps a copy in memory, a folder's name maps a copy in that folder, which is deleted
as soon as it is mapped.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edge_rt.errors import CodeImageError, TargetError
from edge_rt.mapped import MAP_PRIVATE, PROT_EXEC, PROT_READ, map_code, map_descriptor, unmap
from edge_rt.native.image import CODE_OFFSET, Header, check_code, read_header

VARIABLE = "EDGE_RT_CODE"
_IN_MEMORY = "EDGE_RT_CODE=memory, which runs a copy in memory"
_IN_FOLDER = "EDGE_RT_CODE=FOLDER, which runs a copy in a folder of this user's that is not mounted noexec"
_ALLOW = "allow this process to map files with PROT_READ and PROT_EXEC (under SELinux: label the file lib_t)"
_REFERENCE = 'edge_rt.load(..., backend="reference"), which needs no machine code and is slow'


def map_file(path: str | os.PathLike[str], is_trusted: bool = False) -> tuple[int, Header]:
    """Maps an image file, or the copy that $EDGE_RT_CODE asks for; (address of its code, header).

    is_trusted: the code is not checked, which would read all of it.
    Raises FileNotFoundError, CodeImageError if the file is damaged, TargetError if the system refuses the mapping.
    """
    where = os.fspath(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not os.environ.get(VARIABLE):
            return _map(descriptor, where, lambda: _refused_file(descriptor), is_trusted)
        with open(descriptor, "rb", closefd=False) as file:
            return map_bytes(file.read(), where)
    finally:
        os.close(descriptor)


def map_member(archive: str, path: str) -> tuple[int, Header] | None:
    """Maps an image that lies in a zip file as it is; None where the file has none such, or cannot be mapped as code, or
    $EDGE_RT_CODE asks for a copy. path: of the image, behind that of the zip file. Raises CodeImageError if it is damaged.
    """
    from edge_rt.archive import stored_member

    if os.environ.get(VARIABLE):
        return None
    descriptor = os.open(archive, os.O_RDONLY | os.O_CLOEXEC)
    try:
        place = stored_member(descriptor, path[len(archive) + 1 :])
        if place is None:
            return None
        header = _header(descriptor, path, *place)
        try:
            return map_code(descriptor, header.code_size, place[0] + header.code_offset), header
        except OSError:  # noexec, or pages larger than the image's place allows for; a copy may do
            return None
    finally:
        os.close(descriptor)


def map_bytes(data: bytes, where: str) -> tuple[int, Header]:
    """Maps an image that is not a file of its own (it came from a zip), through a copy. Raises like `map_file`."""
    place = os.environ.get(VARIABLE) or "memory"
    with _in_memory(data, where) if place == "memory" else _in_folder(data, where, place) as descriptor:
        return _map(descriptor, where, lambda: _refused_copy(descriptor, place))


@contextmanager
def _in_memory(data: bytes, where: str) -> Iterator[int]:
    """Descriptor of an anonymous file that holds `data`."""
    try:
        descriptor = os.memfd_create("edge-rt", os.MFD_CLOEXEC)
    except (AttributeError, OSError) as error:  # AttributeError: a Python built against an old C library
        raise TargetError(
            f"{where}: the system gives no anonymous file to hold its code ({error}). Ways out: install the wheel with "
            f"pip, which lets code be mapped from its file; {_IN_FOLDER}"
        ) from None
    try:
        _write(descriptor, data)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _in_folder(data: bytes, where: str, folder: str) -> Iterator[int]:
    """Descriptor of a file in `folder` that holds `data` and is gone afterwards; read-only, which mapping code needs."""
    path = os.path.join(folder, f".edge-rt-{os.urandom(8).hex()}.image")
    try:
        writer = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise TargetError(
            f"{where}: {VARIABLE} is {folder!r}, where its copy cannot be written ({error.strerror})"
        ) from None
    try:
        try:
            _write(writer, data)
        finally:
            os.close(writer)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    finally:
        os.unlink(path)


def _write(descriptor: int, data: bytes) -> None:
    with open(descriptor, "wb", closefd=False) as file:
        file.write(data)


def code_at(address: int, size: int) -> memoryview:
    """The mapped bytes."""
    return memoryview((ctypes.c_ubyte * size).from_address(address))


def _map(
    descriptor: int, where: str, ways_out: Callable[[], str], is_trusted: bool = False
) -> tuple[int, Header]:
    header = _header(descriptor, where, 0, os.fstat(descriptor).st_size)
    size, offset = header.code_size, header.code_offset
    try:
        if is_trusted:
            address = map_code(descriptor, size, offset)
        else:
            address = map_descriptor(descriptor, size, PROT_READ | PROT_EXEC, MAP_PRIVATE, offset)
    except OSError as error:
        raise TargetError(f"{where}: the system refuses to map it as code ({error.strerror}); {ways_out()}") from None
    if not is_trusted:
        try:
            check_code(header, code_at(address, header.code_size), where)
        except CodeImageError:
            unmap(address, header.code_size)
            raise
    return address, header


def _header(descriptor: int, where: str, start: int, size: int) -> Header:
    """The header of the image that is so many bytes of a file. Raises CodeImageError."""
    header = read_header(os.pread(descriptor, min(CODE_OFFSET, size), start), where)
    present = size - header.code_offset
    if present != header.code_size:
        raise CodeImageError(f"{where}: has {max(present, 0)} bytes of code, its header says {header.code_size}")
    return header


def _is_noexec(descriptor: int) -> bool:
    return bool(os.fstatvfs(descriptor).f_flag & os.ST_NOEXEC)


def _refused_file(descriptor: int) -> str:
    if _is_noexec(descriptor):
        return f"its file system is mounted noexec. Ways out: {_IN_MEMORY}; {_IN_FOLDER}; install edge-rt in such a folder"
    return f"a security policy (SELinux, AppArmor, seccomp) forbids it. Ways out: {_ALLOW}; {_IN_MEMORY}; {_REFERENCE}"


def _refused_copy(descriptor: int, place: str) -> str:
    if place != "memory" and _is_noexec(descriptor):
        return f"{VARIABLE} is {place!r}, whose file system is mounted noexec. Ways out: another folder; {_IN_MEMORY}"
    other = f"{_IN_FOLDER}; " if place == "memory" else f"{_IN_MEMORY}; "
    return f"a security policy (SELinux, AppArmor, seccomp) forbids it for a copy. Ways out: {_ALLOW}; {other}{_REFERENCE}"
