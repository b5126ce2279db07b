"""Files that lie uncompressed in a zip file: where, so that they can be mapped. Reading the list of all members, as zipfile
does, takes as long as a start does otherwise.
"""

from __future__ import annotations

import os
import sys

_END, _ENTRY, _LOCAL = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_END_SIZE, _ENTRY_SIZE, _LOCAL_SIZE = 22, 46, 30
_LARGEST_COMMENT = 0xFFFF


def archive_of_this() -> str | None:
    """The zip file that edge_rt itself was loaded from, if it was."""
    found: str | None = getattr(sys.modules["edge_rt"].__loader__, "archive", None)
    return found


def stored_member(descriptor: int, name: str) -> tuple[int, int] | None:
    """Where the contents of a member are in a zip file (offset, size); None if it has no such member, or one that is
    compressed, and for files beyond 4 GiB. Raises OSError."""
    found = _end(descriptor)
    if found is None:
        return None
    end, at = found
    size, offset = _number(end, 12, 4), _number(end, 16, 4)
    first = at - size  # the list of members ends where its end record begins
    if first < offset:
        return None
    members = os.pread(descriptor, size, first)
    entry = _entry(members, name.encode())
    if entry is None or _number(members, entry + 10, 2):
        return None
    local = first - offset + _number(members, entry + 42, 4)
    header = os.pread(descriptor, _LOCAL_SIZE, local)
    if not header.startswith(_LOCAL) or len(header) < _LOCAL_SIZE:
        return None
    contents = local + _LOCAL_SIZE + _number(header, 26, 2) + _number(header, 28, 2)
    length = _number(members, entry + 24, 4)
    return (contents, length) if contents + length <= first else None


def _end(descriptor: int) -> tuple[bytes, int] | None:
    """The record that ends a zip file, and where it is; a comment of at most 64 KiB may follow it."""
    file_size = os.fstat(descriptor).st_size
    for size in (_END_SIZE, _END_SIZE + _LARGEST_COMMENT):
        tail = os.pread(descriptor, size, max(file_size - size, 0))
        at = tail.rfind(_END)
        while at >= 0:
            if len(tail) - at >= _END_SIZE and _number(tail, at + 20, 2) == len(tail) - at - _END_SIZE:
                return tail[at:], file_size - len(tail) + at
            at = tail.rfind(_END, 0, at)
    return None


def _entry(members: bytes, name: bytes) -> int | None:
    """Where the entry of this name begins."""
    at = members.find(name)
    while at >= 0:
        entry = at - _ENTRY_SIZE
        if entry >= 0 and members[entry : entry + 4] == _ENTRY and _number(members, entry + 28, 2) == len(name):
            return entry
        at = members.find(name, at + 1)
    return None


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")
