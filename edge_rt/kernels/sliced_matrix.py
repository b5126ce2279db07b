"""Products of float rows with panels of int8, as of sliced.py, by the matrix registers of new Xeons: the same bits.

Slices lie apart here: of each row the lowest bytes, the middle ones, and the highest, which have a sign. Sixteen rows of
all three are multiplied with a panel at a time, so that a panel is read once for three products; while they are made, what
was summed before becomes floats.
"""

from __future__ import annotations

import numpy as np
from numba import types

from edge_rt.kernels._registry import apart
from edge_rt.kernels.amx import CONFIGURATION, ROWS, add_slices, configure, describe, load_sums, release, store_sums
from edge_rt.kernels.matrix_int8 import begin, has_matrix_registers
from edge_rt.kernels.memory import F32, address, stack
from edge_rt.kernels.simd import Vec, clamp, convert, fma, load, pointer, prefetch, splat, store
from edge_rt.kernels.slices import BITS, INF_BITS, SLICES, in_slices, row_slicer, unit_of
from edge_rt.kernels.tiles import WIDTH
from edge_rt.kernels.tiles_int8 import DEPTH
from edge_rt.lowering.gemm import INT8, in_lines

I8, I32, I64, U8 = types.int8, types.int32, types.int64, types.uint8
INF = np.float32(np.inf)
FEWEST_ROWS = 8
"""Fewer are left to vectors, whose tiles are not as high."""
QUADS, FEWEST_QUADS = 16, 8
"""Of a tile, at most, and at least."""
TOGETHER = 8
"""Panels that all rows pass before the next ones."""
LINE = 64
"""Bytes of a cache line, and of a row of sums."""
ONE_SUM = ROWS * WIDTH
"""Numbers of a register of sums."""


def quads_of(depth, last_depth):
    """How deep tiles are that divide both; 0 where they would be too flat."""
    quads = QUADS
    while quads >= FEWEST_QUADS and (depth % quads != 0 or last_depth % quads != 0):
        quads -= 1
    return quads if quads >= FEWEST_QUADS else 0


def no_product(
    a, b, bias, residual, y, buffer, batches, batch, m, n, k, a_row, y_row, row_block, col_block, block_k, quads, scale, lo,
    hi, activation, alpha, part, parts,
):  # fmt: skip
    """In place of products by matrix registers, on targets without."""


