"""Microkernels of 8-bit products: tiles of int32 sums that live in registers. Their choice: `tile_sets_int8`.

A tile has `rows` rows of a and `panels` panels of 16 columns. A row of a is `runs` runs of 4 * depth bytes, at the same
offsets for all rows; a panel is [runs * depth, 16, 4]. Sums begin with `start`, whose rows are start_row apart. What a
tile adds up is exact, and wraps. `ending`, a tuple, says what becomes of it: see `ender`. A tile is done `times` times,
down the rows of a, of start and of what is written: more than once only where sums end as bytes, and only where `repeats`
says so (a call costs Arm's small tiles a third of their time, and loops make code longer).

Bytes of a have the sign that the machine multiplies best with signed ones: none on x86-64, one on aarch64.
"""

from __future__ import annotations

import functools

import numpy as np
from llvmlite import ir
from numba import types

from edge_rt.kernels.registers import hide
from edge_rt.kernels.simd import (
    Vec,
    bitcast,
    call,
    convert,
    dot,
    dot_pairs,
    lane,
    load,
    machine,
    new,
    number,
    pack,
    primitive,
    repeat,
    shuffle,
    splat,
    unpack,
)
from edge_rt.kernels.tiles import AHEAD_SIZE

I8, U8, I16, I32 = types.int8, types.uint8, types.int16, types.int32

WIDTH, DEPTH = 16, 4
"""Columns of a panel, and neighbours of k that lie together in it."""
AHEAD = 2048
"""How far ahead, in bytes, large tiles ask for panels: what comes from the last cache takes as long as so many products."""


def byte_of(target):
    """The type of the bytes of a."""
    return I8 if target.arch == "aarch64" else U8


# ---- primitives -----------------------------------------------------------------------------------------------------


def _rows(builder, vec, p, stride, three):
    """Byte addresses of the rows of a column tile; `three` as for add_outer."""
    p = builder.bitcast(p, ir.IntType(8).as_pointer())
    for row in range(vec.shape[0]):
        if row and row % 3 == 0:
            p = builder.gep(p, [three])
        at = builder.gep(p, [builder.mul(stride, ir.IntType(64)(row % 3))])
        yield builder.bitcast(at, number(vec.dtype).as_pointer())


@primitive(new)
def spread_quads(context, builder, sig, args):
    """spread_quads(V, p, stride, three): four bytes per row, as one int32 in all lanes; stride in bytes, three as for
    add_outer."""
    vec, (_, p, stride, three) = sig.return_type, args
    rows = (builder.load(at, align=1) for at in _rows(builder, vec, p, stride, three))
    return pack(builder, vec, [repeat(builder, vec, x) for x in rows])


@primitive(new)
def load_quads(context, builder, sig, args):
    """load_quads(V, p, stride, three): sixteen bytes per row, as four int32; stride and three as for spread_quads."""
    vec, (_, p, stride, three) = sig.return_type, args
    at = (builder.bitcast(q, vec.ir.as_pointer()) for q in _rows(builder, vec, p, stride, three))
    return pack(builder, vec, [builder.load(q, align=1) for q in at])


@primitive(new)
def load_pairs(context, builder, sig, args):
    """load_pairs(V, p, stride, three): eight bytes per row, as the first two of four int32; as for spread_quads."""
    vec, (_, p, stride, three) = sig.return_type, args
    half = vec.to(lanes=2)
    at = (builder.bitcast(q, half.ir.as_pointer()) for q in _rows(builder, vec, p, stride, three))
    return pack(builder, vec, [shuffle(builder, builder.load(q, align=1), [0, 1, 2, 3]) for q in at])


@primitive(lambda p: p if isinstance(p, types.CPointer) else None)
def hide_pointer(context, builder, sig, args):
    """hide_pointer(p): p, about which LLVM then knows nothing: it would keep one pointer per row of a tile."""
    t = args[0].type
    return builder.asm(ir.FunctionType(t, [t]), "", "=r,0", [args[0]], False)


@primitive(lambda vec, p, b_panel: types.none)
def prefetch_panels(context, builder, sig, args):
    """prefetch_panels(V, p, b_panel): asks for what a load of V, of panels, would read, for the second-level cache."""
    for panel in range(sig.args[0].instance_type.shape[1]):
        at = builder.gep(args[1], [builder.mul(args[2], ir.IntType(64)(panel))])
        at = builder.bitcast(at, ir.IntType(8).as_pointer())
        call(builder, "llvm.prefetch.p0", ir.VoidType(), at, *(ir.IntType(32)(n) for n in (0, 2, 1)))
    return context.get_dummy_value()


def _halves(x, y, z):
    whole = all(isinstance(t, Vec) for t in (x, y, z)) and x.lanes == y.lanes == 4 * z.lanes
    return z if whole and (*np.broadcast_shapes(x.shape, y.shape), 2) == z.shape else None


