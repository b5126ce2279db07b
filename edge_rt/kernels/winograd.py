"""Convolutions of 3x3 windows by Winograd's minimal filtering: two by four outputs by 24 products instead of 72.

Weights and what a tile sees are transformed (`filtering.py`) to 24 numbers for each channel; sums over channels are as many
matrix products of tiles by panels, and their transform is two by four outputs. Vectors run over channels. What is
transformed lies in the part's buffer as the matrix products read it: for each block of K_BLOCK channels the 24 matrices, one
after the other, in groups of as many tiles as a register tile has rows.

Every number is the sum, over blocks of channels in order, of chains of fused multiply-adds: results do not depend on
how the work is shared. Short chains keep rounding errors as small as those of the sums without transforms.
"""

from __future__ import annotations

from numba import types

from edge_rt.kernels import filtering
from edge_rt.kernels._registry import apart, kernel
from edge_rt.kernels.filtering import transformer
from edge_rt.kernels.grid import load_grid, store_grid
from edge_rt.kernels.memory import F32, address, copier, filler, stack
from edge_rt.kernels.rooms import claim_room, free_rooms, leave_room
from edge_rt.kernels.simd import Vec, clamp, load, pointer, store
from edge_rt.kernels.tiles import WIDTH, finisher
from edge_rt.kernels.winograd_products import chain, product_tile
from edge_rt.lowering.winograd import (
    CHANNELS,
    COLUMNS,
    COMMON,
    FINISHES,
    HEIGHT,
    IMAGES,
    K_BLOCK,
    KEEPS,
    LINE,
    OUT_HEIGHT,
    OUT_WIDTH,
    PAD_LEFT,
    PAD_TOP,
    PANEL,
    PANEL_BLOCK,
    POINTS,
    PREPARES,
    SCRATCH,
    SEEN_COLUMNS,
    SEEN_ROWS,
    STAGE,
    TILE_BLOCK,
    TILE_COLUMNS,
    TILE_ROWS,
    TILES_DOWN,
    TILES_WIDE,
    WHOLE,
    WINOGRAD_F32,
)  # fmt: skip

SEEN_SHAPE, TILE_SHAPE = (SEEN_ROWS, SEEN_COLUMNS), (TILE_ROWS, TILE_COLUMNS)


def transforms(lanes, u_step, v_step, m_step):
    """(of_weights, of_tile, of_products): the transforms, from and to memory."""
    of_inputs, of_taps, of_sums = (
        transformer(*t) for t in (filtering.INPUTS, filtering.WEIGHTS, filtering.OUTPUTS)
    )
    PIXELS, TAPS, MADE = (Vec(F32, lanes, s) for s in (SEEN_SHAPE, (3, 3), TILE_SHAPE))
    START = Vec(F32, lanes)
    finish = finisher(lanes)

    @apart
    def of_weights(panel, tap, k, u):
        """k channels of a panel whose taps lie `tap` apart."""
        for at in range(0, k * WIDTH, lanes):
            store(u + at, of_taps(load_grid(TAPS, panel + at, 3 * tap, tap)), SEEN_COLUMNS * u_step, u_step)

    @apart
    def of_tile(x, x_row, channels, v, v_block):
        """What a tile sees, from pixel x on; reads, and writes, whole vectors of channels."""
        for k in range(0, channels, K_BLOCK):
            for q in range(0, min(K_BLOCK, channels - k), lanes):
                store(v + q, of_inputs(load_grid(PIXELS, x + (k + q), x_row, channels)), SEEN_COLUMNS * v_step, v_step)
            v += v_block

    @apart
    def of_products(products, start, addend, adds, lo, hi, y, y_row, y_line, rows, pixels, columns, buffer):
        """y = clamp(start + what the products give + addend) of so many rows, pixels of a row and columns of a panel.

        y_row is from pixel to pixel, y_line from row to row; the addend (if `adds`) lies like y."""
        whole = rows == TILE_ROWS and pixels == TILE_COLUMNS and columns == WIDTH
        for q in range(0, WIDTH, lanes):
            made = of_sums(load(PIXELS, products + q, SEEN_COLUMNS * m_step, m_step)) + load(START, start + q)
            if whole:
                if adds:
                    made = made + load_grid(MADE, addend + q, y_line, y_row)
                store_grid(y + q, clamp(made, lo, hi), y_line, y_row)
            else:
                store(buffer + q, made, TILE_COLUMNS * WIDTH, WIDTH)
        if not whole:
            for r in range(rows):
                at = r * y_line
                finish(buffer + r * TILE_COLUMNS * WIDTH, WIDTH, pixels, columns, addend + at, adds, lo, hi, y + at, y_row)

    return of_weights, of_tile, of_products