def matrix_product(target, finish, activate, run_direct):
    """product(...): as of `sliced_product`. block_k: numbers of k that are summed before they become floats; quads: see
    `quads_of`."""
    if not has_matrix_registers(target):
        return no_product
    SUMS, NUMBERS, all_sums = Vec(I32, WIDTH), Vec(F32, WIDTH), 2 * SLICES * ONE_SUM

    def store_apart(whole, out, plane):
        store(out, in_slices(whole), plane)

    slice_rows = row_slicer(store_apart, 1)

    def end_row(sums, power, scale, start, addend, adds, lo, hi, y):
        whole = convert(NUMBERS, load(SUMS, sums)) * 2.0 ** (1 - BITS)
        whole = fma(convert(NUMBERS, load(SUMS, sums + ONE_SUM)), splat(NUMBERS, F32(2.0 ** (9 - BITS))), whole)
        whole = fma(convert(NUMBERS, load(SUMS, sums + 2 * ONE_SUM)), splat(NUMBERS, F32(2.0 ** (17 - BITS))), whole)
        whole = fma(whole, splat(NUMBERS, power[0]) * load(NUMBERS, scale), load(NUMBERS, start))
        if adds:
            whole = whole + load(NUMBERS, addend)
        store(y, clamp(whole, lo, hi))

    def end_panel(sums, first, last, j, k_first, ends, operands, epilogue, y, y_first, y_row, padded, tail):
        """Rows from first to last, and panel j, of sums [SLICES, ROWS, 16] of a block of k, whose row 0 is at `sums`."""
        a, a_row, b, b_first, k, n = operands
        bias, bias_at, residual, scale, powers, lo, hi = epilogue
        columns, panel, start = min(WIDTH, n - j * WIDTH), b_first + j, bias + (bias_at + j * WIDTH)
        no_zeros = pointer(I8, I64(0))
        if k_first > 0 or address(bias) == 0 or columns < WIDTH:
            for q in range(WIDTH):
                padded[q] = start[q] if k_first == 0 and address(bias) != 0 and q < columns else F32(0)
            start = padded
        for row in range(first, last):
            place, is_finite = y_first + row * y_row + j * WIDTH, powers[row] != INF_BITS
            addend, adds, low, top = residual + place, address(residual) != 0, -INF, INF
            if k_first > 0:
                addend, adds = y + place, True
            if ends or not is_finite:
                low, top = lo, hi
            ending = addend, adds, low, top, y + place, y_row
            if columns < WIDTH:  # what is cut off on the right goes through a buffer
                ending = addend, False, -INF, INF, tail, WIDTH
            if is_finite:
                end_row(
                    sums + row * WIDTH, pointer(F32, powers) + row, scale + panel * WIDTH, start, ending[0], ending[1],
                    ending[2], ending[3], ending[4],
                )  # fmt: skip
            elif k_first == 0:
                run_direct(
                    INT8, 1, 1, start, a + row * a_row, a_row, (b, scale, no_zeros, k, 1, k, panel), 0, k,
                    ending[0], ending[1], ending[2], ending[3], ending[4], ending[5],
                )  # fmt: skip
            if columns < WIDTH and (is_finite or k_first == 0):
                finish(tail, WIDTH, 1, columns, addend, adds, low, top, y + place, y_row)

    @apart
    def product(
        a, b, bias, residual, y, buffer, batches, batch, m, n, k, a_row, y_row, row_block, col_block, block_k, quads, scale,
        lo, hi, activation, alpha, part, parts,
    ):  # fmt: skip
        acc, none, table = stack(I32, all_sums), stack(I32, WIDTH), stack(U8, CONFIGURATION)
        padded, tail = stack(F32, WIDTH), stack(F32, WIDTH)
        store(none, splat(SUMS, 0))
        panels, plane = (n + WIDTH - 1) // WIDTH, in_lines(k)
        row_blocks, col_blocks = (m + row_block - 1) // row_block, (panels + col_block - 1) // col_block
        units, pitch, found = batch * row_blocks * col_blocks, SLICES * plane, I64(-1)
        powers = pointer(I32, buffer)
        sliced = pointer(U8, powers + in_lines(row_block))
        b_panel, step = (k + DEPTH - 1) // DEPTH * (DEPTH * WIDTH), quads * DEPTH
        for unit in range(units * part // parts, units * (part + 1) // parts):
            rest, rows, first_panel, last_panel, a_at, b_first, bias_at, y_first = unit_of(
                unit, batches, m, panels, row_block, col_block, a_row, y_row
            )
            a_rows = a + a_at
            if rest != found:
                found = rest
                slice_rows(a_rows, a_row, rows, k, powers, sliced, pitch, plane)
            # Tiles of one height; the last one begins with rows that the one before has, too.
            count = (rows + ROWS - 1) // ROWS
            height = (rows + count - 1) // count
            describe(table, height, quads)
            configure(table)
            k_first = I64(0)
            while k_first < k:
                piece = min(block_k, k - k_first)
                steps, ends = (piece + DEPTH - 1) // DEPTH // quads, k_first + piece == k
                weights = pointer(I8, b) + (b_first * b_panel + k_first * WIDTH)
                group = first_panel
                while group < last_panel:
                    beside = min(TOGETHER, last_panel - group)
                    # Each product asks for its share of the panel that stands there in the next group.
                    asks = ((piece * WIDTH + count - 1) // count + LINE * steps - 1) // (LINE * steps)
                    tile, j, tile_before, j_before, turn = I64(0), group, I64(0), group, 0
                    for now in range(count * beside + 1):
                        made, before = acc + turn * (SLICES * ONE_SUM), acc + (1 - turn) * (SLICES * ONE_SUM)
                        if now < count * beside:
                            load_sums(none, 0, 0, 0)
                            load_sums(none, 0, 0, 1)
                            load_sums(none, 0, 1, 0)
                            at = sliced + (begin(tile, height, rows) * pitch + k_first)
                            panel = weights + j * b_panel
                            following = j + TOGETHER if j + TOGETHER < last_panel else j
                            ahead = weights + (following * b_panel + tile * (asks * steps * LINE))
                            for _ in range(steps):
                                for line in range(asks):
                                    prefetch(ahead + line * LINE)
                                ahead += asks * LINE
                                add_slices(at, at + plane, at + 2 * plane, panel, pitch)
                                at += step
                                panel += step * WIDTH
                        if now > 0:
                            top, below = tile_before * height, begin(tile_before, height, rows) + height
                            end_panel(
                                before + (height - below) * WIDTH, top, below, j_before, k_first, ends,
                                (a_rows, a_row, b, b_first, k, n), (bias, bias_at, residual, scale, powers, lo, hi),
                                y, y_first, y_row, padded, tail,
                            )  # fmt: skip
                            if ends and activation and j_before == group + beside - 1:
                                place = y_first + top * y_row + group * WIDTH
                                across = min(beside * WIDTH, n - group * WIDTH)
                                activate(activation, alpha, y + place, y_row, below - top, across)
                        if now < count * beside:
                            store_sums(made, LINE, 0, 0)
                            store_sums(made + ONE_SUM, LINE, 0, 1)
                            store_sums(made + 2 * ONE_SUM, LINE, 1, 0)
                            tile_before, j_before, turn = tile, j, 1 - turn
                            j += 1
                            if j == group + beside:
                                j, tile = group, tile + 1
                    group += beside
                k_first += piece
        release()

    return product
