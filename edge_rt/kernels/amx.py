"""Intel's matrix registers (AMX): whether this process may use them, and what they do with tiles of bytes.

There are eight registers of up to sixteen rows of 64 bytes, whose sizes a table sets. Nothing else in edge-rt, nor LLVM,
uses them, so what one instruction leaves there the next one finds. A thread that has used them releases them, since what
is in them is saved at each switch of threads.

Registers 0 to 3 hold sums of products: of two tiles of rows by two of panels; 4 and 5 hold rows of bytes, 6 and 7 panels.
Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types

from edge_rt.kernels.simd import call, pointer, primitive

U8, U16 = types.uint8, types.uint16
ROWS, ROW_BYTES = 16, 64
"""Of a register, at most."""
CONFIGURATION = 64
"""Bytes of a table of sizes."""
_PALETTE, _ROW_BYTES_AT, _ROWS_AT = 1, 16, 48
LEFT, RIGHT = (4, 5), (6, 7)
"""Registers of rows and of panels; those of sums are 2 * row + column."""
_ENABLED = 3 << 17
"""Bits of XCR0: a system that saves the registers."""
_ARCH_PRCTL, _REQUEST, _TILE_DATA = 158, 0x1023, 18
"""Linux's system call, and what asks for the registers: for all threads of the process, and what it starts."""
_LONG = ir.IntType(64)


def _byte(n):
    return ir.IntType(8)(n)


@primitive(lambda: types.int64)
def enabled_state(context, builder, sig, args):
    """enabled_state(): XCR0, the registers that the system saves."""
    return call(builder, "llvm.x86.xgetbv", _LONG, ir.IntType(32)(0))


@primitive(lambda: types.int64)
def request_registers(context, builder, sig, args):
    """request_registers(): asks the system for the registers, for all threads of this process; 0 if they may be used."""
    return call(builder, "system_call", _LONG, *map(_LONG, (_ARCH_PRCTL, _REQUEST, _TILE_DATA, 0, 0)))


def may_use():
    """Whether this process may use the registers: the CPU has them, and the system gives them, whenever it is asked again.
    To be called in kernels."""
    return enabled_state() & _ENABLED == _ENABLED and request_registers() == 0


@primitive(lambda table: types.none)
def configure(context, builder, sig, args):
    """configure(table): sets the registers' sizes, and all of them to 0; see `describe`."""
    call(builder, "llvm.x86.ldtilecfg", ir.VoidType(), args[0])
    return context.get_dummy_value()


@primitive(lambda: types.none)
def release(context, builder, sig, args):
    """release(): gives the registers back."""
    call(builder, "llvm.x86.tilerelease", ir.VoidType())
    return context.get_dummy_value()


def describe(table, rows, quads):
    """Fills uint8[CONFIGURATION] for tiles of `rows` rows of `quads` times four bytes, and panels of `quads` quads."""
    for i in range(CONFIGURATION):
        table[i] = U8(0)
    table[0] = U8(_PALETTE)
    widths = pointer(U16, table + _ROW_BYTES_AT)
    for register in range(8):
        is_panel, is_rows = register >= RIGHT[0], LEFT[0] <= register < RIGHT[0]
        widths[register] = U16(4 * quads if is_rows else ROW_BYTES)
        table[_ROWS_AT + register] = U8(quads if is_panel else rows)


def _is_tile(p, stride, row, column):
    literal = types.IntegerLiteral
    return types.none if isinstance(row, literal) and isinstance(column, literal) else None


def _move(name, context, builder, sig, args):
    row, column = (t.literal_value for t in sig.args[2:])
    p = builder.bitcast(args[0], ir.IntType(8).as_pointer())
    stride = context.cast(builder, args[1], sig.args[1], types.int64)
    call(builder, name, ir.VoidType(), _byte(2 * row + column), p, stride)
    return context.get_dummy_value()


@primitive(_is_tile)
def load_sums(context, builder, sig, args):
    """load_sums(p, stride, row, column): int32 rows at p, `stride` bytes apart, become the sums of tile (row, column), two
    constants."""
    return _move("llvm.x86.tileloadd64", context, builder, sig, args)


@primitive(_is_tile)
def store_sums(context, builder, sig, args):
    """store_sums(p, stride, row, column): writes the sums of a tile; as for load_sums."""
    return _move("llvm.x86.tilestored64", context, builder, sig, args)


def _products(rows, panels):
    @primitive(lambda a, a_next, b, b_next, a_row: types.none)
    def add_products(context, builder, sig, args):
        *at, a_row = args
        at = [builder.bitcast(p, ir.IntType(8).as_pointer()) for p in at]
        steps = [(LEFT[r], at[r], a_row) for r in range(rows)]
        steps += [(RIGHT[c], at[2 + c], _LONG(ROW_BYTES)) for c in range(panels)]
        for register, p, step in steps:
            call(builder, "llvm.x86.tileloadd64", ir.VoidType(), _byte(register), p, step)
        for r in range(rows):
            for c in range(panels):
                registers = map(_byte, (2 * r + c, LEFT[r], RIGHT[c]))
                call(builder, "llvm.x86.tdpbusd", ir.VoidType(), *registers)
        return context.get_dummy_value()

    return add_products


add_one, add_beside, add_below, add_four = (_products(r, c) for r, c in ((1, 1), (1, 2), (2, 1), (2, 2)))
"""add(a, a_next, b, b_next, a_row): to the sums of up to two tiles of rows by two of panels products of the unsigned bytes
at a and a_next, whose rows are a_row bytes apart, by the signed ones of the panels at b and b_next."""


@primitive(lambda low, middle, high, b, a_row: types.none)
def add_slices(context, builder, sig, args):
    """add_slices(low, middle, high, b, a_row): to the sums of tiles (0, 0), (0, 1) and (1, 0) products of the panel at b
    by the bytes at low, middle and high, of which the last have a sign; rows are a_row bytes apart."""
    *rows, b, a_row = args
    byte_pointer = ir.IntType(8).as_pointer()

    def read(register, p, step):
        call(builder, "llvm.x86.tileloadd64", ir.VoidType(), _byte(register), builder.bitcast(p, byte_pointer), step)

    read(RIGHT[0], b, _LONG(ROW_BYTES))
    for i, p in enumerate(rows):
        name = "llvm.x86.tdpbssd" if i == 2 else "llvm.x86.tdpbusd"
        read(LEFT[i % 2], p, a_row)
        call(builder, name, ir.VoidType(), *map(_byte, (i, LEFT[i % 2], RIGHT[0])))
    return context.get_dummy_value()
