"""Products of float rows with panels of int8, through dot products of bytes, for machines that do these fastest.

A row of a is turned into integers of 24 bits (a power of two times the numbers, rounded: what is lost is below 2**-23 of
the row's largest number), and these into three slices of a byte. Their products with the weights are sums of int32, which
are exact; so a number of y is rounded where the sums of a block of k become a float, and not with each k. It depends on its
row and column alone. A row that is not finite has no such integers: it goes through the tiles that decode weights.
"""

from __future__ import annotations

import numpy as np
from numba import types

from edge_rt.kernels._registry import apart
from edge_rt.kernels.amx import may_use
from edge_rt.kernels.matrix_int8 import has_matrix_registers
from edge_rt.kernels.memory import F32, address, stack
from edge_rt.kernels.registers import hide
from edge_rt.kernels.simd import (
    Vec,
    bitcast,
    clamp,
    convert,
    dot,
    fma,
    load,
    permutation,
    pointer,
    prefetch,
    splat,
    spread,
    store,
)
from edge_rt.kernels.sliced_matrix import FEWEST_ROWS, matrix_product, quads_of
from edge_rt.kernels.slices import BITS, INF_BITS, row_slicer, unit_of
from edge_rt.kernels.tiles import WIDTH
from edge_rt.kernels.tiles_int8 import DEPTH, hide_pointer, spread_quads
from edge_rt.lowering.gemm import INT8, in_lines

I8, I32, I64, U8 = types.int8, types.int32, types.int64, types.uint8
INF = np.float32(np.inf)
WIDE, WIDE_ROWS, TALL_ROWS = 4, 2, 4
"""Panels of a wide tile, its rows, and those of a tile of one panel."""
K_BLOCK = 384
"""Numbers of k that are summed before moving on: a wide tile's share of the panels stays in the nearest cache."""


def can_slice(target):
    """Whether a machine has dot products of as many bytes as fit a vector of its floats."""
    return target.lanes == WIDTH and "+avx512vnni" in target.llvm_features


turned = permutation(*(quad + DEPTH * i + byte for quad in range(0, 64, 16) for byte in range(DEPTH) for i in range(DEPTH)))


def sliced_tile(rows, panels):
    """tile(start, powers, scale, a, pitch, high, b, b_panel, depth, ahead, stride, addend, adds, lo, hi, y, y_row):
    y = clamp(start + a @ b + addend) for rows that slice_rows made, `depth` groups of four k. start and scale are a row;
    high: what sums of the highest slice begin with, a row of int32. With each group it asks for the memory at `ahead`,
    which then moves on by `stride` bytes."""
    SUMS, ROW = Vec(I32, WIDTH, (rows, panels, 1)), Vec(I8, 4 * WIDTH, (1, panels, 1))
    COLUMN, BYTES = Vec(I32, WIDTH, (rows, 1, 1)), Vec(U8, 4 * WIDTH, (rows, 1, 1))
    TILE, ONE_ROW, FACTORS = SUMS.to(dtype=F32), Vec(F32, WIDTH, (1, panels, 1)), COLUMN.to(dtype=F32)

    @apart
    def tile(start, powers, scale, a, pitch, high, b, b_panel, depth, ahead, stride, addend, adds, lo, hi, y, y_row):
        upper, middle, lower = load(SUMS, high, 0, WIDTH), splat(SUMS, 0), splat(SUMS, 0)
        three = hide(3 * pitch)
        for _ in range(depth):
            a = hide_pointer(a)
            weights = load(ROW, b, 0, b_panel)
            prefetch(ahead)
            ahead += stride
            lower = dot(bitcast(BYTES, spread_quads(COLUMN, a, pitch, three)), weights, lower)
            middle = dot(bitcast(BYTES, spread_quads(COLUMN, a + DEPTH, pitch, three)), weights, middle)
            upper = dot(bitcast(BYTES, spread_quads(COLUMN, a + 2 * DEPTH, pitch, three)), weights, upper)
            a += DEPTH * DEPTH
            b += DEPTH * WIDTH
        whole = convert(TILE, lower) * 2.0 ** (1 - BITS)
        whole = fma(convert(TILE, middle), splat(TILE, F32(2.0 ** (9 - BITS))), whole)
        whole = fma(convert(TILE, upper), splat(TILE, F32(2.0 ** (17 - BITS))), whole)
        factor = spread(FACTORS, pointer(F32, powers), 1) * load(ONE_ROW, scale, 0, WIDTH)
        whole = fma(whole, factor, load(ONE_ROW, start, 0, WIDTH))
        if adds:
            whole = whole + load(TILE, addend, y_row, WIDTH)
        store(y, clamp(whole, lo, hi), y_row, WIDTH)

    return tile


