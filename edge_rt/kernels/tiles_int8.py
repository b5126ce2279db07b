"""Microkernels of 8-bit products: tiles of int32 sums that live in registers, and the choice among them.

A tile has `rows` rows of a and `panels` panels of 16 columns. A row of a is `runs` runs of 4 * depth bytes, at the same
offsets for all rows; a panel is [runs * depth, 16, 4]. Sums begin with `start`, whose rows are start_row apart. What a
tile adds up is exact, and wraps. `ending`, a tuple, says what becomes of it: see `ender`. A tile is done `times` times,
down the rows of a, of start and of what is written: more than once only where sums end as bytes, and only where `repeats`
says so (a call costs Arm's small tiles a third of their time, and loops make code longer).

Bytes of a have the sign that the machine multiplies best with signed ones: none on x86-64, one on aarch64.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from edge_rt.kernels.registers import hide
from edge_rt.kernels.requantize import ender
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
from edge_rt.kernels.tiles import AHEAD_SIZE, chain_width

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
    """Byte addresses of the rows of a column tile; `three` as for spread_rows."""
    p = builder.bitcast(p, ir.IntType(8).as_pointer())
    for row in range(vec.shape[0]):
        if row and row % 3 == 0:
            p = builder.gep(p, [three])
        at = builder.gep(p, [builder.mul(stride, ir.IntType(64)(row % 3))])
        yield builder.bitcast(at, number(vec.dtype).as_pointer())


@primitive(new)
def spread_quads(context, builder, sig, args):
    """spread_quads(V, p, stride, three): four bytes per row, as one int32 in all lanes; stride in bytes, three as for
    spread_rows."""
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


@primitive(_halves)
def dot_halves(context, builder, sig, args):
    """dot_halves(x, y, z): z plus the products of the int8 x and y, by pairs of neighbours, for machines without dot
    products: z has a last axis of two, for the first and the second half of the lanes (see `fold`)."""
    vec, (x, y, z) = sig.return_type, (unpack(builder, t, a) for t, a in zip(sig.args, args))
    shape = vec.shape[:-1]
    wide, made = ir.VectorType(ir.IntType(16), 8), []
    # LLVM would take the second half of a repeated number for its first, and miss the instruction for second halves.
    bytes_of = ir.FunctionType(sig.args[0].ir, [sig.args[0].ir])
    x = np.array([builder.asm(bytes_of, "", "=w,0", [v], False) for v in x.flat], object).reshape(x.shape)
    for i, (a, b) in enumerate(zip(np.broadcast_to(x, shape).flat, np.broadcast_to(y, shape).flat)):
        for half in (0, 1):
            low, high = (shuffle(builder, v, list(range(8 * half, 8 * half + 8))) for v in (a, b))
            products = call(builder, "llvm.aarch64.neon.smull.v8i16", wide, low, high)
            pairs = call(builder, "llvm.aarch64.neon.saddlp.v4i32.v8i16", vec.ir, products)
            made.append(builder.add(z.reshape(-1, 2)[i, half], pairs))
    return pack(builder, vec, made)


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
            for _ in range(depth >> 2):
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
    HALVES, TILE = Vec(I32, 4, (rows, panels, 4, 2)), Vec(I32, 4, (rows, panels, 4))
    COLUMN, BYTES, ROW = Vec(I32, 4, (rows, 1, 1)), Vec(I8, 16, (rows, 1, 1)), Vec(I8, 16, (1, panels, 4))
    STEP = DEPTH * WIDTH

    def sums(start, start_row, a, a_row, offsets, runs, depth, b, b_panel):
        acc = splat(HALVES, 0)
        three = hide(3 * a_row)
        for run in range(runs):
            p = hide_pointer(a + offsets[run])
            for _ in range(depth):
                acc = dot_halves(bitcast(BYTES, spread_quads(COLUMN, p, a_row, three)), load(ROW, b, 0, b_panel), acc)
                p += DEPTH
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


def repeats(target):
    """Whether tiles may be done more than once in a call."""
    return target.arch == "aarch64"


def repeated(target, rows, panels, make):
    """The tile of the sums that `make` makes."""
    sums, end = make(rows, panels), ender(target, rows, panels)

    def once(times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending):
        kind, out, factor, zero, lo, hi, flip, y, y_row = ending
        acc = sums(start, start_row, a, a_row, offsets, runs, depth, b, b_panel)
        end(acc, kind, out, factor, zero, lo, hi, flip, y, y_row)

    def tile(times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending):
        kind, out, factor, zero, lo, hi, flip, y, y_row = ending
        for _ in range(times):
            acc = sums(start, start_row, a, a_row, offsets, runs, depth, b, b_panel)
            end(acc, kind, out, factor, zero, lo, hi, flip, y, y_row)
            start += rows * start_row
            a += rows * a_row
            y += rows * y_row

    return tile if repeats(target) else once


# ---- the choice -----------------------------------------------------------------------------------------------------


KEY = 16
"""The key of a tile is KEY * rows + panels."""


class TileSet:
    """The tiles of a target.

    rows: of the largest one. `panels_for(rows, left)` is how many panels to take at once where `left` are left;
    `run(rows, panels, times, *arguments)` runs that tile. Both are for use in kernels. most: numbers in the largest tile;
    widest: columns of the widest.
    """

    __slots__ = ("most", "panels_for", "rows", "run", "widest")

    def __init__(self, target, make, tallest):
        """make: of the functions above; tallest: for each number of panels, the most rows of a tile so wide."""
        shapes = sorted(((r + 1, p) for p, most in tallest.items() for r in range(most)), reverse=True)
        self.rows = tallest[1]
        self.most = max(r * p for r, p in shapes) * WIDTH
        self.widest = max(tallest) * WIDTH
        self.run = _run_of([(r * KEY + p, repeated(target, r, p, make)) for r, p in shapes])
        self.panels_for = chain_width(sorted(tallest.items()))


def _run_of(tiles):
    """run(rows, panels, ...) of (key, tile) pairs."""
    chain = _chain_run(tiles)

    def run(rows, panels, times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending):
        chain(rows * KEY + panels, times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending)

    return run


def _chain_run(tiles):
    """run(key, ...): comparisons with one number, which LLVM makes a jump; few to a function, since each costs time."""
    # A tile that stands here twice is found the first time: LLVM drops the other one.
    (k0, t0), (k1, t1), (k2, t2), (k3, t3) = tiles[:4] + tiles[:1] * (4 - len(tiles))

    def nothing(key, times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending):
        pass

    others = _chain_run(tiles[4:]) if len(tiles) > 4 else nothing

    def run(key, times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending):
        if key == k0:
            t0(times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending)
        elif key == k1:
            t1(times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending)
        elif key == k2:
            t2(times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending)
        elif key == k3:
            t3(times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending)
        else:
            others(key, times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending)

    return run


def tiles_for(target):
    """The TileSet that fits the target's registers: 32 of 16 lanes, 16 of 8, or 32 of 4."""
    if target.arch == "aarch64" and "+dotprod" in target.llvm_features:
        return TileSet(target, sdot_sums, {1: 5, 2: 2, 4: 1})
    if target.arch == "aarch64":
        return TileSet(target, smull_sums, {1: 2})
    if target.lanes == 16:
        return TileSet(target, vnni_sums, {1: 14, 2: 14, 4: 4})
    return TileSet(target, widened_sums, {1: 2})
