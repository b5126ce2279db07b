"""Short msgpack values in their one canonical form, read without the package, whose shared object takes longer to load than
a thousand values take here. The subset is that of bundles: no extension types, no 32-bit floats; keys are unique strings.

Nothing else is read here: whoever gets Undecided asks msgpack, which reads it or says what is wrong with it.
"""

from __future__ import annotations

import struct
from typing import Any

SHORT = 1 << 12
"""Bytes up to which this is faster."""
MAX_DEPTH = 32

_UNSIGNED = {0xCC: (1, 1 << 7), 0xCD: (2, 1 << 8), 0xCE: (4, 1 << 16), 0xCF: (8, 1 << 32)}
"""Bytes, and the least number that takes as many."""
_NEGATIVE = {0xD0: (1, -32), 0xD1: (2, -(1 << 7)), 0xD2: (4, -(1 << 15)), 0xD3: (8, -(1 << 31))}
"""Bytes, and what the number must be below."""
_SIZED = {0xD9: (1, 32), 0xDA: (2, 256), 0xC4: (1, 0), 0xC5: (2, 256), 0xDC: (2, 16), 0xDE: (2, 16)}
"""Bytes of the size of a string, byte string, list or map, and the least size that takes as many."""
_FIXED = {0xC0: None, 0xC2: False, 0xC3: True}


class Undecided(Exception):
    """The bytes are not what is read here."""


def decoded(data: bytes, is_sorted: bool = True) -> Any:
    """The value of at most SHORT canonical bytes. is_sorted: whether keys of maps must be. Raises Undecided."""
    if len(data) > SHORT:
        raise Undecided
    try:
        value, end = _value(data, 0, MAX_DEPTH, is_sorted)
    except (IndexError, UnicodeDecodeError, struct.error):
        raise Undecided from None
    if end != len(data):
        raise Undecided
    return value


def _value(data: bytes, at: int, depth: int, is_sorted: bool) -> tuple[Any, int]:
    """The value at an offset, and where it ends, which may be behind the end of the data."""
    kind = data[at]
    at += 1
    if kind < 0x80:
        return kind, at
    if kind >= 0xE0:
        return kind - 0x100, at
    if kind < 0xC0:
        size = kind & (0x1F if kind >= 0xA0 else 0x0F)
    elif kind in _SIZED:
        width, least = _SIZED[kind]
        size = int.from_bytes(data[at : at + width], "big")
        at += width
        if size < least:
            raise Undecided
    else:
        return _scalar(data, at, kind)
    if kind >= 0xA0 and kind not in (0xDC, 0xDE):
        end = at + size
        return (data[at:end] if kind in (0xC4, 0xC5) else data[at:end].decode()), end
    if not depth or size > len(data) - at:
        raise Undecided
    if kind == 0xDC or 0x90 <= kind < 0xA0:
        return _list(data, at, size, depth - 1, is_sorted)
    return _map(data, at, size, depth - 1, is_sorted)


# Small integers and short strings, which are most values, do without a call in both.


def _list(data: bytes, at: int, size: int, depth: int, is_sorted: bool) -> tuple[list[Any], int]:
    items: list[Any] = []
    for _ in range(size):
        kind = data[at]
        if kind < 0x80:
            items.append(kind)
            at += 1
        elif 0xA0 <= kind < 0xC0:
            start, at = at + 1, at + kind - 0x9F
            items.append(data[start:at].decode())
        else:
            value, at = _value(data, at, depth, is_sorted)
            items.append(value)
    return items, at


def _map(data: bytes, at: int, size: int, depth: int, is_sorted: bool) -> tuple[dict[str, Any], int]:
    entries: dict[str, Any] = {}
    previous = ""
    for _ in range(size):
        kind = data[at]
        if 0xA0 <= kind < 0xC0:
            start, at = at + 1, at + kind - 0x9F
            key = data[start:at].decode()
        else:
            key, at = _value(data, at, 0, is_sorted)
            if type(key) is not str:
                raise Undecided
        if is_sorted:
            if key <= previous and entries:
                raise Undecided
            previous = key
        kind = data[at]
        if kind < 0x80:
            entries[key] = kind
            at += 1
        elif 0xA0 <= kind < 0xC0:
            start, at = at + 1, at + kind - 0x9F
            entries[key] = data[start:at].decode()
        else:
            entries[key], at = _value(data, at, depth, is_sorted)
    if len(entries) != size:
        raise Undecided
    return entries, at


def _scalar(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in _FIXED:
        return _FIXED[kind], at
    if kind in _UNSIGNED:
        width, limit = _UNSIGNED[kind]
        number = int.from_bytes(data[at : at + width], "big")
        is_shortest = number >= limit
    elif kind in _NEGATIVE:
        width, limit = _NEGATIVE[kind]
        number = int.from_bytes(data[at : at + width], "big", signed=True)
        is_shortest = number < limit
    elif kind == 0xCB:
        width, number = 8, struct.unpack_from(">d", data, at)[0]
        is_shortest = number == number  # the bits of other numbers may change when they are copied
    else:
        raise Undecided
    if not is_shortest:
        raise Undecided
    return number, at + width
