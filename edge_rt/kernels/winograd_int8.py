"""Convolutions of 8-bit images by 3x3 windows, two by two results by 16 products instead of 36, as exact as without.

Weights of a panel and what tiles see are transformed (`filtering_int8.py`) to 16 numbers of 16 bits for each channel; sums
over channels are as many matrix products of tiles by panels, and their transform is four times two by two results. In a
part's buffer lie, for each of the 16 points, the weights of a panel for a block of channels; for each block of channels, the
tiles; and the products of a panel. Pairs of channels that are multiplied together are two apart: bytes at even places,
and those at odd ones, widen for nothing.
"""

from __future__ import annotations

from numba import types

from edge_rt.kernels._registry import apart, kernel
from edge_rt.kernels.filtering_int8 import of_products, of_seen, of_taps
from edge_rt.kernels.gemm_int8 import column_copier, column_terms, zero_of
from edge_rt.kernels.memory import stack
from edge_rt.kernels.pairs import point_tile
from edge_rt.kernels.requantize import are_small, ender
from edge_rt.kernels.saturation import AS_BYTES, kind_of
from edge_rt.kernels.simd import Vec, load, pointer, store
from edge_rt.kernels.simd import part as vector
from edge_rt.kernels.tiles_int8 import DEPTH as QUAD
from edge_rt.kernels.tiles_int8 import WIDTH
from edge_rt.lowering._spec import AVX2
from edge_rt.lowering.winograd_int8 import (
    CHANNELS,
    COLUMNS,
    DEPTH,
    IMAGES,
    LINE,
    OUT_HEIGHT,
    OUT_WIDTH,
    PANEL_BLOCK,
    PART_BYTES,
    POINTS,
    SEEN,
    STEP,
    TILE,
    TILE_BLOCK,
    TILES_DOWN,
    TILES_WIDE,
    WINOGRAD_INT8,
)

F32, I8, I16, I32, I64, U8 = types.float32, types.int8, types.int16, types.int32, types.int64, types.uint8
ROWS = 4
"""Tiles that a register tile takes at once."""
TILE_BYTES = TILE * TILE * WIDTH
"""Of results."""


