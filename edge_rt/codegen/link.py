"""A static linker: relocatable ELF64 objects -> one flat, position-independent piece of code with a symbol table.

It lays out the code of all objects, then their constants, and applies the relocations that LLVM makes for code that
refers only to itself. Whatever else an object wants (a function of libm, a global offset table, writable data) is an
error that names the kernel. The result runs at any address that is a multiple of 4096.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

from edge_rt.errors import CodegenError

X86_64, AARCH64 = 62, 183
_SYMTAB, _RELA, _NOBITS, _PROGBITS = 2, 4, 8, 1
_WRITE, _ALLOC, _EXECINSTR = 1, 2, 4
CODE_ALIGNMENT = 64

SYSTEM_CALL = "system_call"
"""A function that the linker provides: int64 system_call(number, a, b, c, d), with four arguments for the system."""
_SYSTEM_CALL_CODE = {
    X86_64: bytes.fromhex("4889f8 4889f7 4889d6 4889ca 4d89c2 0f05 c3"),
    # mov rax, rdi; mov rdi, rsi; mov rsi, rdx; mov rdx, rcx; mov r10, r8; syscall; ret
    AARCH64: struct.pack("<7I", 0xAA0003E8, 0xAA0103E0, 0xAA0203E1, 0xAA0303E2, 0xAA0403E3, 0xD4000001, 0xD65F03C0),
    # mov x8, x0; mov x0, x1; mov x1, x2; mov x2, x3; mov x3, x4; svc #0; ret
}


class Section(NamedTuple):
    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


class Symbol(NamedTuple):
    name: str
    info: int
    section: int
    value: int

    @property
    def is_exported_function(self) -> bool:
        return self.info == 0x12  # STB_GLOBAL, STT_FUNC


class Object:
    """A parsed object file."""

    def __init__(self, kernel: str, data: bytes) -> None:
        if data[:6] != b"\x7fELF\x02\x01":
            raise CodegenError(f"kernel {kernel}: the object is not little-endian ELF64")
        self.kernel, self.data = kernel, data
        (self.machine,) = struct.unpack_from("<H", data, 18)
        (table,) = struct.unpack_from("<Q", data, 0x28)
        count, names = struct.unpack_from("<HH", data, 0x3C)
        self.sections = [Section(*struct.unpack_from("<IIQQQQIIQQ", data, table + 64 * i)) for i in range(count)]
        self._section_names = self.sections[names].offset
        symbols = next(s for s in self.sections if s.type == _SYMTAB)
        strings = self.sections[symbols.link].offset
        self.symbols = []
        for at in range(symbols.offset, symbols.offset + symbols.size, 24):
            name, info, _, section, value, _ = struct.unpack_from("<IBBHQQ", data, at)
            self.symbols.append(Symbol(self._string(strings + name), info, section, value))
        self.bases: dict[int, int] = {}
        """Where each section that was laid out begins in the result."""

    def name(self, section: Section) -> str:
        return self._string(self._section_names + section.name)

    def parts(self, executable: bool) -> list[tuple[int, Section]]:
        """Sections to lay out: those with code, or those with constants. Raises CodegenError for writable data."""
        found = []
        for index, s in enumerate(self.sections):
            if not s.flags & _ALLOC or not s.size or self.name(s) == ".eh_frame":
                continue
            if s.flags & _WRITE:
                raise CodegenError(f"kernel {self.kernel}: has writable data (section {self.name(s)})")
            if s.type != _PROGBITS:
                raise CodegenError(f"kernel {self.kernel}: section {self.name(s)} has type {s.type}")
            if bool(s.flags & _EXECINSTR) == executable:
                found.append((index, s))
        return found

    def wants(self, name: str) -> bool:
        """Whether the object refers to a symbol that it does not define."""
        return any(s.name == name and s.section == 0 for s in self.symbols)

    def relocations(self, provided: dict[str, int]) -> Iterable[tuple[int, int, int]]:
        """(position in the result, type, target in the result with addend) of each relocation.

        provided: offsets of functions that come from the linker.
        """
        for s in self.sections:
            if s.type != _RELA or s.info not in self.bases:
                continue
            for at in range(s.offset, s.offset + s.size, 24):
                offset, info, addend = struct.unpack_from("<QQq", self.data, at)
                symbol = self.symbols[info >> 32]
                if symbol.section in self.bases:
                    target = self.bases[symbol.section] + symbol.value
                elif symbol.section == 0 and symbol.name in provided:
                    target = provided[symbol.name]
                else:
                    raise CodegenError(f"kernel {self.kernel}: undefined symbol {symbol.name or symbol.section}")
                yield self.bases[s.info] + offset, info & 0xFFFFFFFF, target + addend

    def _string(self, at: int) -> str:
        return self.data[at : self.data.index(b"\0", at)].decode()


def link(objects: dict[str, bytes]) -> tuple[bytes, dict[str, int]]:
    """(code, offset of each exported function) of objects by kernel symbol, laid out in the order given.

    Raises CodegenError that names the kernel for an undefined symbol, writable data, an unknown relocation, or an
    object that does not export exactly its kernel.
    """
    parsed = [Object(kernel, data) for kernel, data in objects.items()]
    code = bytearray()
    for executable in (True, False):
        for obj in parsed:
            code += bytes(-len(code) % CODE_ALIGNMENT) if executable else b""
            for index, section in obj.parts(executable):
                code += bytes(-len(code) % max(section.alignment, 1))
                obj.bases[index] = len(code)
                code += obj.data[section.offset : section.offset + section.size]
        if executable:
            provided = _add_system_call(code, parsed)
    symbols: dict[str, int] = {}
    for obj in parsed:
        exported = {s.name: obj.bases[s.section] + s.value for s in obj.symbols if s.is_exported_function and s.section}
        if list(exported) != [obj.kernel]:
            raise CodegenError(f"kernel {obj.kernel}: the object exports {', '.join(exported) or 'nothing'}")
        symbols.update(exported)
        relocate = {X86_64: _relocate_x86_64, AARCH64: _relocate_aarch64}.get(obj.machine)
        if relocate is None:
            raise CodegenError(f"kernel {obj.kernel}: ELF machine {obj.machine} is neither x86-64 nor aarch64")
        for position, kind, target in obj.relocations(provided):
            try:
                relocate(code, position, kind, target)
            except (ValueError, struct.error) as error:
                raise CodegenError(f"kernel {obj.kernel}: relocation {kind} at {position}: {error}") from None
    return bytes(code), symbols


def _add_system_call(code: bytearray, objects: list[Object]) -> dict[str, int]:
    """Appends what the linker provides, if an object wants it; offsets by name."""
    users = [obj for obj in objects if obj.wants(SYSTEM_CALL)]
    if not users:
        return {}
    code += bytes(-len(code) % CODE_ALIGNMENT)
    offset = len(code)
    code += _SYSTEM_CALL_CODE[users[0].machine]
    return {SYSTEM_CALL: offset}


def _relocate_x86_64(code: bytearray, position: int, kind: int, target: int) -> None:
    if kind in (2, 4):  # R_X86_64_PC32, R_X86_64_PLT32
        struct.pack_into("<i", code, position, target - position)
    elif kind == 24:  # R_X86_64_PC64
        struct.pack_into("<q", code, position, target - position)
    else:
        raise ValueError("not a relocation of code that refers only to itself")


_LO12_SHIFT = {277: 0, 278: 0, 284: 1, 285: 2, 286: 3, 299: 4}
"""R_AARCH64_ADD_ABS_LO12_NC and R_AARCH64_LDST{8,16,32,64,128}_ABS_LO12_NC: how the low 12 bits are scaled."""


def _relocate_aarch64(code: bytearray, position: int, kind: int, target: int) -> None:
    distance = target - position
    if kind == 261:  # R_AARCH64_PREL32
        struct.pack_into("<i", code, position, distance)
        return
    if kind == 260:  # R_AARCH64_PREL64
        struct.pack_into("<q", code, position, distance)
        return
    (word,) = struct.unpack_from("<I", code, position)
    if kind in (282, 283):  # R_AARCH64_JUMP26, R_AARCH64_CALL26
        word = word & ~0x03FFFFFF | _field(distance, 28, 2)
    elif kind == 275:  # R_AARCH64_ADR_PREL_PG_HI21
        pages = _field((target >> 12) - (position >> 12), 21, 0)
        word = word & 0x9F00001F | (pages & 3) << 29 | (pages >> 2) << 5
    elif kind in _LO12_SHIFT:
        low, shift = target & 0xFFF, _LO12_SHIFT[kind]
        if low & ((1 << shift) - 1):
            raise ValueError(f"the target is not a multiple of {1 << shift}")
        word = word & ~(0xFFF << 10) | (low >> shift) << 10
    else:
        raise ValueError("not a relocation of code that refers only to itself")
    struct.pack_into("<I", code, position, word)


def _field(value: int, bits: int, shift: int) -> int:
    """value as a field of so many signed bits, the lowest `shift` of which are not stored."""
    if value & ((1 << shift) - 1) or not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise ValueError(f"the distance {value} does not fit")
    return (value & ((1 << bits) - 1)) >> shift