def column_starts(panels):
    """starts(b, b_panel, depth, high): what sums of the highest slice begin with, for so many panels: 128, which makes the
    slice unsigned, is taken out again."""
    SUMS, ROW, BYTES = Vec(I32, WIDTH, (panels, 1)), Vec(I8, 4 * WIDTH, (panels, 1)), Vec(U8, 4 * WIDTH, (1, 1))

    def starts(b, b_panel, depth, high):
        sums, one = splat(SUMS, 0), splat(BYTES, 1)
        for _ in range(depth):
            sums = dot(one, load(ROW, b, b_panel), sums)
            b += DEPTH * WIDTH
        store(high, splat(SUMS, 0) - (sums << 7), WIDTH)

    return starts


def sliced_product(target, finish, activate, run_direct):
    """product(...): gemm_f32 for format INT8 with one scale a column and no zero points, over rows that are dense.

    buffer: of each part, as `sliced_room` (lowering) says. The other arguments are those of gemm_f32.
    """
    BYTES = Vec(U8, DEPTH * WIDTH)

    def store_by_fours(whole, out, plane):
        """Of each four k the lowest bytes, the next ones, the highest ones, and four bytes nobody reads."""
        store(out, turned(bitcast(BYTES, whole + (1 << BITS))))

    slice_rows = row_slicer(store_by_fours, DEPTH)
    multiply = matrix_product(target, finish, activate, run_direct)
    has_registers = has_matrix_registers(target)
    wide_tile, wide_row = sliced_tile(WIDE_ROWS, WIDE), sliced_tile(1, WIDE)
    tall_tile, one_tile = sliced_tile(TALL_ROWS, 1), sliced_tile(1, 1)
    wide_starts, one_starts = column_starts(WIDE), column_starts(1)
    widest, most = WIDE * WIDTH, TALL_ROWS * WIDE * WIDTH

    def run_tile(wide, height, start, power, scale, a, pitch, high, b, b_panel, depth, ahead, stride, ending):
        addend, adds, lo, hi, y, y_row = ending
        if wide == WIDE and height > 1:
            wide_tile(start, power, scale, a, pitch, high, b, b_panel, depth, ahead, stride, addend, adds, lo, hi, y, y_row)
        elif wide == WIDE:
            wide_row(start, power, scale, a, pitch, high, b, b_panel, depth, ahead, stride, addend, adds, lo, hi, y, y_row)
        elif height > 1:
            tall_tile(start, power, scale, a, pitch, high, b, b_panel, depth, ahead, stride, addend, adds, lo, hi, y, y_row)
        else:
            one_tile(start, power, scale, a, pitch, high, b, b_panel, depth, ahead, stride, addend, adds, lo, hi, y, y_row)

    @apart
    def product(
        a, b, bias, residual, y, buffer, batches, batch, m, n, k, a_row, y_row, row_block, col_block, scale, lo, hi,
        activation, alpha, part, parts,
    ):  # fmt: skip
        pieces = (k + K_BLOCK - 1) // K_BLOCK
        block_k = ((k + pieces - 1) // pieces + WIDTH - 1) // WIDTH * WIDTH
        if has_registers and m >= FEWEST_ROWS:
            last = k - (pieces - 1) * block_k
            quads = quads_of(min(block_k, k) // DEPTH, (last + DEPTH - 1) // DEPTH)
            if quads > 0 and last > 0 and may_use():
                multiply(
                    a, b, bias, residual, y, buffer, batches, batch, m, n, k, a_row, y_row, row_block, col_block, block_k,
                    quads, scale, lo, hi, activation, alpha, part, parts,
                )  # fmt: skip
                return
        tail, padded, high = stack(F32, most), stack(F32, widest), stack(I32, widest)
        panels, pitch = (n + WIDTH - 1) // WIDTH, DEPTH * in_lines(k)
        row_blocks, col_blocks = (m + row_block - 1) // row_block, (panels + col_block - 1) // col_block
        units = batch * row_blocks * col_blocks
        powers = pointer(I32, buffer)
        sliced = pointer(U8, powers + in_lines(row_block))
        b_panel, found, no_zeros = (k + DEPTH - 1) // DEPTH * (DEPTH * WIDTH), -1, pointer(I8, I64(0))
        for unit in range(units * part // parts, units * (part + 1) // parts):
            rest, rows, first_panel, last_panel, a_at, b_first, bias_at, y_first = unit_of(
                unit, batches, m, panels, row_block, col_block, a_row, y_row
            )
            a_rows = a + a_at
            if rest != found:
                found = rest
                slice_rows(a_rows, a_row, rows, k, powers, sliced, pitch, 0)
            j = first_panel
            while j < last_panel:
                wide, tallest = (WIDE, WIDE_ROWS) if last_panel - j >= WIDE else (1, TALL_ROWS)
                across = wide * WIDTH
                columns, first = min(across, n - j * WIDTH), b_first + j
                whole, y_block = columns == across, y_first + j * WIDTH
                weights, k_first = pointer(I8, b) + first * b_panel, 0
                # Each tile asks for its share of the next panels.
                ahead = weights + (wide if j + wide < last_panel else first_panel - j) * b_panel
                stride = (wide * WIDTH * tallest + rows - 1) // rows * DEPTH
                while k_first < k:
                    piece = min(block_k, k - k_first)
                    depth, ends = (piece + DEPTH - 1) // DEPTH, k_first + piece == k
                    b_tile = weights + k_first * WIDTH
                    if wide == WIDE:
                        wide_starts(b_tile, b_panel, depth, high)
                    else:
                        one_starts(b_tile, b_panel, depth, high)
                    start = bias + (bias_at + j * WIDTH)
                    if k_first > 0 or address(bias) == 0 or not whole:
                        start = padded
                        for q in range(across):
                            given = k_first == 0 and address(bias) != 0 and q < columns
                            padded[q] = bias[bias_at + j * WIDTH + q] if given else F32(0)
                    i = 0
                    while i < rows:
                        height = tallest if rows - i >= tallest else 1
                        for r in range(i, i + height):
                            if powers[r] == INF_BITS:
                                height = 1
                        is_finite = powers[i] != INF_BITS
                        at = y_block + i * y_row
                        addend, adds, low, top = residual + at, address(residual) != 0, -INF, INF
                        if k_first > 0:
                            addend, adds = y + at, True
                        if ends or not is_finite:
                            low, top = lo, hi
                        ending = addend, adds, low, top, y + at, y_row
                        if not whole:  # what is cut off on the right goes through a buffer
                            ending = addend, False, -INF, INF, tail, across
                        if is_finite:
                            a_tile = sliced + (pitch * i + DEPTH * k_first)
                            run_tile(
                                wide, height, start, powers + i, scale + first * WIDTH, a_tile, pitch, high, b_tile, b_panel,
                                depth, ahead, stride, ending,
                            )  # fmt: skip
                        elif k_first == 0:
                            run_direct(
                                INT8, 1, wide, start, a_rows + i * a_row, a_row, (b, scale, no_zeros, k, 1, k, first), 0, k,
                                ending[0], ending[1], ending[2], ending[3], ending[4], ending[5],
                            )  # fmt: skip
                        if not whole and (is_finite or k_first == 0):
                            finish(tail, across, height, columns, addend, adds, low, top, y + at, y_row)
                        i += height
                        ahead += stride * depth
                    if ends and activation:
                        activate(activation, alpha, y + y_block, y_row, rows, columns)
                    k_first += piece
                j += wide

    return product
