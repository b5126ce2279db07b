"""8-bit products by the matrix registers of new Xeons, eight times as fast as by vectors: see amx.py.

Sums are exact, so results are those of the vectors' tiles, bit for bit, which do it where the registers are not to be had.
"""

from __future__ import annotations

from numba import types

from edge_rt.kernels.amx import (
    CONFIGURATION,
    ROWS,
    add_below,
    add_beside,
    add_four,
    add_one,
    configure,
    describe,
    load_sums,
    release,
    store_sums,
)
from edge_rt.kernels.memory import address, stack
from edge_rt.kernels.requantize import are_small, ender
from edge_rt.kernels.saturation import AS_BYTES, AS_SUMS, kind_of
from edge_rt.kernels.simd import Vec, load, pointer, prefetch
from edge_rt.kernels.tiles_int8 import DEPTH, WIDTH
from edge_rt.lowering.gemm_int8 import EVEN, FLOAT32

F32, I32, I64, U8 = types.float32, types.int32, types.int64, types.uint8
WIDE = 2 * WIDTH
"""Columns that are made at once."""
ROW = 4 * WIDE
"""Bytes of a row of sums."""
NEAR = 1 << 16
"""Bytes of rows that should stay in the nearest cache while panels pass by."""
LEAST, MOST = 64, 512
"""Rows that pass panels at once, whatever NEAR says."""
SHORT = 8
"""Pixels of short lines."""
FAR = 1 << 16
"""Bytes of panels from which on they are asked for ahead: the rest of a model pushes them out of a core's caches."""
LINE = 64
"""Bytes of a cache line."""
SOME = 4
"""Rows that end together."""


def following(strip, nth, count):
    """The strip of the next tile, of which a strip has `count`, and its number there."""
    return (strip + 1, 0) if nth + 1 == count else (strip, nth + 1)


def begin(nth, height, size):
    """The first row of a tile in its strip: the last tile begins with rows of the one before."""
    return min(nth * height, size - height)


def row_of(strip, in_image, strips, image_step, line_step):
    """Where a strip begins. Divisions take as long as a tile of few k, so they are left out where there is one image."""
    image = strip // in_image if strips > in_image else 0
    return image * image_step + (strip - image * in_image) * line_step


def has_matrix_registers(target):
    """Whether CPUs of the target may have them."""
    return target.lanes == 16


def no_product(
    a, b, sums, zero, a_scale, scale, bias, residual, b_zero, y, batches, offsets, batch, lines, pixels, n, k, runs, depth,
    quads, lines_in_image, image_step, line_step, pixel_step, y_row, scale_step, mode, lo, hi, y_zero, y_flip, activation,
    alpha, part, parts,
):  # fmt: skip
    """In place of products by matrix registers, on targets without."""


