"""Code images: the file that holds the machine code of all kernels for one target.

    offset 0   magic "EDGECODE"
    8          u32 format version
    12         u32 header length
    16         SHA-256 of the header
    48         header (msgpack): target, requires, symbols {name: offset in code}, code_offset, code_size, code_crc32,
               sources (fingerprint of what the code was compiled from), producer
    code_offset (a multiple of 64 KiB, the largest page size of the CPUs we know)   code

Integers are little-endian. The code runs at any page-aligned address and refers to nothing outside itself.
The checksums are there to find damage: who can write into an image could write into the Python files beside it. An installed
pack is trusted to be whole, as shared objects are (`edge-rt doctor` checks its code): reading all of it would take longer
than mapping it. Other images are checked at each start, so their code has a CRC-32: a SHA-256 takes ten times as long.
"""

from __future__ import annotations

import struct
from typing import Any

from edge_rt.decoding import Undecided, decoded
from edge_rt.errors import CodeImageError
from edge_rt.hashing import sha256

MAGIC = b"EDGECODE"
VERSION = 2
CODE_OFFSET = 1 << 16
MAX_HEADER = CODE_OFFSET - 48
MAX_CODE = 1 << 26
_FIELDS = {
    "target": str, "requires": list, "symbols": dict, "code_offset": int, "code_size": int, "code_crc32": int,
    "sources": str, "producer": str,
}  # fmt: skip


class Header:
    """What a code image says of itself."""

    __slots__ = tuple(_FIELDS)

    target: str
    requires: frozenset[str]
    symbols: dict[str, int]
    code_offset: int
    code_size: int
    code_crc32: int
    sources: str
    producer: str

    def __init__(self, fields: dict[str, Any]) -> None:
        for name in self.__slots__:
            setattr(self, name, fields[name])
        self.requires = frozenset(map(str, fields["requires"]))


def write_image(
    target: str, requires: frozenset[str], symbols: dict[str, int], code: bytes, sources: str = "", producer: str = ""
) -> bytes:
    """The bytes of an image; the same for the same arguments."""
    from binascii import crc32

    import msgpack

    fields = {
        "target": target, "requires": sorted(requires), "symbols": dict(sorted(symbols.items())),
        "code_offset": CODE_OFFSET, "code_size": len(code), "code_crc32": crc32(code),
        "sources": sources, "producer": producer,
    }  # fmt: skip
    header: bytes = msgpack.packb(fields)
    if len(header) > MAX_HEADER:
        raise ValueError(f"{len(symbols)} symbols make a header of {len(header)} bytes; the format allows {MAX_HEADER}")
    front = MAGIC + struct.pack("<II", VERSION, len(header)) + sha256(header).digest() + header
    return front + bytes(CODE_OFFSET - len(front)) + code


def read_header(data: bytes, where: str) -> Header:
    """The header of an image of which `data` is at least the first 64 KiB. Raises CodeImageError with `where`."""
    if data[:8] != MAGIC:
        raise CodeImageError(f"{where}: not a code image")
    if len(data) < 48:
        raise CodeImageError(f"{where}: ends within the header")
    version, length = struct.unpack_from("<II", data, 8)
    if version != VERSION:
        raise CodeImageError(f"{where}: code image format {version}, this edge-rt reads {VERSION}")
    if length > MAX_HEADER or len(data) < 48 + length:
        raise CodeImageError(f"{where}: ends within the header")
    packed = data[48 : 48 + length]
    if sha256(packed).digest() != data[16:48]:
        raise CodeImageError(f"{where}: the header differs from its SHA-256")
    return _check(_fields(packed, where), where)


def _fields(packed: bytes, where: str) -> Any:
    try:
        return decoded(packed, is_sorted=False)
    except Undecided:
        import msgpack

        try:
            return msgpack.unpackb(packed)
        except ValueError as error:
            raise CodeImageError(f"{where}: the header is not msgpack: {error}") from None


def _check(fields: Any, where: str) -> Header:
    if not isinstance(fields, dict) or set(fields) != set(_FIELDS):
        raise CodeImageError(f"{where}: the header must have the fields {', '.join(_FIELDS)}")
    for name, kind in _FIELDS.items():
        if type(fields[name]) is not kind:
            raise CodeImageError(f"{where}: header field {name} must be {kind.__name__}, got {fields[name]!r}")
    header = Header(fields)
    if header.code_offset % CODE_OFFSET or header.code_offset <= 0 or not 0 < header.code_size <= MAX_CODE:
        raise CodeImageError(f"{where}: code of {header.code_size} bytes at offset {header.code_offset} is not allowed")
    for name, offset in header.symbols.items():
        if type(name) is not str or type(offset) is not int or not 0 <= offset < header.code_size:
            raise CodeImageError(f"{where}: symbol {name!r} at {offset!r} lies outside the code")
    return header


def check_code(header: Header, code: Any, where: str) -> None:
    """Raises CodeImageError unless `code` (a buffer) is what the header describes."""
    from binascii import crc32  # a shared object of its own, which a start from an installed pack does not need

    if len(code) != header.code_size:
        raise CodeImageError(f"{where}: has {len(code)} bytes of code, its header says {header.code_size}")
    if crc32(code) != header.code_crc32:
        raise CodeImageError(f"{where}: the code differs from its CRC-32")
