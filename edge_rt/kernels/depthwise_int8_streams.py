"""Sums of 3x3 windows for Arm's dot products of four bytes: windows slide along lines, over columns that stay in registers.

A column of sixteen channels is woven where it is met: byte i of its rows together, as quad i, so that one dot product adds
up to four taps. Two neighbouring windows of each line are summed at a time; what they share with the next ones is held.
"""

from __future__ import annotations

from numba import types

from edge_rt.kernels.depthwise_int8_phases import (
    PHASES,
    joined,
    limited_bytes,
    ramp_bytes,
    store_windows,
    sum_windows,
    table_size,
    weave_phases,
)
from edge_rt.kernels.depthwise_int8_seen import weight_weaver
from edge_rt.kernels.depthwise_int8_slides import load_turned
from edge_rt.kernels.depthwise_int8_taps import pick_rows
from edge_rt.kernels.saturation import AS_RAMP
from edge_rt.kernels.simd import Vec, all_true, convert, load, maximum, pointer, splat, store, tile
from edge_rt.kernels.tiles_int8 import hide_pointer
from edge_rt.lowering.depthwise_int8 import CHANNELS, GROUP, HEIGHT, KERNEL_H, KERNEL_W, STRIDE_DOWN, STRIDE_WIDE, WIDTH

F32, I32, I64, U8 = types.float32, types.int32, types.int64, types.uint8
LARGEST_SUM = 9 << 14
"""What nine products of bytes add up to at most."""
SMALL = 32000
ANY_TO_ANY, UNSIGNED_RAMP, SIGNED_RAMP = range(3)
"""What a stream sees and makes: any bytes; or uint8 both times, or int8, where results are small and their zero point is the
lowest number of their type, as behind a rectifier."""