def transforms():
    """(of_tile, of_weights): from bytes to int16."""
    BYTES, TAPS = Vec(U8, STEP, (SEEN, SEEN)), Vec(I8, STEP, (3, 3))

    @apart
    def of_tile(x, row, pixel, channels, v, v_step):
        """What a tile sees, so many channels from pixel x on."""
        for k in range(0, channels, STEP):
            seen = load(BYTES, x + k, row, pixel)
            store(v + k, of_seen(seen, 0), SEEN * v_step, v_step)
            store(v + (k + STEP // 2), of_seen(seen, 1), SEEN * v_step, v_step)

    @apart
    def of_weights(panel, row, tap, channels, u, u_step):
        """A panel's weights for so many channels; from tap to tap `tap`, from row to row of a window `row` bytes."""
        for k in range(0, channels, STEP):
            to = u + k * WIDTH
            for _ in range(0, STEP, QUAD):
                for half in range(0, 2 * WIDTH, WIDTH):
                    taps = load(TAPS, panel, row, tap)
                    store(to + half, of_taps(taps, 0), SEEN * u_step, u_step)
                    store(to + (half + STEP // 2 * WIDTH), of_taps(taps, 1), SEEN * u_step, u_step)
                    panel += STEP
                to += 2 * WIDTH

    return of_tile, of_weights


def chain(tiles):
    """run(rows, ...) of (rows, tile) pairs."""
    (height, tile), *rest = tiles
    others = chain(rest) if rest else lambda rows, a, a_row, a_step, b, b_step, pairs, adds, y, y_step: None

    def run(rows, a, a_row, a_step, b, b_step, pairs, adds, y, y_step):
        if rows == height:
            tile(a, a_row, a_step, b, b_step, pairs, adds, y, y_step)
        else:
            others(rows, a, a_row, a_step, b, b_step, pairs, adds, y, y_step)

    return run


@kernel(WINOGRAD_INT8, only=AVX2)
def winograd_int8(target):
    of_tile, of_weights = transforms()
    run = chain([(rows, point_tile(rows, POINTS)) for rows in range(ROWS, 0, -1)])
    end, small = ender(target, TILE, 1), are_small(target)
    columns_of, zero_of_a, copy_columns = column_terms(target), zero_of(target), column_copier()
    PRODUCTS, START = Vec(I32, 8, (SEEN, SEEN, 2)), Vec(I32, 8, (1, 1, 1, 2))

    def see_tiles(x, geometry, first, last, depth, v, v_step):
        """The tiles from first to last - 1."""
        channels, down, wide = geometry[CHANNELS], geometry[TILES_DOWN], geometry[TILES_WIDE]
        row = (TILE * wide + SEEN - TILE) * channels
        image_step = (TILE * down + SEEN - TILE) * row
        for t in range(first, last):
            above = t // wide
            image = above // down
            left = t - above * wide
            source = x + (image * image_step + ((above - image * down) * row + left * channels) * TILE)
            to = v + (t - first) * depth
            for k in range(0, channels, depth):
                of_tile(source + k, row, channels, depth, to, v_step)
                to += POINTS * v_step

    def finish_tiles(
        m, m_step, geometry, first, last, column, start, factor, how, middle, lowest, highest, y_flip, narrow, y
    ):
        """Results of those tiles in the 16 columns from `column` on."""
        n, out_h, out_w = geometry[COLUMNS], geometry[OUT_HEIGHT], geometry[OUT_WIDTH]
        down, wide = geometry[TILES_DOWN], geometry[TILES_WIDE]
        columns, none = min(WIDTH, n - column), start
        for t in range(first, last):
            above = t // wide
            image = above // down
            top, left = (above - image * down) * TILE, (t - above * wide) * TILE
            made = of_products(load(PRODUCTS, m, SEEN * m_step, m_step)) + load(START, start)
            to, line = y + (((image * out_h + top) * out_w + left) * n + column), out_w * n
            if columns == WIDTH and top + TILE <= out_h and left + TILE <= out_w:
                end(vector(made, 0), how, none, factor, middle, lowest, highest, y_flip, to, n)
                end(vector(made, 1), how, none, factor, middle, lowest, highest, y_flip, to + line, n)
            else:
                end(vector(made, 0), how, none, factor, middle, lowest, highest, y_flip, narrow, WIDTH)
                end(vector(made, 1), how, none, factor, middle, lowest, highest, y_flip, narrow + TILE * WIDTH, WIDTH)
                pixels = min(TILE, out_w - left)
                copy_columns(to, n, narrow, WIDTH, pixels, columns)
                if top + 1 < out_h:
                    copy_columns(to + line, n, narrow + TILE * WIDTH, WIDTH, pixels, columns)
            m += WIDTH

    def body(
        x, panels, sums, a_zero, a_scale, scale, bias, y, buffer, geometry, scale_step, flip, lo, hi, y_zero, y_flip, part,
        parts,
    ):  # fmt: skip
        start, factor, unused = stack(I32, WIDTH), stack(F32, WIDTH), stack(F32, WIDTH)
        narrow = stack(U8, TILE_BYTES)
        channels, n, depth = geometry[CHANNELS], geometry[COLUMNS], geometry[DEPTH]
        tile_block, panel_block = geometry[TILE_BLOCK], geometry[PANEL_BLOCK]
        tiles, panel_count = geometry[IMAGES] * geometry[TILES_DOWN] * geometry[TILES_WIDE], (n + WIDTH - 1) // WIDTH
        panel_blocks, depths = (panel_count + panel_block - 1) // panel_block, channels // depth
        units = (tiles + tile_block - 1) // tile_block * panel_blocks
        # In numbers, from point to point.
        u_step, v_step, m_step = depth * WIDTH + LINE // 2, depth * tile_block + LINE // 2, tile_block * WIDTH + LINE // 4
        v_block = POINTS * v_step
        u = pointer(I16, buffer + part * geometry[PART_BYTES])
        v = u + POINTS * u_step
        m = pointer(I32, v + depths * v_block)
        middle, zero = y_zero - y_flip, zero_of_a(a_zero, flip)
        lowest, highest = I64(lo) + middle, I64(hi) + middle
        kind, seen = kind_of(middle, lowest, highest), -1
        tap, window_row = channels * WIDTH, 3 * channels * WIDTH
        for unit in range(units * part // parts, units * (part + 1) // parts):
            block = unit // panel_blocks
            first, first_panel = block * tile_block, (unit - block * panel_blocks) * panel_block
            last = min(tiles, first + tile_block)
            if block != seen:
                see_tiles(x, geometry, first, last, depth, v, v_step)
                seen = block
            groups = (last - first + ROWS - 1) // ROWS
            for panel in range(first_panel, min(panel_count, first_panel + panel_block)):
                column = panel * WIDTH
                columns_of(
                    start, factor, unused, start, min(WIDTH, n - column), WIDTH, zero, I64(0), sums + column, column, bias,
                    scale, scale_step, a_scale, pointer(I32, I64(0)), I64(0), False,
                )  # fmt: skip
                for d in range(depths):
                    quads = panels + (panel * 3 * window_row + d * depth * WIDTH)
                    of_weights(quads, window_row, tap, depth, u, u_step)
                    done = 0
                    for g in range(groups):
                        height = (last - first) * (g + 1) // groups - done
                        at = v + (d * v_block + done * depth)
                        run(height, at, depth, v_step, u, u_step, depth >> 1, d > 0, m + done * WIDTH, m_step)
                        done += height
                how = kind if kind <= AS_BYTES or small(start, factor, WIDTH, 0) else AS_BYTES
                finish_tiles(
                    m, m_step, geometry, first, last, column, start, factor, how, middle, lowest, highest, y_flip, narrow, y
                )

    return body