def _emit_halves(count):
    """Emits z plus `count` products of int8, added up as int16 before pairs of neighbours are."""

    def emit(context, builder, sig, args):
        vec, *given = sig.return_type, *(unpack(builder, t, a) for t, a in zip(sig.args, args))
        byte, sums, (rows, panels, vectors) = sig.args[0].ir, given[-1], vec.shape[:-1]
        wide = ir.VectorType(ir.IntType(16), 8)
        for row in range(rows):
            x = [v[row, 0, 0] for v in given[:count]]
            for panel, k in np.ndindex(panels, vectors):
                # LLVM would take the second half of a repeated number for its first, and miss the instruction for second
                # halves; and it would multiply everything before it adds anything, for which registers are too few.
                before = list(sums[row, panel, k - 1]) if k else []
                hide = ir.FunctionType(byte, [byte, *(v.type for v in before)])
                x = [builder.asm(hide, "", ",".join(["=w,0", *["w"] * len(before)]), [v, *before], False) for v in x]
                for half in (0, 1):
                    lanes = list(range(8 * half, 8 * half + 8))
                    pairs = zip(x, (v[0, panel, k] for v in given[count : 2 * count]))
                    parts = ([shuffle(builder, v, lanes) for v in pair] for pair in pairs)
                    products = [call(builder, "llvm.aarch64.neon.smull.v8i16", wide, *pair) for pair in parts]
                    total = functools.reduce(builder.add, products)
                    added = call(builder, "llvm.aarch64.neon.saddlp.v4i32.v8i16", vec.ir, total)
                    sums[row, panel, k, half] = builder.add(sums[row, panel, k, half], added)
        return pack(builder, vec, sums.flat)

    return emit


@primitive(lambda x, y, z: _halves(x, y, z))
def dot_halves(context, builder, sig, args):
    """dot_halves(x, y, z): z plus the products of the int8 x and y, by pairs of neighbours, for machines without dot
    products: z has a last axis of two, for the first and the second half of the lanes (see `fold`)."""
    return _emit_halves(1)(context, builder, sig, args)


@primitive(lambda x0, x1, y0, y1, z: _halves(x0, y0, z) if (x0, y0) == (x1, y1) else None)
def dot_two_halves(context, builder, sig, args):
    """dot_two_halves(x0, x1, y0, y1, z): dot_halves of both pairs. y0 and y1 must not have -128 at the same place, where
    two products of -128 would be beyond int16."""
    return _emit_halves(2)(context, builder, sig, args)


@primitive(lambda x: x.to(shape=x.shape[:-1]) if isinstance(x, Vec) and x.shape and x.shape[-1] == 2 else None)
def fold(context, builder, sig, args):
    """fold(x): sums of neighbouring lanes of the two vectors along the last axis, one after the other."""
    vec, made = sig.return_type, []
    for first, second in unpack(builder, sig.args[0], args[0]).reshape(-1, 2):
        if machine(context).arch == "aarch64":
            made.append(call(builder, "llvm.aarch64.neon.addp.v4i32", vec.ir, first, second))
        else:
            even, odd = (shuffle(builder, first, list(range(i, 2 * vec.lanes, 2)), second) for i in (0, 1))
            made.append(builder.add(even, odd))
    return pack(builder, vec, made)


# ---- tiles ----------------------------------------------------------------------------------------------------------


def vnni_sums(rows, panels):
    """16 lanes, with a dot product of unsigned and signed bytes."""
    TILE, ROW = Vec(I32, 16, (rows, panels, 1)), Vec(I8, 64, (1, panels, 1))
    COLUMN, BYTES = Vec(I32, 16, (rows, 1, 1)), Vec(U8, 64, (rows, 1, 1))
    looks_ahead = rows * panels >= AHEAD_SIZE

    def sums(start, start_row, a, a_row, offsets, runs, depth, b, b_panel):
        acc = load(TILE, start, start_row, WIDTH)
        three = hide(3 * a_row)
        for run in range(runs):
            p = hide_pointer(a + offsets[run])
            # Two at once: instructions, rather than products, are what such a machine has too few of.
            for _ in range(depth >> 1):
                acc = dot(bitcast(BYTES, spread_quads(COLUMN, p, a_row, three)), load(ROW, b, 0, b_panel), acc)
                column = bitcast(BYTES, spread_quads(COLUMN, p + DEPTH, a_row, three))
                acc = dot(column, load(ROW, b + DEPTH * WIDTH, 0, b_panel), acc)
                if looks_ahead:
                    prefetch_panels(ROW, b + AHEAD, b_panel)
                    prefetch_panels(ROW, b + (AHEAD + DEPTH * WIDTH), b_panel)
                p += 2 * DEPTH
                b += 2 * DEPTH * WIDTH
            if depth & 1:
                acc = dot(bitcast(BYTES, spread_quads(COLUMN, p, a_row, three)), load(ROW, b, 0, b_panel), acc)
                b += DEPTH * WIDTH
        return acc

    return sums


