"""Sums of 3x3 windows for Arm's dot products of four bytes: windows slide along lines, over columns that stay in registers.

A column of sixteen channels is woven where it is met: byte i of its rows together, as quad i, so that one dot product adds
up to four taps. Three columns are held; the next one takes the place of the first.
"""

from __future__ import annotations

from numba import types

from edge_rt.kernels.depthwise_int8_quads import DEPTH, weave
from edge_rt.kernels.requantize import packer, to_whole
from edge_rt.kernels.simd import Vec, call, convert, load, pack, part, primitive, splat, store, tile, unpack
from edge_rt.kernels.simd.memory import addresses
from edge_rt.kernels.tiles_int8 import hide_pointer
from edge_rt.lowering.depthwise_int8 import GROUP

F32, I8, I32, U8 = types.float32, types.int8, types.int32, types.uint8

@primitive(lambda acc, x, w: acc if isinstance(acc, Vec) else None)
def add_column(context, builder, sig, args):
    """add_column(acc, x, w): acc [lines, 4] plus the products of a column x [4] and weights i8[4, lines, 16]."""
    vec, (acc, x, w) = sig.return_type, args
    sums, quads = unpack(builder, vec, acc), unpack(builder, sig.args[1], x)
    piece = Vec(I8, GROUP, (DEPTH, vec.shape[0]))
    places = list(addresses(context, builder, piece, w))
    for k in range(DEPTH):
        for line in range(vec.shape[0]):
            at = builder.bitcast(places[k * vec.shape[0] + line], piece.ir.as_pointer())
            given = sums[line, k], quads[k], builder.load(at, align=1)
            sums[line, k] = call(builder, "llvm.aarch64.neon.sdot.v4i32.v16i8", vec.ir, *given)
    return pack(builder, vec, sums.flat)


def streamer(target, lines, stride):
    """stream(...): `columns` results of each line, as bytes: to y and, of a second line, to y_below, y_step from one to the
    next; y_below may be y: the first line is what remains.

    rows: four pointers to those that windows see (of one line, three count), from column 0 on, `pixel` from one to the next.
    Windows begin at column `first`, at least stride - 3, and see `outside`, sixteen bytes, beyond the image's w columns.
    weights: i8[3, 4, lines, 16], see weight_packer; start, factor: of sixteen channels; ending: as of `packer`.
    """
    ROW, SUMS, START = Vec(U8, GROUP), Vec(I32, target.lanes, (lines, 4)), Vec(I32, target.lanes, (1, 4))
    NUMBERS, FACTOR, STEP = SUMS.to(dtype=F32), START.to(dtype=F32), DEPTH * lines * GROUP
    whole, packed = to_whole(target), packer(target)

    def column_at(rows, at, mask):
        a, b, c, d = rows
        seen = tile(load(ROW, a + at), load(ROW, b + at), load(ROW, c + at), load(ROW, (d if lines == 2 else c) + at))
        return weave(seen ^ mask)

    def column_of(rows, column, w, pixel, mask, outside):
        return column_at(rows, column * pixel, mask) if column >= 0 and column < w else outside

    def store_one(y, y_below, made):
        store(y, part(made, 0))

    def store_two(y, y_below, made):
        store(y_below, part(made, 1))
        store(y, part(made, 0))

    store_lines = store_two if lines == 2 else store_one

    def finish(x0, x1, x2, weights, start, factor, ending, y, y_below):
        kind, zero, lo, hi, flip = ending
        acc = splat(SUMS, 0) + load(START, start)
        acc = add_column(acc, x0, weights)
        acc = add_column(acc, x1, weights + STEP)
        acc = add_column(acc, x2, weights + 2 * STEP)
        made = packed(whole(convert(NUMBERS, acc) * load(FACTOR, factor)), kind, zero, lo, hi, flip)
        store_lines(y, y_below, made)

    def by_one(
        rows, pixel, first, w, columns, outside, flip, weights, start, factor, ending, y, y_below, y_step
    ):  # fmt: skip
        mask, at, to, i = splat(ROW, flip), (first + 2) * pixel, 0, 0
        beyond = load(ROW, outside) ^ mask
        none = tile(beyond, beyond, beyond, beyond)
        x0 = column_of(rows, first, w, pixel, mask, none)
        x1 = column_of(rows, first + 1, w, pixel, mask, none)
        inside = min(columns, w - (first + 2))
        while i < inside:
            weights, start, factor = hide_pointer(weights), hide_pointer(start), hide_pointer(factor)
            x2 = column_at(rows, at, mask)
            finish(x0, x1, x2, weights, start, factor, ending, y + to, y_below + to)
            i, at, to = i + 1, at + pixel, to + y_step
            if i >= inside:
                x0, x1 = x1, x2
                break
            weights, start, factor = hide_pointer(weights), hide_pointer(start), hide_pointer(factor)
            x0 = column_at(rows, at, mask)
            finish(x1, x2, x0, weights, start, factor, ending, y + to, y_below + to)
            i, at, to = i + 1, at + pixel, to + y_step
            if i >= inside:
                x0, x1 = x2, x0
                break
            weights, start, factor = hide_pointer(weights), hide_pointer(start), hide_pointer(factor)
            x1 = column_at(rows, at, mask)
            finish(x2, x0, x1, weights, start, factor, ending, y + to, y_below + to)
            i, at, to = i + 1, at + pixel, to + y_step
        for _ in range(i, columns):
            finish(x0, x1, none, weights, start, factor, ending, y + to, y_below + to)
            x0, x1, to = x1, none, to + y_step

    def by_two(
        rows, pixel, first, w, columns, outside, flip, weights, start, factor, ending, y, y_below, y_step
    ):  # fmt: skip
        mask, at, to, i = splat(ROW, flip), (first + 1) * pixel, 0, 0
        beyond = load(ROW, outside) ^ mask
        none = tile(beyond, beyond, beyond, beyond)
        x0 = column_of(rows, first, w, pixel, mask, none)
        inside = min(columns, (w - first - 1) // 2)
        while i < inside:
            weights, start, factor = hide_pointer(weights), hide_pointer(start), hide_pointer(factor)
            x1, x2 = column_at(rows, at, mask), column_at(rows, at + pixel, mask)
            finish(x0, x1, x2, weights, start, factor, ending, y + to, y_below + to)
            i, at, to = i + 1, at + 2 * pixel, to + y_step
            if i >= inside:
                x0 = x2
                break
            weights, start, factor = hide_pointer(weights), hide_pointer(start), hide_pointer(factor)
            x1, x0 = column_at(rows, at, mask), column_at(rows, at + pixel, mask)
            finish(x2, x1, x0, weights, start, factor, ending, y + to, y_below + to)
            i, at, to = i + 1, at + 2 * pixel, to + y_step
        for j in range(i, columns):
            x1 = column_of(rows, first + 2 * j + 1, w, pixel, mask, none)
            x2 = column_of(rows, first + 2 * j + 2, w, pixel, mask, none)
            finish(x0, x1, x2, weights, start, factor, ending, y + to, y_below + to)
            x0, to = x2, to + y_step

    return by_one if stride == 1 else by_two