def seer(lanes):
    """see(x, geometry, index, patch): (source, row) of the pixels that a tile sees, rows `row` apart: in x, or a copy in
    `patch` where there is padding, or where the last vector of channels would end behind the image."""
    copy, fill = apart(copier(lanes)), apart(filler(lanes))

    @apart
    def copy_patch(x, readable, geometry, image, top, left, patch):
        h, w, channels = geometry[HEIGHT], geometry[LINE], geometry[CHANNELS]
        begin = min(SEEN_COLUMNS, max(0, -left))
        end = max(begin, min(SEEN_COLUMNS, w - left))
        # Each move may write a little too far: what comes after it puts that right.
        for r in range(SEEN_ROWS):
            line, row = patch + r * SEEN_COLUMNS * channels, top + r
            if row < 0 or row >= h:
                fill(line, 0.0, SEEN_COLUMNS * channels)
                continue
            source = ((image * h + row) * w + left + begin) * channels
            fill(line, 0.0, begin * channels)
            copy(line + begin * channels, x + source, (end - begin) * channels, readable - source)
            fill(line + end * channels, 0.0, (SEEN_COLUMNS - end) * channels)

    def see(x, geometry, index, patch):
        h, w, channels = geometry[HEIGHT], geometry[LINE], geometry[CHANNELS]
        down, wide = geometry[TILES_DOWN], geometry[TILES_WIDE]
        readable = geometry[IMAGES] * h * w * channels
        above = index // wide
        image = above // down
        top = (above - image * down) * TILE_ROWS - geometry[PAD_TOP]
        left = (index - above * wide) * TILE_COLUMNS - geometry[PAD_LEFT]
        row = w * channels
        first = (image * h + top) * row + left * channels
        last = first + (SEEN_ROWS - 1) * row + (SEEN_COLUMNS - 1) * channels + (channels + WIDTH - 1) // WIDTH * WIDTH
        if top < 0 or left < 0 or top + SEEN_ROWS > h or left + SEEN_COLUMNS > w or last > readable:
            copy_patch(x, readable, geometry, image, top, left, patch)
            return patch, SEEN_COLUMNS * channels
        return x + first, row

    return see


