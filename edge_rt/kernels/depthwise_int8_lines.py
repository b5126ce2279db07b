"""Sums of 3x3 windows of 64 channels by dot products of four bytes (AVX-512): windows slide along lines, over columns that
stay in registers.

A column is woven where it is met: byte i of its rows together, as quad i, so that one dot product adds up to three taps.
Windows of two lines share it, and so do those beside each other: nothing that windows see is arranged in memory.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from edge_rt.kernels.depthwise_int8_phases import joined
from edge_rt.kernels.depthwise_int8_seen import DEPTH, LONG, weave
from edge_rt.kernels.depthwise_int8_taps import pick_rows
from edge_rt.kernels.requantize import rounder
from edge_rt.kernels.simd import Vec, call, convert, load, pack, part, primitive, splat, store, tile, unpack
from edge_rt.kernels.tiles_int8 import hide_pointer
from edge_rt.lowering.depthwise_int8 import CHANNELS, HEIGHT, STRIDE_WIDE, WIDEST, WIDTH

F32, I32, U8 = types.float32, types.int32, types.uint8
TAPS = 3


@primitive(lambda acc, x, w: acc)
def add_windows(context, builder, sig, args):
    """add_windows(acc, x, w): sums acc [lines, 1, quarters] plus products of the columns x [TAPS, quarters] and weights
    i8[TAPS, quarters, lines, 64], which are read where they are needed."""
    vec, (acc, x, w) = sig.return_type, args
    sums, seen = unpack(builder, vec, acc), unpack(builder, sig.args[1], x)
    lines, whole = vec.shape[0], ir.VectorType(ir.IntType(8), WIDEST)
    for k, tap, line in np.ndindex(DEPTH, TAPS, lines):
        at = builder.gep(w, [LONG(((tap * DEPTH + k) * lines + line) * WIDEST)])
        weight = builder.load(builder.bitcast(at, whole.as_pointer()), align=1)
        given = sums[line, 0, k], seen[tap, k], weight
        sums[line, 0, k] = call(builder, "llvm.x86.avx512.vpdpbusd.512", vec.ir, *given)
    return pack(builder, vec, sums.flat)


def line_maker(target, lines, stride):
    """make(rows, steps, at, limit, columns, outside, flip, w, start, factor, ending, y, y_below, y_step): `columns` results
    of each line, as bytes: to y and, of a second line, to y_below, which may be y: the first line is what remains.

    rows: where the rows that windows see (of one line, three count) are in column `at`, where the first window begins;
    steps: how far to go in each from column to column, 0 where a row is not there. Columns below 0, and from `limit` on, are
    as `outside`. w: i8[TAPS, quarters, lines, 64]; start, factor: int32 and float32[quarters, 16]; ending: kind, zero, lo,
    hi and flip, as of `rounder`.
    """
    ROW, SUMS, START = Vec(U8, WIDEST), Vec(I32, target.lanes, (lines, 1, DEPTH)), Vec(I32, target.lanes, (1, 1, DEPTH))
    NUMBERS, FACTOR, kept = SUMS.to(dtype=F32), START.to(dtype=F32), TAPS - stride
    rounded = rounder(target)

    def four_rows(rows):
        a, b, c, d = rows
        return tile(load(ROW, a), load(ROW, b), load(ROW, c), load(ROW, d))

    def three_rows(rows):
        a, b, c, _ = rows
        last = load(ROW, c)
        return tile(load(ROW, a), load(ROW, b), last, last)

    rows_at = four_rows if lines == 2 else three_rows

    def next_column(rows, steps, at, limit, outside, flip):
        """A column, and where the next one is."""
        seen = outside
        if at >= 0 and at < limit:
            seen = weave(rows_at(rows) ^ splat(ROW, flip)) if flip else weave(rows_at(rows))
        a, b, c, d = rows
        a_step, b_step, c_step, d_step = steps
        return tile(seen), (a + a_step, b + b_step, c + c_step, d + d_step), at + 1

    def two_more(rows, steps, at, limit, outside, flip):
        first, rows, at = next_column(rows, steps, at, limit, outside, flip)
        second, rows, at = next_column(rows, steps, at, limit, outside, flip)
        return joined(first, second), rows, at

    begin, more = (two_more, next_column) if kept == 2 else (next_column, two_more)

    def store_two(y, y_below, made):
        store(y_below, part(made, 1))
        store(y, part(made, 0))

    def store_one(y, y_below, made):
        store(y, part(made, 0))

    store_lines = store_two if lines == 2 else store_one

    def make(rows, steps, at, limit, columns, outside, flip, w, start, factor, ending, y, y_below, y_step):
        kind, zero, lo, hi, y_flip = ending
        beyond = splat(ROW, outside ^ flip)
        beyond = tile(beyond, beyond, beyond, beyond)
        held, rows, at = begin(rows, steps, at, limit, beyond, flip)
        for _ in range(columns):
            new, rows, at = more(rows, steps, at, limit, beyond, flip)
            x = joined(held, new)
            w, start = hide_pointer(w), hide_pointer(start)
            acc = add_windows(splat(SUMS, 0) + load(START, start), x, w)
            made = rounded(convert(NUMBERS, acc) * load(FACTOR, factor), kind, zero, lo, hi, y_flip)
            store_lines(y, y_below, made)
            held = pick_rows(x, stride, 1, kept)
            y += y_step
            y_below += y_step

    return make


def by_lines(target):
    """stream(source, top, left, columns, g, blank, flip, w, start, factor, ending, y, y_below): lines of results whose
    windows begin in the image's row `top` and column `left`. source: its row 0, from the first channel on; blank: what rows
    and columns beyond it are like; for the rest see `line_maker`."""
    by_one, by_two = line_maker(target, 2, 1), line_maker(target, 1, 2)

    def row_at(source, row, h, row_step, left, step, blank):
        """Where a row is in column `left`, and how far to go to the next one."""
        if row >= 0 and row < h:
            return source + (row * row_step + left * step), step
        return blank, 0 * step

    def stream(source, top, left, columns, g, blank, flip, w, start, factor, ending, y, y_below):
        h, limit, c = g[HEIGHT], g[WIDTH], g[CHANNELS]
        row_step, outside = limit * c, blank[0]
        first, first_step = row_at(source, top, h, row_step, left, c, blank)
        second, second_step = row_at(source, top + 1, h, row_step, left, c, blank)
        third, third_step = row_at(source, top + 2, h, row_step, left, c, blank)
        last, last_step = row_at(source, top + 3, h, row_step, left, c, blank)
        rows, steps = (first, second, third, last), (first_step, second_step, third_step, last_step)
        if g[STRIDE_WIDE] == 1:
            by_one(rows, steps, left, limit, columns, outside, flip, w, start, factor, ending, y, y_below, c)
        else:
            by_two(rows, steps, left, limit, columns, outside, flip, w, start, factor, ending, y, y_below, c)

    return stream


def no_lines(source, top, left, columns, g, blank, flip, w, start, factor, ending, y, y_below):
    """For machines that have none."""