def sdot_sums(rows, panels):
    """4 lanes, with a dot product of signed bytes by one lane of a register (its second operand): sixteen k of a row are
    one load."""
    TILE, ROW = Vec(I32, 4, (rows, panels, 4)), Vec(I8, 16, (1, panels, 4))
    COLUMN, BYTES = Vec(I32, 4, (rows, 1, 1)), Vec(I8, 16, (rows, 1, 1))
    STEP = DEPTH * WIDTH

    def sums(start, start_row, a, a_row, offsets, runs, depth, b, b_panel):
        acc = load(TILE, start, start_row, WIDTH)
        three = hide(3 * a_row)
        for run in range(runs):
            p = hide_pointer(a + offsets[run])
            left = depth >> 2
            while left != 0:  # down to zero: LLVM counts a range with one instruction more
                left -= 1
                column = load_quads(COLUMN, p, a_row, three)
                acc = dot(load(ROW, b, 0, b_panel), bitcast(BYTES, lane(column, 0)), acc)
                acc = dot(load(ROW, b + STEP, 0, b_panel), bitcast(BYTES, lane(column, 1)), acc)
                acc = dot(load(ROW, b + 2 * STEP, 0, b_panel), bitcast(BYTES, lane(column, 2)), acc)
                acc = dot(load(ROW, b + 3 * STEP, 0, b_panel), bitcast(BYTES, lane(column, 3)), acc)
                p += 4 * DEPTH
                b += 4 * STEP
            if depth & 2:
                column = load_pairs(COLUMN, p, a_row, three)
                acc = dot(load(ROW, b, 0, b_panel), bitcast(BYTES, lane(column, 0)), acc)
                acc = dot(load(ROW, b + STEP, 0, b_panel), bitcast(BYTES, lane(column, 1)), acc)
                p += 2 * DEPTH
                b += 2 * STEP
            if depth & 1:
                acc = dot(bitcast(BYTES, spread_quads(COLUMN, p, a_row, three)), load(ROW, b, 0, b_panel), acc)
                b += STEP
        return acc

    return sums


def smull_sums(rows, panels):
    """4 lanes, with products of 8 bits only: pairs of neighbours are added while they widen to 32 bits."""
    return _smull_sums(rows, panels, False)


def narrow_smull_sums(rows, panels):
    """As smull_sums, for panels without -128: two products are added before they widen."""
    return _smull_sums(rows, panels, True)


def _smull_sums(rows, panels, is_narrow):
    HALVES, TILE = Vec(I32, 4, (rows, panels, 4, 2)), Vec(I32, 4, (rows, panels, 4))
    COLUMN, BYTES, ROW = Vec(I32, 4, (rows, 1, 1)), Vec(I8, 16, (rows, 1, 1)), Vec(I8, 16, (1, panels, 4))
    STEP, together = DEPTH * WIDTH, 2 if is_narrow else 1

    def add_two(acc, p, a_row, three, b, b_panel):
        first, second = spread_quads(COLUMN, p, a_row, three), spread_quads(COLUMN, p + DEPTH, a_row, three)
        rows_of_b = load(ROW, b, 0, b_panel), load(ROW, b + STEP, 0, b_panel)
        return dot_two_halves(bitcast(BYTES, first), bitcast(BYTES, second), rows_of_b[0], rows_of_b[1], acc)

    def add_one(acc, p, a_row, three, b, b_panel):
        return dot_halves(bitcast(BYTES, spread_quads(COLUMN, p, a_row, three)), load(ROW, b, 0, b_panel), acc)

    add = add_two if is_narrow else add_one

    def sums(start, start_row, a, a_row, offsets, runs, depth, b, b_panel):
        acc = splat(HALVES, 0)
        three = hide(3 * a_row)
        for run in range(runs):
            p = hide_pointer(a + offsets[run])
            for _ in range(depth // together):
                acc = add(acc, p, a_row, three, b, b_panel)
                p += together * DEPTH
                b += together * STEP
            if depth % together:
                acc = add_one(acc, p, a_row, three, b, b_panel)
                b += STEP
        return fold(acc) + load(TILE, start, start_row, WIDTH)

    return sums


def widened_sums(rows, panels):
    """8 lanes, with products of 16 bits added in pairs (those of 8 bits would saturate)."""
    PAIRS, TILE = Vec(I32, 8, (rows, panels, 2, 2)), Vec(I32, 8, (rows, panels, 2))
    QUADS, BYTES, COLUMN = Vec(I32, 4, (rows, 1, 1, 1)), Vec(U8, 16, (rows, 1, 1, 1)), Vec(I16, 16, (rows, 1, 1, 1))
    NARROW, ROW = Vec(I8, 16, (1, panels, 2, 2)), Vec(I16, 16, (1, panels, 2, 2))

    def sums(start, start_row, a, a_row, offsets, runs, depth, b, b_panel):
        acc = splat(PAIRS, 0)
        three = hide(3 * a_row)
        for run in range(runs):
            p = hide_pointer(a + offsets[run])
            for _ in range(depth):
                column = convert(COLUMN, bitcast(BYTES, spread_quads(QUADS, p, a_row, three)))
                acc = dot_pairs(column, convert(ROW, load(NARROW, b, 0, b_panel)), acc)
                p += DEPTH
                b += DEPTH * WIDTH
        return fold(acc) + load(TILE, start, start_row, WIDTH)

    return sums
