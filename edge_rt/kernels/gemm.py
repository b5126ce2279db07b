"""Panel GEMM: y = act(clamp(a @ b + bias + residual)), dense or over the patches of a convolution."""

from __future__ import annotations

import numpy as np

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.activations import activator
from edge_rt.kernels.compact import DIRECT_ROWS, decoder, direct_tiles
from edge_rt.kernels.memory import F32, address, stack
from edge_rt.kernels.rows import row_gatherer
from edge_rt.kernels.simd import pointer
from edge_rt.kernels.tiles import WIDTH, tiles_for
from edge_rt.lowering.gemm import GEMM_F32, K_BLOCK, PLAIN

INF = np.float32(np.inf)
SLACK = 16
"""Numbers behind each part's scratch that gathering may write."""
DECODED_PANELS = 2
"""Panels that are decoded at once."""
LINE = 64


@kernel(GEMM_F32)
def gemm_f32(target):
    tiles = tiles_for(target)
    most_rows, run, panels_for, tile_size = tiles.rows, tiles.run, tiles.panels_for, tiles.most
    widest, decoded_size = 8 * WIDTH, DECODED_PANELS * K_BLOCK * WIDTH + LINE // 4
    gather, activate = row_gatherer(target.lanes), activator(target)
    decode, (direct_panels_for, run_direct) = decoder(target), direct_tiles(target)

    def body(
        a, b, bias, residual, y, patches, batches, geometry, batch, m, n, k, a_row, a_size, y_row,
        row_block, col_block, k_block, format, scale, zero, block, blocks, lo, hi, activation, alpha, part, parts,
    ):  # fmt: skip
        tail, padded, decoded = stack(F32, tile_size), stack(F32, widest), stack(F32, decoded_size)
        decoded = pointer(F32, (address(decoded) + LINE - 1) // LINE * LINE)
        panels = (n + WIDTH - 1) // WIDTH
        row_blocks, col_blocks = (m + row_block - 1) // row_block, (panels + col_block - 1) // col_block
        units = batch * row_blocks * col_blocks
        gathers, has_bias, has_residual = address(geometry) != 0, address(bias) != 0, address(residual) != 0
        b_panel = k * WIDTH
        for unit in range(units * part // parts, units * (part + 1) // parts):
            rest = unit // col_blocks
            index = rest // row_blocks
            first_row = (rest - index * row_blocks) * row_block
            last_row = min(m, first_row + row_block)
            first_panel = (unit - rest * col_blocks) * col_block
            last_panel = min(panels, first_panel + col_block)
            a_batch, b_first = a + batches[4 * index], batches[4 * index + 1]
            direct = format != PLAIN and last_row - first_row <= DIRECT_ROWS
            bias_at, y_at = batches[4 * index + 2], batches[4 * index + 3]
            count = (last_row - first_row + most_rows - 1) // most_rows
            short = (last_row - first_row) // count
            longer = (last_row - first_row) - short * count
            k_first = 0
            while True:
                k_last = min(k, k_first + k_block)
                ends = k_last == k
                if gathers:
                    rows, rows_stride = patches + part * (row_block * k_block + SLACK), k_block
                    gather(
                        a_batch, a_size - batches[4 * index], geometry, rows, k_block, first_row, last_row, k_first,
                        k_last,
                    )  # fmt: skip
                else:
                    rows, rows_stride = a_batch + (first_row * a_row + k_first), a_row
                j = first_panel
                while j < last_panel:
                    left, highest = last_panel - j, short + (1 if longer else 0)
                    if direct:
                        wide = direct_panels_for(highest, left)
                    elif format != PLAIN:
                        wide = panels_for(highest, min(left, DECODED_PANELS))
                    else:
                        wide = panels_for(highest, left)
                    columns = min(wide * WIDTH, n - j * WIDTH)
                    whole = columns == wide * WIDTH
                    y_block = y_at + first_row * y_row + j * WIDTH
                    start = bias + (bias_at + j * WIDTH)
                    if k_first > 0 or not has_bias or not whole:
                        start = padded
                        for q in range(wide * WIDTH):
                            given = k_first == 0 and has_bias and q < columns
                            padded[q] = bias[bias_at + j * WIDTH + q] if given else F32(0)
                    first = b_first + j
                    b_tile, b_step = b + (first * b_panel + k_first * WIDTH), b_panel
                    if format != PLAIN and not direct:
                        decode(format, b, scale, zero, block, blocks, k, first, first + wide, k_first, k_last, decoded)
                        b_tile, b_step = decoded, (k_last - k_first) * WIDTH
                    i = 0
                    for tile in range(count):
                        height = short + (1 if tile < longer else 0)
                        at = y_block + i * y_row
                        addend, adds, low, high = residual + at, has_residual, -INF, INF
                        if k_first > 0:
                            addend, adds = y + at, True
                        if ends:
                            low, high = lo, hi
                        # What is cut off on the right goes through a buffer.
                        if direct:
                            run_direct(
                                format, height, wide, start, rows + i * rows_stride, rows_stride,
                                (b, scale, zero, block, blocks, k, first), k_first, k_last,
                                addend, adds and whole, low if whole else -INF, high if whole else INF,
                                y + at if whole else tail, y_row if whole else wide * WIDTH,
                            )  # fmt: skip
                        else:
                            run(
                                height, wide, start, rows + i * rows_stride, rows_stride, b_tile, b_step,
                                k_last - k_first,
                                addend, adds and whole, low if whole else -INF, high if whole else INF,
                                y + at if whole else tail, y_row if whole else wide * WIDTH,
                            )  # fmt: skip
                        if not whole:
                            for p in range(height):
                                for q in range(columns):
                                    value = tail[p * wide * WIDTH + q]
                                    if adds:
                                        value += addend[p * y_row + q]
                                    value = low if low > value else value
                                    y[at + p * y_row + q] = high if high < value else value
                        i += height
                    if ends and activation:
                        activate(activation, alpha, y + y_block, y_row, last_row - first_row, columns)
                    j += wide
                k_first = k_last
                if ends:
                    break

    return body