def streamer(target, lines, stride, way):
    """stream(...): `columns` results of each line, as bytes: to y and, of a second line, to y_below, y_step from one to the
    next; y_below may be y: the first line is what remains.

    rows: four pointers to those that windows see (of one line, three count), from column 0 on, `pixel` from one to the next.
    Windows begin at column `first`, at least stride - 3, and see `outside`, sixteen bytes, beyond the image's w columns.
    table: see table_size; ending: zero, lo, hi and flip, as of `packer`. way: of ANY_TO_ANY, ...
    """
    ROW, PIECE, kept, several = Vec(U8, GROUP), Vec(U8, 8), 3 - stride, 2 * stride
    is_small = 0 if way == ANY_TO_ANY else 1

    def four_rows(rows, at):
        a, b, c, d = rows
        return tile(load(ROW, a + at), load(ROW, b + at), load(ROW, c + at), load(ROW, d + at))

    def three_rows(rows, at):
        a, b, c, _ = rows
        return tile(load(ROW, a + at), load(ROW, b + at), load(ROW, c + at))

    rows_at = four_rows if lines == 2 else three_rows

    def flipped_column(rows, at, mask):
        return weave_phases(rows_at(rows, at) ^ mask)

    def signed_column(rows, at, mask):
        return weave_phases(rows_at(rows, at))

    column_inside = signed_column if way == SIGNED_RAMP else flipped_column

    def column_anywhere(rows, at, mask, pixel, w, outside):
        if at >= 0 and at < w * pixel:
            return column_inside(rows, at, mask)
        beyond = load(ROW, outside) ^ mask
        return tile(beyond, beyond, beyond, beyond)

    def columns_of(count, one):
        """columns(rows, at, mask, pixel, w, outside): `count` columns from offset `at` on, each by one(...)."""
        if count == 1:
            return lambda rows, at, mask, pixel, w, outside: tile(one(rows, at, mask, pixel, w, outside))
        before, last = columns_of(count - 1, one), count - 1

        def columns(rows, at, mask, pixel, w, outside):
            these = before(rows, at, mask, pixel, w, outside)
            return joined(these, tile(one(rows, at + last * pixel, mask, pixel, w, outside)))

        return columns

    inside_new = columns_of(several, lambda rows, at, mask, pixel, w, outside: column_inside(rows, at, mask))
    several_new, some_new = columns_of(several, column_anywhere), columns_of(stride, column_anywhere)
    first_columns = columns_of(kept, column_anywhere)

    def any_bytes(x, zero, lo, hi, flip):
        return limited_bytes(x, zero, lo, hi) ^ splat(PIECE, flip)

    def unsigned_bytes(x, zero, lo, hi, flip):
        return ramp_bytes(x)

    def signed_bytes(x, zero, lo, hi, flip):
        return ramp_bytes(x) ^ splat(PIECE, 128)

    as_bytes = {ANY_TO_ANY: any_bytes, UNSIGNED_RAMP: unsigned_bytes, SIGNED_RAMP: signed_bytes}[way]

    def finish(x, table, ending, y, y_below, y_step):
        zero, lo, hi, flip = ending
        made = as_bytes(sum_windows(x, table, lines, is_small), zero, lo, hi, flip)
        if lines == 2:
            store_windows(y_below, made, 1, y_step)
        store_windows(y, made, 0, y_step)

    def two_inside(state, rows, mask, pixel, w, outside, ending, y_step):
        held, at, y, y_below, table = state
        table, x = hide_pointer(table), joined(held, inside_new(rows, at, mask, pixel, w, outside))
        finish(x, table, ending, y, y_below, y_step)
        return pick_rows(x, several, 1, kept), at + several * pixel, y + 2 * y_step, y_below + 2 * y_step, table

    def two_turns(state, rows, mask, pixel, w, outside, ending, y_step):
        """Four windows: then columns are back in the registers they started from."""
        state = two_inside(state, rows, mask, pixel, w, outside, ending, y_step)
        return two_inside(state, rows, mask, pixel, w, outside, ending, y_step)

    turn, together = (two_turns, 4) if kept == 2 else (two_inside, 2)

    def stream(rows, pixel, first, w, columns, outside, flip, table, ending, y, y_below, y_step):
        mask, inside, done = splat(ROW, flip), min(columns, (w - first - kept) // stride), 0
        held = first_columns(rows, first * pixel, mask, pixel, w, outside)
        state = held, (first + kept) * pixel, y, y_below, table
        while done + together <= inside:
            state = turn(state, rows, mask, pixel, w, outside, ending, y_step)
            done += together
        while done + 2 <= columns:
            held, at, to, below, table = state
            x = joined(held, several_new(rows, at, mask, pixel, w, outside))
            finish(x, table, ending, to, below, y_step)
            state = pick_rows(x, several, 1, kept), at + several * pixel, to + 2 * y_step, below + 2 * y_step, table
            done += 2
        if done < columns:
            held, at, to, below, table = state
            finish(joined(held, some_new(rows, at, mask, pixel, w, outside)), table, ending, to, below, y_step)

    return stream


def by_streams(target):
    """(prepare, fit_shorts, stream). prepare(taps, none, g, to, start, factor): the table of a group, from its weights
    u8[kernel_h, kernel_w, 16]. fit_shorts(start, factor, count): whether all sums from start int32[count] on, times factor,
    stay within 16 bits; count: a multiple of GROUP. stream(source, top, left, columns, g, ...): lines from the image's row
    `top` on; source: its row 0, from the first channel on; kind: as of kind_of; is_small: as fit_shorts says; for the rest
    see `streamer`."""
    woven, TURNED, SOME = weight_weaver(GROUP, weave_phases), Vec(I32, 4, (PHASES,)), Vec(I32, 4, (4,))
    NUMBERS = SOME.to(dtype=F32)

    def prepare(taps, none, g, to, start, factor):
        lines = 2 if g[STRIDE_WIDE] == 1 else 1
        size = table_size(lines)
        for tap in range(3):
            for line in range(lines):
                rows = woven(taps, none, -line * g[STRIDE_DOWN], tap, g[KERNEL_H], g[KERNEL_W])
                store(to + (tap * lines + line) * GROUP, rows, size)
        ends = pointer(I32, to + (size - 2 * GROUP))
        store(ends, load_turned(TURNED, start), size // 4)
        store(ends + PHASES, load_turned(TURNED, pointer(I32, factor)), size // 4)

    def fit_shorts(start, factor, count):
        for i in range(0, count, GROUP):
            first, by = convert(NUMBERS, load(SOME, start + i)), load(NUMBERS, factor + i)
            most = maximum(first, F32(0) - first) + F32(LARGEST_SUM)
            if not all_true(most * maximum(by, F32(0) - by) < F32(SMALL)):
                return False
        return True

    def row_at(source, row, h, step, blank):
        return source + row * step if row >= 0 and row < h else blank

    def of_way(way):
        by_one, by_two = streamer(target, 2, 1, way), streamer(target, 1, 2, way)

        def stream(rows, left, columns, g, blank, flip, table, ending, y, y_below):
            w, c = g[WIDTH], g[CHANNELS]
            if g[STRIDE_WIDE] == 1:
                by_one(rows, c, left, w, columns, blank, flip, table, ending, y, y_below, c)
            else:
                by_two(rows, c, left, w, columns, blank, flip, table, ending, y, y_below, c)

        return stream

    any_to_any, unsigned_ramp, signed_ramp = (of_way(way) for way in (ANY_TO_ANY, UNSIGNED_RAMP, SIGNED_RAMP))

    def stream(source, top, left, columns, g, blank, flip, table, kind, is_small, ending, y, y_below):
        h, step, y_flip = g[HEIGHT], g[WIDTH] * g[CHANNELS], ending[3]
        rows = (
            row_at(source, top, h, step, blank), row_at(source, top + 1, h, step, blank),
            row_at(source, top + 2, h, step, blank), row_at(source, top + 3, h, step, blank),
        )  # fmt: skip
        is_ramp = kind == AS_RAMP and is_small
        if is_ramp and flip == 128 and y_flip == 128:
            unsigned_ramp(rows, left, columns, g, blank, flip, table, ending, y, y_below)
        elif is_ramp and flip == 0 and y_flip == 0:
            signed_ramp(rows, left, columns, g, blank, flip, table, ending, y, y_below)
        else:
            any_to_any(rows, left, columns, g, blank, flip, table, ending, y, y_below)

    return prepare, fit_shorts, stream


def no_streams():
    """For machines that have none."""

    def prepare(taps, none, g, to, start, factor):
        pass

    def stream(source, top, left, columns, g, blank, flip, table, kind, is_small, ending, y, y_below):
        pass

    return prepare, lambda start, factor, count: False, stream