def matrix_product(target, finish, activate, columns_of, copy_columns):
    """multiply(...): what the kernel GEMM_INT8 does, without zero points of b. quads: how many of them a tile has, of which
    `depth` is a multiple. The other arguments make functions that the vectors' tiles share."""
    if not has_matrix_registers(target):
        return no_product
    small = are_small(target)
    end_some, end_one = ender(target, SOME, 1), ender(target, 1, 1)
    sums_size, bytes_size = 2 * ROWS * WIDE, ROWS * WIDE
    all_sums = 2 * sums_size
    TALL, FLAT = Vec(I32, 16, (SOME, 1, 1)), Vec(I32, 16, (1, 1, 1))

    def add(height, panels, a, a_next, a_row, offsets, runs, pieces, quads, b, b_next, ahead, asks):
        """Sums of one or two tiles of rows and panels, the registers of which have their first value. Each step asks for
        `asks` lines of memory, from `ahead` on."""
        step = quads * DEPTH
        for run in range(runs):
            at, at_next = a + offsets[run], a_next + offsets[run]
            for _ in range(pieces):
                for line in range(asks):
                    prefetch(ahead + line * LINE)
                ahead += asks * LINE
                if height == 2 and panels == 2:
                    add_four(at, at_next, b, b_next, a_row)
                elif height == 2:
                    add_below(at, at_next, b, b_next, a_row)
                elif panels == 2:
                    add_beside(at, at_next, b, b_next, a_row)
                else:
                    add_one(at, at_next, b, b_next, a_row)
                at += step
                at_next += step
                b += step * WIDTH
                b_next += step * WIDTH

    def end_bytes(acc, height, panels, kind, factor, zero, lo, hi, flip, y, y_row):
        """Rows of sums as bytes."""
        for _ in range(height // SOME):
            for q in range(0, panels * WIDTH, WIDTH):
                end_some(load(TALL, acc + q, WIDE), kind, acc, factor + q, zero, lo, hi, flip, y + q, y_row)
            acc += SOME * WIDE
            y += SOME * y_row
        for _ in range(height % SOME):
            for q in range(0, panels * WIDTH, WIDTH):
                end_one(load(FLAT, acc + q, WIDE), kind, acc, factor + q, zero, lo, hi, flip, y + q, y_row)
            acc += WIDE
            y += y_row

    def multiply(
        a, b, sums, zero, a_scale, scale, bias, residual, b_zero, y, batches, offsets, batch, lines, pixels, n, k, runs,
        depth, quads, lines_in_image, image_step, line_step, pixel_step, y_row, scale_step, mode, lo, hi, y_zero, y_flip,
        activation, alpha, part, parts,
    ):  # fmt: skip
        acc, table, narrow = stack(I32, all_sums), stack(U8, CONFIGURATION), stack(U8, bytes_size)
        start, factor, addend, unused = stack(I32, WIDE), stack(F32, WIDE), stack(F32, WIDE), stack(I32, WIDE)
        panels, has_residual, is_float = (n + WIDTH - 1) // WIDTH, address(residual) != 0, mode == FLOAT32
        pieces, b_panel = depth // quads, runs * depth * (WIDTH * DEPTH)
        y_middle = y_zero - y_flip
        lowest, highest, kind = I64(0), I64(0), AS_SUMS
        if mode == EVEN:
            lowest, highest = I64(lo) + y_middle, I64(hi) + y_middle
            kind = kind_of(y_middle, lowest, highest)
        # Short lines are one strip, with what lies between them.
        apart, strips, in_image, size, y_strip = pixels, lines, lines_in_image, pixels, pixels
        across = line_step // pixel_step
        if lines_in_image > 1 and pixels <= SHORT and across * pixel_step == line_step and 2 * across <= 3 * pixels:
            apart, strips, in_image, y_strip = across, lines // lines_in_image, 1, lines_in_image * pixels
            size = (lines_in_image - 1) * apart + pixels
        # Tiles of one height share a strip; the last one begins with rows that the one before has, too.
        count = (size + ROWS - 1) // ROWS
        height = (size + count - 1) // count
        describe(table, height, quads)
        configure(table)
        tiles, pairs = strips * count, (panels + 1) // 2
        near = max(LEAST, min(MOST, NEAR // max(1, runs * depth * DEPTH)))
        block = max(2, near // height // 2 * 2)
        blocks = (tiles + block - 1) // block
        units, is_far = batch * blocks * pairs, panels * b_panel > FAR
        for unit in range(units * part // parts, units * (part + 1) // parts):
            rest = unit // pairs
            j = 2 * (unit - rest * pairs)
            index = rest // blocks
            first = (rest - index * blocks) * block
            last = min(tiles, first + block)
            a_batch, b_at = a + batches[5 * index], b + batches[5 * index + 1] + j * b_panel
            column_at, y_at = batches[5 * index + 3], batches[5 * index + 4]
            wide, at = min(2, panels - j), j * WIDTH
            room = wide * WIDTH
            columns = min(room, n - at)
            columns_of(
                start, factor, addend, unused, columns, room, zero, k, sums + (batches[5 * index + 2] + at), column_at + at,
                bias, scale, scale_step, a_scale, b_zero, 0, is_float,
            )  # fmt: skip
            how = kind if kind <= AS_BYTES or small(start, factor, room, k) else AS_BYTES
            passes = (last - first + 1) // 2
            # While products of a pair of tiles are made, the sums of the pair before end.
            strip, nth = first // count, first % count
            tile, high, turn, strip_now, nth_now = first, 0, 0, strip, nth
            while tile < last or high > 0:
                ended, on, number = high, strip_now, nth_now
                high = max(0, min(2, last - tile))
                made = acc + turn * sums_size
                turn = 1 - turn
                if high > 0:
                    load_sums(start, 0, 0, 0)
                    load_sums(start, 0, 1, 0)
                    if wide == 2:
                        load_sums(start + WIDTH, 0, 0, 1)
                        load_sums(start + WIDTH, 0, 1, 1)
                    strip_now, nth_now = strip, nth
                    inside = begin(nth, height, size) * pixel_step
                    here = a_batch + (row_of(strip, in_image, strips, image_step, line_step) + inside)
                    there = here
                    if high == 2:
                        strip, nth = following(strip, nth, count)
                        inside = begin(nth, height, size) * pixel_step
                        there = a_batch + (row_of(strip, in_image, strips, image_step, line_step) + inside)
                    strip, nth = following(strip, nth, count)
                    # Each pass asks for a share of the next two panels.
                    asks = (2 * quads + passes - 1) // passes if is_far else 0
                    ahead = b_at + (2 * b_panel + (tile - first) // 2 * asks * (runs * pieces * LINE))
                    add(high, wide, here, there, pixel_step, offsets, runs, pieces, quads, b_at, b_at + b_panel, ahead, asks)
                for t in range(ended):
                    if t:
                        on, number = following(on, number, count)
                    i = begin(number, height, size)
                    end = i + height
                    row = number * height  # behind those that the tile before has
                    while row < end:
                        line = row // apart if size > apart else 0
                        inside = row - line * apart
                        rows = min(end, line * apart + pixels) - row
                        sums_here = acc + (turn * sums_size + (t * ROWS + row - i) * WIDE)
                        y_here = y_at + ((on * y_strip + line * pixels + inside) * y_row + at)
                        row = (line + 1) * apart
                        if rows > 0 and mode == EVEN:
                            to, to_row = (y + y_here, y_row) if columns == room else (narrow, room)
                            end_bytes(sums_here, rows, wide, how, factor, y_middle, lowest, highest, y_flip, to, to_row)
                            if columns < room:
                                copy_columns(y + y_here, y_row, narrow, room, rows, columns)
                        elif rows > 0:
                            finish(
                                mode, sums_here, WIDE, rows, columns, factor, addend, lo, hi, y_zero, residual, has_residual,
                                y, y_here, y_row,
                            )  # fmt: skip
                            if is_float and activation:
                                activate(activation, alpha, pointer(F32, y) + y_here, y_row, rows, columns)
                if high > 0:
                    store_sums(made, ROW, 0, 0)
                    store_sums(made + ROWS * WIDE, ROW, 1, 0)
                    if wide == 2:
                        store_sums(made + WIDTH, ROW, 0, 1)
                        store_sums(made + (ROWS * WIDE + WIDTH), ROW, 1, 1)
                tile += high
        release()

    return multiply