@kernel(WINOGRAD_F32)
def winograd_f32(target):
    lanes, by_lane = target.lanes, target.arch == "aarch64"
    # Tiles of a group, panels at once, and of what the rows of a register tile are a multiple: fewer shapes are less code.
    group, widest, step = (5, 1, 1) if by_lane else (14, 2, 2) if lanes == 16 else (6, 1, 2)
    # Numbers from a point to the next: odd numbers of cache lines.
    u_step, v_step, m_step = widest * PANEL + WIDTH, group * K_BLOCK + WIDTH, group * widest * WIDTH + WIDTH
    u_block, v_block, m_block = POINTS * u_step, POINTS * v_step, POINTS * m_step
    shapes = [(r, p) for p in range(widest, 0, -1) for r in range(group, 0, -step)]
    run = chain([(r, p, product_tile(r, p, lanes, by_lane, u_step, v_step, m_step)) for r, p in shapes])
    of_weights, of_tile, of_products = transforms(lanes, u_step, v_step, m_step)
    see, buffer_size = seer(lanes), TILE_ROWS * TILE_COLUMNS * WIDTH

    def weights_of(panels, panel, width, depth, channels, u):
        """Of `width` panels from `panel` on, for one block of channels."""
        k, tap = min(K_BLOCK, channels - depth * K_BLOCK), channels * WIDTH
        for p in range(width):
            of_weights(panels + ((panel + p) * 9 * tap + depth * PANEL), tap, k, u + p * PANEL)

    def transform_weights(panels, geometry, part, parts, u):
        """A part of all that are kept."""
        channels = geometry[CHANNELS]
        all_panels, depths = (geometry[COLUMNS] + WIDTH - 1) // WIDTH, (channels + K_BLOCK - 1) // K_BLOCK
        count = (all_panels + widest - 1) // widest
        for i in range(count * part // parts, count * (part + 1) // parts):
            panel = i * widest
            for depth in range(depths):
                width = min(widest, all_panels - panel)
                weights_of(panels, panel, width, depth, channels, u + (i * depths + depth) * u_block)

    def transform_inputs(x, geometry, first, last, part, parts, groups, v, v_group, patch):
        """A part of tiles first to last - 1; the last one again for what lacks to a multiple of `step`."""
        steps = (last - first + step - 1) // step
        t, stop = first + steps * part // parts * step, first + steps * (part + 1) // parts * step
        for g in range(groups):
            begin, end = first + steps * g // groups * step, min(stop, first + steps * (g + 1) // groups * step)
            to = v + (g * v_group + (t - begin) * K_BLOCK)
            while t < end:
                source, row = see(x, geometry, min(t, last - 1), patch)
                of_tile(source, row, geometry[CHANNELS], to, v_block)
                to += K_BLOCK
                t += 1

    def transform_products(
        products, products_row, geometry, first, last, groups, column, start, residual, adds, lo, hi, y, y_row, buffer
    ):
        """Of tiles first to last - 1, in the 16 columns from `column` on."""
        columns, out_h, out_w = geometry[COLUMNS], geometry[OUT_HEIGHT], geometry[OUT_WIDTH]
        down, wide = geometry[TILES_DOWN], geometry[TILES_WIDE]
        steps, t = (last - first + step - 1) // step, first
        for g in range(groups):
            end, source = min(last, first + steps * (g + 1) // groups * step), products + g * m_block
            while t < end:
                above = t // wide
                image = above // down
                top, left = (above - image * down) * TILE_ROWS, (t - above * wide) * TILE_COLUMNS
                at = ((image * out_h + top) * out_w + left) * y_row + column
                of_products(
                    source, start, residual + at, adds, lo, hi, y + at, y_row, out_w * y_row,
                    min(TILE_ROWS, out_h - top), min(TILE_COLUMNS, out_w - left), min(WIDTH, columns - column), buffer,
                )  # fmt: skip
                source += products_row
                t += 1

    def body(x, panels, bias, residual, y, buffer, geometry, y_row, lo, hi, part, parts):
        start, outputs = stack(F32, WIDTH), stack(F32, buffer_size)
        has_bias, has_residual = address(bias) != 0, address(residual) != 0
        channels, columns = geometry[CHANNELS], geometry[COLUMNS]
        tile_block, panel_block, keeps = geometry[TILE_BLOCK], geometry[PANEL_BLOCK], geometry[KEEPS]
        depths = (channels + K_BLOCK - 1) // K_BLOCK
        all_tiles = geometry[IMAGES] * geometry[TILES_DOWN] * geometry[TILES_WIDE]
        all_panels = (columns + WIDTH - 1) // WIDTH
        tile_blocks = (all_tiles + tile_block - 1) // tile_block
        units = tile_blocks * ((all_panels + panel_block - 1) // panel_block)
        most_groups, v_group = (tile_block + group - 1) // group, depths * v_block
        stage, common, rooms, room = geometry[STAGE], buffer + WIDTH, pointer(types.int64, address(buffer)), part
        if stage == FINISHES:
            room = claim_room(rooms)
        own = buffer + (geometry[COMMON] + room * geometry[SCRATCH])
        blocks_u = ((panel_block + widest - 1) // widest * depths if keeps else 1) * u_block
        u, v, made_u, made_v = own, own, -1, -1
        if stage != WHOLE and keeps:
            u, made_u = common, 0
        else:
            v += blocks_u
        products = v + most_groups * v_group
        if stage != WHOLE and not keeps:
            v, made_v, products = common, 0, v
        patch = products + most_groups * m_block
        if stage == PREPARES:
            if part == 0:
                free_rooms(rooms)
            if keeps:
                transform_weights(panels, geometry, part, parts, u)
            else:
                transform_inputs(x, geometry, 0, all_tiles, part, parts, most_groups, v, v_group, patch)
            return
        for unit in range(units * part // parts, units * (part + 1) // parts):
            block = unit // tile_blocks
            place = unit - block * tile_blocks
            first, panel = place * tile_block, block * panel_block
            last, last_panel = min(first + tile_block, all_tiles), min(panel + panel_block, all_panels)
            groups, steps = (last - first + group - 1) // group, (last - first + step - 1) // step
            if place != made_v:
                transform_inputs(x, geometry, first, last, 0, 1, groups, v, v_group, patch)
            makes_u, made_u, made_v, kept = not keeps or block != made_u, block, place, u
            while panel < last_panel:
                width = min(widest, last_panel - panel)
                products_row = width * WIDTH
                for depth in range(depths):
                    k = min(K_BLOCK, channels - depth * K_BLOCK)
                    if makes_u:
                        weights_of(panels, panel, width, depth, channels, kept)
                    for g in range(groups):
                        rows = (steps * (g + 1) // groups - steps * g // groups) * step
                        run(
                            rows, width, v + (g * v_group + depth * v_block), kept, k, depth > 0, products + g * m_block
                        )
                    if keeps:
                        kept += u_block
                for p in range(width):
                    column = (panel + p) * WIDTH
                    for q in range(WIDTH):
                        start[q] = bias[column + q] if has_bias and column + q < columns else F32(0)
                    transform_products(
                        products + p * WIDTH, products_row, geometry, first, last, groups, column, start, residual,
                        has_residual, lo, hi, y, y_row, outputs,
                    )  # fmt: skip
                panel += width
        if stage == FINISHES:
            leave_room(rooms, room)

    return body
