"""Sums of depthwise windows for Arm's dot products of four bytes, over what `depthwise_int8_seen` wove.

A tile is a quarter of the channels of a group at a time: so few that sums of several columns of two lines stay in registers
with the weights of a row of the kernel, and each quad is loaded once for all windows that it lies in. Taps that neighbours
share form chains; what a tile adds at once are five, three, two or one of a chain.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from edge_rt.kernels.depthwise_int8_seen import DEPTH, quad_gatherer, safe_columns, weight_weaver
from edge_rt.kernels.memory import stack
from edge_rt.kernels.requantize import rounder
from edge_rt.kernels.saturation import in_fours
from edge_rt.kernels.simd import Vec, call, convert, load, new, pack, part, pointer, primitive, splat, store, unpack
from edge_rt.kernels.tiles_int8 import hide_pointer
from edge_rt.lowering.depthwise_int8 import (
    APART_WIDE,
    CHANNELS,
    COLUMNS,
    GAP_DOWN,
    GAP_WIDE,
    GROUP,
    HEIGHT,
    KERNEL_H,
    KERNEL_W,
    LATTICE,
    LINE_ROOM,
    LINES,
    MOST_TAPS,
    QUADS,
    RESIDUES,
    SLIDE,
    STEP_DOWN,
    STEP_WIDE,
    WIDTH,
)

F32, I32, U8 = types.float32, types.int32, types.uint8
LENGTHS = tuple(range(MOST_TAPS, 0, -1))
"""How many taps of a chain are added at once."""
MANY_PRODUCTS = 70
"""With so many dot products at once, a machine is never short of anything else."""
BYTES, LONG = ir.VectorType(ir.IntType(8), GROUP), ir.IntType(64)


class SingleLoad(ir.instructions.LoadInstr):
    """A load that LLVM does not make one with that beside it."""

    def descr(self, buf):
        text = []
        super().descr(text)
        buf.append("".join(text).replace("load", "load volatile", 1))


def _loaded(builder, p, count, apart):
    """Vectors of bytes that lie one after the other at p: four, three or two of them by one instruction, or, which are more
    instructions but take less of a machine, each apart."""
    for first in range(0, count, 1 if apart else DEPTH):
        some, at = 1 if apart else min(DEPTH, count - first), builder.gep(p, [LONG(first * GROUP)])
        if some == 1:
            single = SingleLoad(builder.block, builder.bitcast(at, BYTES.as_pointer()), typ=BYTES)
            single.align = 1
            yield builder._insert(single) or single
        else:
            many = ir.LiteralStructType([BYTES] * some)
            made = call(builder, f"llvm.aarch64.neon.ld1x{some}.v16i8.p0", many, at)
            yield from (builder.extract_value(made, i) for i in range(some))


@primitive(lambda acc, x, w, taps: acc if isinstance(taps, types.IntegerLiteral) else None)
def add_chain(context, builder, sig, args):
    """add_chain(acc, x, w, taps): acc [lines, columns] plus products of columns x, u8[columns + taps - 1, 16], and weights
    i8[taps, lines, 16]."""
    vec, (acc, x, w, _), taps = sig.return_type, args, sig.args[3].literal_value
    sums = unpack(builder, vec, acc)
    lines, columns = vec.shape
    apart = vec.count * taps < MANY_PRODUCTS
    weights = np.array([*_loaded(builder, w, taps * lines, apart)], object).reshape(taps, lines)
    for column, seen in enumerate(_loaded(builder, x, columns + taps - 1, apart)):
        for t in range(max(0, column - columns + 1), min(taps, column + 1)):
            for line in range(lines):
                given = sums[line, column - t], seen, weights[t, line]
                sums[line, column - t] = call(builder, "llvm.aarch64.neon.sdot.v4i32.v16i8", vec.ir, *given)
    return pack(builder, vec, sums.flat)


@primitive(new)
def load_turned(context, builder, sig, args):
    """load_turned(V, p): sixteen bytes for each column, of which quarters of four columns lie at p, [4, 4, 4], one after the
    other."""
    vec, p, words, made = sig.return_type, args[1], ir.VectorType(ir.IntType(32), 4), []
    four = ir.LiteralStructType([words] * 4)
    for first in range(0, vec.count, 4):
        at = builder.bitcast(builder.gep(p, [LONG(first * GROUP)]), ir.IntType(32).as_pointer())
        loaded = call(builder, "llvm.aarch64.neon.ld4.v4i32.p0", four, at)
        made += [builder.bitcast(builder.extract_value(loaded, i), vec.ir) for i in range(4)]
    return pack(builder, vec, made[: vec.count])


def _chain_adder(lines, count):
    """add(acc, at, x, places, w): acc plus the chains of the first `count` of LENGTHS, of which the first begins at
    places[at]; and where the next one begins there and in w."""
    if count == 0:
        return lambda acc, at, x, places, w: (acc, at, w)
    before, which = _chain_adder(lines, count - 1), count - 1
    taps, step = LENGTHS[which], LENGTHS[which] * lines * GROUP

    def add(acc, at, x, places, w):
        acc, at, w = before(acc, at, x, places, w)
        for _ in range(places[which]):
            acc = add_chain(acc, hide_pointer(x + places[at]), w, taps)
            at, w = at + 1, hide_pointer(w + step)
        return acc, at, w

    return add


def _tile(target, lines, columns):
    """tile(...): sums of `lines` lines and `columns` columns, as bytes or as int32. y_line: 0 without a second line."""
    SUMS, START, fours = Vec(I32, 4, (lines, columns)), Vec(I32, 4, (1, 1)), (lines * columns + 3) // 4
    NUMBERS, FACTOR, MADE = SUMS.to(dtype=F32), START.to(dtype=F32), Vec(U8, GROUP, (lines, columns))
    rounded, room = rounder(target), 4 * GROUP * fours
    add_chains = _chain_adder(lines, len(LENGTHS))

    def store_two(y, made, y_line, y_step):
        store(y + y_line, part(made, 1), y_step)
        store(y, part(made, 0), y_step)

    store_lines = store_two if lines == 2 else store

    def run(x, k_step, places, w, start, factor, kind, zero, lo, hi, flip, y, y_line, y_step):
        quarters = stack(U8, room)
        for k in range(DEPTH):
            acc, _, w = add_chains(splat(SUMS, 0) + load(START, start + DEPTH * k), len(LENGTHS), x, places, w)
            if kind:
                made = in_fours(convert(NUMBERS, acc) * load(FACTOR, factor + DEPTH * k))
                store(quarters + k * GROUP, rounded(made, kind, zero, lo, hi, flip), 4 * GROUP)
            else:
                store(pointer(I32, y) + DEPTH * k, acc, y_line, GROUP)
            x += k_step
        if kind:
            store_lines(y, load_turned(MADE, quarters), y_line, y_step)

    return run


def by_slides(target):
    """(prepare, gather, sum_lines): as those of `by_quads`, of groups of GROUP channels.

    places: how many chains there are of each of LENGTHS; then for each, the long ones first, where it begins in what windows
    see, in bytes. Weights lie in the order of quarters, of chains and of their taps, i8[4, taps, lines, 16], two lines after
    two.
    """
    woven, gather_quads = weight_weaver(GROUP), quad_gatherer(target, GROUP)
    one, one_wide, two = _tile(target, 1, SLIDE), _tile(target, 1, 2 * SLIDE), _tile(target, 2, SLIDE)

    def columns_seen(g):
        """Columns of each residue."""
        return g[COLUMNS] + (g[KERNEL_W] - 1) * g[GAP_WIDE] // g[STEP_WIDE]

    def tap_step(g):
        """From a tap to the next one of its chain; beyond all, where no two of them are neighbours."""
        step = g[STEP_WIDE] // g[GAP_WIDE]
        return step if step * g[GAP_WIDE] == g[STEP_WIDE] else g[KERNEL_W]

    def piece_of(left):
        """How many of so many taps of a chain to add at once."""
        pieces = (left + MOST_TAPS - 1) // MOST_TAPS
        return (left + pieces - 1) // pieces

    def prepare(taps, none, g, to, places):
        step, count, kernel_h, kernel_w, lines = tap_step(g), columns_seen(g), g[KERNEL_H], g[KERNEL_W], min(g[LINES], 2)
        quarter, i = g[QUADS] * kernel_w * lines * GROUP, len(LENGTHS)
        for which in range(len(LENGTHS)):
            began = i
            for quad in range(g[QUADS]):
                for first in range(min(step, kernel_w)):
                    left, tap = (kernel_w - first + step - 1) // step, first
                    while left > 0:
                        # Pieces as long as each other: few taps share less than some.
                        length = piece_of(left)
                        if length == LENGTHS[which]:
                            further = tap * g[GAP_WIDE] // g[STEP_WIDE]
                            residue = tap * g[GAP_WIDE] - further * g[STEP_WIDE]
                            places[i] = ((residue * g[QUADS] + quad) * DEPTH * count + further) * GROUP
                            i += 1
                            for t in range(tap, tap + length * step, step):
                                for line in range(g[LINES]):
                                    row = DEPTH * quad - line * g[STEP_DOWN]
                                    place = to + (line // 2 * DEPTH * quarter + line % 2 * GROUP)
                                    store(place, woven(taps, none, row, t, kernel_h, kernel_w), quarter)
                                to += lines * GROUP
                        tap += length * step
                        left -= length
            places[which] = i - began

    def gather(image, channels, row, column, g, blank, flip, edge, to):
        w, c, rows, count = g[WIDTH], g[CHANNELS], g[KERNEL_H] + (g[LINES] - 1) * g[STEP_DOWN], columns_seen(g)
        gather_quads(
            image, w * c, c, channels, g[HEIGHT], w, safe_columns(w, channels, GROUP), row, g[GAP_DOWN], rows, column,
            g[LATTICE], g[STEP_WIDE], g[RESIDUES], count, blank, flip, edge, to,
        )  # fmt: skip
        return g[QUADS] * g[RESIDUES] * count * DEPTH * GROUP

    def sum_lines(x, w, places, start, factor, kind, zero, lo, hi, flip, is_whole, y, y_line, apart, columns, count, g):
        """Bytes go to y, if all channels and enough columns are there; else, and int32, to `apart`, u8 or int32 [lines,
        LINE_ROOM, 16], with what follows up to whole tiles. Gives how many columns went to y. count: of the lines."""
        k_step, quarters = columns_seen(g) * GROUP, DEPTH * g[QUADS] * g[KERNEL_W] * GROUP
        goes_to_y, width = is_whole and columns >= SLIDE, GROUP if kind else 4 * GROUP
        y_step = g[CHANNELS] * g[APART_WIDE]
        for line in range(0, count, 2):
            i = 0
            while i < columns:
                is_wide = g[LINES] == 1 and columns >= 2 * SLIDE and columns - i > SLIDE
                wide = 2 * SLIDE if is_wide else SLIDE
                # What a tile computes once more has the same bits.
                at = min(i, columns - wide) if goes_to_y else i
                to, below, step = apart + (line * g[LINE_ROOM] * width + at * width), g[LINE_ROOM] * GROUP, GROUP
                if goes_to_y:
                    to, below, step = y + line * y_line + at * y_step, y_line if line + 1 < count else 0, y_step
                seen = x + at * GROUP
                if is_wide:
                    one_wide(seen, k_step, places, w, start, factor, kind, zero, lo, hi, flip, to, below, step)
                elif g[LINES] == 1:
                    one(seen, k_step, places, w, start, factor, kind, zero, lo, hi, flip, to, below, step)
                else:
                    two(seen, k_step, places, w, start, factor, kind, zero, lo, hi, flip, to, below, step)
                i += wide
            w += 2 * quarters
        return columns if goes_to_y else 0

    return prepare, gather, sum_lines
