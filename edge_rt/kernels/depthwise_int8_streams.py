"""Sums of 3x3 windows for Arm's dot products of four bytes: windows slide along lines, over columns that stay in registers.

A column of sixteen channels is woven where it is met: byte i of its rows together, as quad i, so that one dot product adds
up to four taps. Three columns are held; the next one takes the place of the first.
"""

from __future__ import annotations

from numba import types

from edge_rt.kernels.depthwise_int8_quads import DEPTH, weave
from edge_rt.kernels.saturation import packer, to_whole
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
    whole, packed, kept = to_whole(target), packer(target), 3 - stride

    def column_at(rows, at, mask):
        a, b, c, d = rows
        seen = tile(load(ROW, a + at), load(ROW, b + at), load(ROW, c + at), load(ROW, (d if lines == 2 else c) + at))
        return weave(seen ^ mask)

    def column_of(rows, column, w, pixel, mask, none):
        return column_at(rows, column * pixel, mask) if column >= 0 and column < w else none

    def one_inside(rows, at, pixel, mask):
        return (column_at(rows, at, mask),)

    def two_inside(rows, at, pixel, mask):
        return column_at(rows, at, mask), column_at(rows, at + pixel, mask)

    def one_of(rows, column, w, pixel, mask, none):
        return (column_of(rows, column, w, pixel, mask, none),)

    def two_of(rows, column, w, pixel, mask, none):
        return column_of(rows, column, w, pixel, mask, none), column_of(rows, column + 1, w, pixel, mask, none)

    # From window to window, `kept` columns stay and as many as the stride are new.
    new_inside, new_of, first_of = (one_inside, one_of, two_of) if stride == 1 else (two_inside, two_of, one_of)

    def store_one(y, y_below, made):
        store(y, part(made, 0))

    def store_two(y, y_below, made):
        store(y_below, part(made, 1))
        store(y, part(made, 0))

    store_lines = store_two if lines == 2 else store_one

    def finish(x, tables, ending, y, y_below):
        (weights, start, factor), (kind, zero, lo, hi, flip) = tables, ending
        acc = splat(SUMS, 0) + load(START, start)
        acc = add_column(acc, x[0], weights)
        acc = add_column(acc, x[1], weights + STEP)
        acc = add_column(acc, x[2], weights + 2 * STEP)
        made = packed(whole(convert(NUMBERS, acc) * load(FACTOR, factor)), kind, zero, lo, hi, flip)
        store_lines(y, y_below, made)

    def step(state, inside, rows, pixel, mask, ending, y, y_below, y_step):
        held, i, at, to, (weights, start, factor) = state
        tables = hide_pointer(weights), hide_pointer(start), hide_pointer(factor)
        x = held + new_inside(rows, at, pixel, mask)
        finish(x, tables, ending, y + to, y_below + to)
        return x[stride:], i + 1, at + stride * pixel, to + y_step, tables

    def steps(count):
        """run(state, inside, ...): up to `count` results from i on, while there are all columns (i < inside): with so many,
        columns come back to the registers they started from."""
        if count == 1:
            return step
        before = steps(count - 1)

        def run(state, inside, rows, pixel, mask, ending, y, y_below, y_step):
            state = before(state, inside, rows, pixel, mask, ending, y, y_below, y_step)
            if state[1] < inside:
                state = step(state, inside, rows, pixel, mask, ending, y, y_below, y_step)
            return state

        return run

    turn = steps(kept + 1)

    def stream(rows, pixel, first, w, columns, outside, flip, weights, start, factor, ending, y, y_below, y_step):
        mask, inside = splat(ROW, flip), min(columns, (w - first - kept) // stride)
        beyond = load(ROW, outside) ^ mask
        none = tile(beyond, beyond, beyond, beyond)
        held = first_of(rows, first, w, pixel, mask, none)
        state = held, 0, (first + kept) * pixel, 0, (weights, start, factor)
        while state[1] < inside:
            state = turn(state, inside, rows, pixel, mask, ending, y, y_below, y_step)
        held, done, _, to, tables = state
        for i in range(done, columns):
            x = held + new_of(rows, first + kept + i * stride, w, pixel, mask, none)
            finish(x, tables, ending, y + to, y_below + to)
            held, to = x[stride:], to + y_step

    return stream
