"""Panel GEMM: y = act(clamp(a @ b + bias + residual)), dense or over the patches of a convolution."""

from __future__ import annotations

import numpy as np
from numba import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.activations import activator
from edge_rt.kernels.compact import DIRECT_ROWS, decoder, direct_tiles
from edge_rt.kernels.half_panels import interleaver
from edge_rt.kernels.memory import F32, address, stack
from edge_rt.kernels.simd import is_null, pointer
from edge_rt.kernels.sliced import can_slice, sliced_product
from edge_rt.kernels.tiles import HALVES, WIDTH, finisher, sliding_tiles_for, tiles_for
from edge_rt.kernels.windows import window_finder
from edge_rt.lowering.gemm import GEMM_F32, INT8, K_BLOCK, PLAIN, sliced_room
from edge_rt.lowering.windows import (
    BLOCKS_DOWN,
    BLOCKS_WIDE,
    CHANNELS,
    IMAGES,
    OFFSETS,
    SCRATCH,
    SEGMENT_K,
    SEGMENTS,
    SEGMENTS_TOGETHER,
    SLIDING,
    SLIDING_BLOCK,
)  # fmt: skip

I64 = types.int64
INF = np.float32(np.inf)
HALF = WIDTH // 2
"""Columns that need half a panel."""
ALIGNED = 16
"""Decoding begins at a multiple of so many k."""
DECODED_PANELS = 2
"""Panels that are decoded at once; twice as many where blocks of k are those of wide products."""
LINE = 64
WIDE_PANELS = 4
"""Panels from which on a product is a wide one."""
SLIDING_TAPS = 3
"""Pixels of a window that slides."""
AHEAD_FROM = 1 << 16
"""Numbers of b, or of a, that do not stay in a core's caches: they are asked for ahead of time."""
FAR = {16: (1 << 15, 1 << 15), 8: (1 << 16, 1 << 15)}
"""The same of b, by the lanes of a target, where several blocks of rows read it, and where one does: whole models push out
what they read a run ago."""
ROWS_TOGETHER = 1 << 17
"""Numbers of a, with AVX-512, up to which blocks of rows become one: half a core's second cache."""
TILES_NEAR = {16: 1, 8: 4}
"""Tiles, by the lanes of a target, that are activated together, while they are in the nearest cache: calls take some 150
cycles, which is much for the small tiles of 16 registers."""
SHORT_ROW = 192
"""Rows of a up to which the CPU does not see by itself what is needed next."""


def unused(height, wide, start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row):
    """In place of sliding tiles where there are none."""


def unused_width(width, left, overlaps):
    """In place of the panels of a sliding tile where there are none."""
    return 1


def unused_product(
    a, b, bias, residual, y, buffer, batches, batch, m, n, k, a_row, y_row, row_block, col_block, scale, lo, hi,
    activation, alpha, part, parts,
):  # fmt: skip
    """In place of products of slices where there are none."""


@kernel(GEMM_F32)
def gemm_f32(target):
    tiles, sliding = tiles_for(target), sliding_tiles_for(target)
    rows_for, run, panels_for, tile_size = tiles.rows_for, tiles.run, tiles.panels_for, tiles.most
    can_slide, wide_k, whole_k, has_halves = sliding is not None, tiles.wide_k, tiles.whole_k, tiles.has_halves
    far, far_once = FAR.get(target.lanes, (AHEAD_FROM, AHEAD_FROM))
    asks_ahead, tiles_near = target.arch != "aarch64", TILES_NEAR.get(target.lanes, 1)
    slides, run_sliding = sliding or tiles, sliding.run if sliding else unused
    sliding_rows_for, sliding_panels_for = slides.rows_for, sliding.panels_for if sliding else unused_width
    deepest = max(K_BLOCK, SLIDING_TAPS * SLIDING_BLOCK, 2 * wide_k, 2 * whole_k) + 2 * ALIGNED
    widest, decoded_size = 8 * WIDTH, DECODED_PANELS * deepest * WIDTH + LINE // 4
    find_windows, activate, finish = window_finder(target.lanes), activator(target), finisher(target.lanes)
    decode, (direct_panels_for, run_direct) = decoder(target), direct_tiles(target)
    can_interleave, (interleave_panels, interleave_start) = tiles.by_twos, interleaver()
    slices, rows_together = can_slice(target), ROWS_TOGETHER if target.lanes == 16 else 0
    multiply_slices = sliced_product(target, finish, activate, run_direct) if slices else unused_product

    def body(
        a, b, bias, residual, y, patches, batches, geometry, batch, m, n, k, a_row, a_size, y_row,
        row_block, col_block, k_block, halves, format, scale, zero, block, blocks, lo, hi, activation, alpha, part, parts,
    ):  # fmt: skip
        if slices and format == INT8 and not is_null(patches) and is_null(geometry):
            multiply_slices(
                a, b, bias, residual, y, patches + part * sliced_room(row_block, k), batches, batch, m, n, k, a_row, y_row,
                row_block, col_block, scale, lo, hi, activation, alpha, part, parts,
            )  # fmt: skip
            return
        tail, decoded = stack(F32, tile_size), stack(F32, decoded_size)
        padded, zeros = stack(F32, widest), stack(F32, widest)
        decoded = pointer(F32, (address(decoded) + LINE - 1) // LINE * LINE)
        nowhere = stack(I64, 1)
        nowhere[0] = 0
        panels = (n + WIDTH - 1) // WIDTH
        row_blocks, col_blocks = (m + row_block - 1) // row_block, (panels + col_block - 1) // col_block
        has_windows, has_bias, has_residual = address(geometry) != 0, address(bias) != 0, address(residual) != 0
        offsets, segments, segment_k, segments_together, overlaps = nowhere, 1, k, 1, False
        taps, tap, apart, block_k, decodes, deep = 1, 0, 1, k_block, DECODED_PANELS, False
        by_twos, interleaved = can_interleave and halves > 0, -1
        if has_windows:
            row_blocks = geometry[IMAGES] * geometry[BLOCKS_DOWN] * geometry[BLOCKS_WIDE]
            offsets, segments = geometry + OFFSETS, geometry[SEGMENTS]
            segment_k, segments_together = geometry[SEGMENT_K], geometry[SEGMENTS_TOGETHER]
            overlaps = k > geometry[CHANNELS]
            if can_slide and geometry[SLIDING]:
                taps, apart, segment_k, block_k = SLIDING_TAPS, geometry[SLIDING], geometry[CHANNELS], SLIDING_BLOCK
                tap = segment_k * WIDTH
                segments //= apart
                segments_together = segments_together if apart == 1 else 1
        elif wide_k and panels >= WIDE_PANELS and m > DIRECT_ROWS and k > wide_k:
            pieces = (k + wide_k - 1) // wide_k if k > whole_k else 1
            deep = True
            block_k = ((k + pieces - 1) // pieces + ALIGNED - 1) // ALIGNED * ALIGNED
            decodes = 2 * DECODED_PANELS
        if not has_bias or segments > segments_together or segment_k > block_k:
            for q in range(widest):
                zeros[q] = F32(0)
        units = batch * row_blocks * col_blocks
        b_panel = k * WIDTH
        # Each format takes half of what the one before takes.
        stored_k, stored_panel = WIDTH >> format, ((k + (1 << format) - 1) >> format) * WIDTH
        found, rows, rows_step, line_step, y_place, y_step, y_line, lines, width = -1, a, a_row, 0, 0, y_row, 0, 1, 0
        is_far = panels * b_panel > (far_once if batch * row_blocks == 1 else far)
        is_long = not is_far and not has_windows and a_row == k and k <= min(block_k, SHORT_ROW) and m * k > AHEAD_FROM
        unit, end = units * part // parts, units * (part + 1) // parts
        while unit < end:
            rest = unit // col_blocks
            index = rest // row_blocks
            place = rest - index * row_blocks
            first_block = unit - rest * col_blocks
            # Units that follow each other are one as far as they are a rectangle whose rows stay near.
            beside, below = min(col_blocks - first_block, end - unit), 1
            if rows_together and beside == col_blocks and format == PLAIN and not has_windows:
                near = rows_together // max(k, 1) // row_block
                below = max(1, min((end - unit) // col_blocks, row_blocks - place, near))
            unit += beside * below
            first_panel = first_block * col_block
            last_panel = min(panels, first_panel + beside * col_block)
            a_batch, b_first = a + batches[4 * index], batches[4 * index + 1]
            bias_at, y_at = batches[4 * index + 2], batches[4 * index + 3]
            if has_windows:
                if rest != found:  # else they are those of the unit before
                    found = rest
                    rows, rows_step, line_step, y_place, y_step, y_line, lines, width = find_windows(
                        a_batch, a_size - batches[4 * index], geometry, place, y_row, patches + part * geometry[SCRATCH]
                    )
            else:
                first_row = place * row_block
                rows, rows_step, line_step = a_batch + first_row * a_row, a_row, 0
                y_place, y_step, y_line, lines = first_row * y_row, y_row, 0, 1
                width = min(m - first_row, below * row_block)
            y_first = y_place + y_at
            direct = format != PLAIN and not has_windows and width <= DIRECT_ROWS
            if by_twos and b_first != interleaved:
                interleave_panels(b + b_first * b_panel, b_panel, k, panels - 1, decoded)
                interleaved = b_first
            count, short, longer, known = 1, width, 0, -1
            segment, inside = 0, 0
            while True:
                pieces, piece = min(segments_together, segments - segment), min(block_k, segment_k - inside)
                k_first, steps = segment * taps * segment_k + inside, pieces * piece
                next_segment, next_inside = segment, inside + piece
                if next_inside == segment_k:
                    next_segment, next_inside = segment + pieces, 0
                ends = next_segment == segments
                few_together = asks_ahead and ends and activation != 0
                j = first_panel
                while j < last_panel:
                    left = last_panel - j
                    wide = direct_panels_for(width, left)
                    if format != PLAIN and not direct:
                        left = min(left, decodes)
                    if taps > 1:
                        wide = sliding_panels_for(width, left, overlaps)
                    elif not direct:
                        wide = panels_for(width, left, overlaps, deep)
                    columns, shape, across = min(wide * WIDTH, n - j * WIDTH), wide, wide * WIDTH
                    if has_halves and columns <= HALF and not direct:
                        shape, across = 0, HALF
                    if by_twos:
                        wide, shape, across = panels, HALVES + halves, halves * HALF
                        columns = n
                    if shape != known:  # rows are shared out evenly
                        most, known = width if direct else sliding_rows_for(shape) if taps > 1 else rows_for(shape), shape
                        count = (width + most - 1) // most
                        short = width // count
                        longer = width - short * count
                    whole = columns == across
                    start = bias + (bias_at + j * WIDTH)
                    if k_first > 0 or not has_bias:
                        start = zeros
                    elif not whole:
                        for q in range(across):
                            padded[q] = start[q] if q < columns else F32(0)
                        start = padded
                    first = b_first + j
                    b_tile, b_step, b_tap = b + (first * b_panel + k_first * WIDTH), b_panel, tap
                    if format != PLAIN and not direct:
                        source = format, b, scale, zero, block, blocks, k
                        if piece < segment_k and taps > 1:  # then k_first is a multiple of ALIGNED
                            b_tile, b_step, b_tap = decoded, piece * WIDTH, wide * piece * WIDTH
                            for t in range(taps):
                                at = k_first + t * segment_k
                                decode(source, first, first + wide, at, at + piece, decoded + t * b_tap)
                        else:
                            at, last = k_first // ALIGNED * ALIGNED, k_first + taps * steps
                            decode(source, first, first + wide, at, last, decoded)
                            b_tile, b_step = decoded + (k_first - at) * WIDTH, (last - at) * WIDTH
                    if by_twos:
                        b_tile, at = decoded, decoded + k * halves * HALF
                        interleave_start(start, panels - 1, at)
                        start = at
                    ahead, ahead_step, tiles_each = b, 0, 0
                    if is_far:  # each tile asks for a share of the next panels, a number of tiles for one panel
                        following, next_k = j + wide, k_first
                        if following >= last_panel:
                            following = (last_panel if last_panel < panels else 0) if ends else first_panel
                            next_k = 0 if ends else next_segment * taps * segment_k + next_inside
                        ahead = b + ((b_first + following) * stored_panel + next_k * stored_k)
                        tiles_each = max(1, lines * count // (wide * taps))
                        ahead_step = (stored_k + tiles_each - 1) // tiles_each
                    tiles_left, taps_left = tiles_each, taps
                    asks_rows = is_long and j == first_panel
                    for line in range(lines):
                        y_block = y_first + line * y_line + j * WIDTH
                        a_line = rows + (line * line_step + inside)
                        i, tile = 0, 0
                        while tile < count:
                            height, alike = short + (1 if tile < longer else 0), 1
                            if whole and not (direct or taps > 1):
                                alike = (longer if tile < longer else count) - tile
                                if few_together:
                                    alike = min(alike, tiles_near)
                                if asks_ahead and tiles_each:
                                    alike = min(alike, tiles_left)
                            at = y_block + i * y_step
                            addend, adds, low, high = residual + at, has_residual, -INF, INF
                            if k_first > 0:
                                addend, adds = y + at, True
                            if ends:
                                low, high = lo, hi
                            if asks_rows:  # each tile asks for the rows of the next one
                                ahead, ahead_step = a_line + (i + height) * rows_step, height
                            # What is cut off on the right goes through a buffer.
                            if direct:
                                run_direct(
                                    format, height, shape, start, a_line + i * rows_step, rows_step,
                                    (b, scale, zero, block, blocks, k, first), k_first, k_first + steps,
                                    addend, adds and whole, low if whole else -INF, high if whole else INF,
                                    y + at if whole else tail, y_step if whole else across,
                                )  # fmt: skip
                            elif taps > 1:
                                run_sliding(
                                    height, shape, start, a_line + i * rows_step,
                                    (rows_step, offsets + segment * apart, pieces, ahead, ahead_step, b_tap),
                                    b_tile, b_step, piece,
                                    addend, adds and whole, low if whole else -INF, high if whole else INF,
                                    y + at if whole else tail, y_step if whole else across,
                                )  # fmt: skip
                            else:
                                run(
                                    height, shape, start, a_line + i * rows_step,
                                    (rows_step, offsets + segment, pieces, ahead, ahead_step, alike), b_tile, b_step, piece,
                                    addend, adds and whole, low if whole else -INF, high if whole else INF,
                                    y + at if whole else tail, y_step if whole else across,
                                )  # fmt: skip
                            if not whole:
                                finish(tail, across, height, columns, addend, adds, low, high, y + at, y_step)
                            if ends and activation:
                                activate(activation, alpha, y + at, y_step, height * alike, columns)
                            i += height * alike
                            tile += alike
                            ahead += ahead_step * steps * alike
                            tiles_left -= alike
                            if tiles_left == 0:
                                tiles_left, taps_left = tiles_each, taps_left - 1
                                further = tap >> format if taps_left else stored_panel - (taps - 1) * (tap >> format)
                                ahead += further - tiles_each * ahead_step * steps
                                taps_left = taps_left if taps_left else taps
                    j += wide
                if ends:
                    break
                segment, inside = next_segment, next_inside

    return body
