"""8-bit products with exact int32 sums and an epilogue: dense, or over the windows of an image that is padded already."""

from __future__ import annotations

from numba import types

from edge_rt.kernels._registry import apart, kernel
from edge_rt.kernels.activations import activator
from edge_rt.kernels.amx import may_use
from edge_rt.kernels.matrix_int8 import has_matrix_registers, matrix_product
from edge_rt.kernels.memory import address, stack
from edge_rt.kernels.paired_int8 import looker
from edge_rt.kernels.requantize import are_small, finisher
from edge_rt.kernels.saturation import AS_BYTES, AS_SUMS, kind_of
from edge_rt.kernels.simd import Vec, clamp, is_null, load, load_first, pointer, select, splat, store
from edge_rt.kernels.tile_sets_int8 import repeats, tiles_for
from edge_rt.kernels.tiles_int8 import DEPTH, WIDTH, byte_of
from edge_rt.lowering.gemm_int8 import EVEN, FLOAT32, GEMM_INT8, MOST_ROWS

F32, I8, I32, I64, U8 = types.float32, types.int8, types.int32, types.int64, types.uint8
LARGEST = 3.4028234663852886e38
"""The largest float32."""


def zero_of(target):
    """zero(pointer, flip): the zero point of a as kernels see its bytes: of the machine's sign, after flipping."""
    BYTE = byte_of(target)

    def zero(at, flip):
        raw = types.uint8(0) if address(at) == 0 else at[0]
        return I32(BYTE(types.uint8(raw ^ flip)))

    return zero


def column_terms(target):
    """columns(...): what the epilogue needs of `room` columns, of which n are there (the others count as 0).

    start = bias - zero * sums + k * zero * b_zero, the first sums; factor = scale * a_scale; addend: the float bias, for
    results that are floats; b_zeros, where there are some.
    bias, scale and b_zero begin at `at`; a step is 0 where one number is for all columns, else 1. Absent (null) operands
    count as 0, scales as 1. Where results are no floats, a factor that is NaN is 0, an infinite one the largest number:
    then 0 times a factor is 0, and nothing else changes.
    """
    shape = (WIDTH // target.lanes,)
    WHOLE, NUMBERS = Vec(I32, target.lanes, shape), Vec(F32, target.lanes, shape)

    def terms_of(load_some):
        """terms(q, some, ...): those of one panel; load_some(V, p, some) loads its first numbers."""

        def terms(
            q, some, start, factor, addend, b_zeros, zero, k, sums, at, bias, scale, scale_step, dynamic, b_zero,
            b_zero_step, is_float,
        ):  # fmt: skip
            first = splat(WHOLE, 0) - load_some(WHOLE, sums + q, some) * zero
            more, by, offset = splat(NUMBERS, 0), splat(NUMBERS, 1), splat(WHOLE, 0)
            if address(bias) != 0 and is_float:
                more = load_some(NUMBERS, pointer(F32, bias) + (at + q), some)
            elif address(bias) != 0:
                first = first + load_some(WHOLE, bias + (at + q), some)
            if address(scale) != 0:
                by = load_some(NUMBERS, scale + (at + q), some) if scale_step else splat(NUMBERS, scale[0])
            by = by * dynamic
            if not is_float:
                by = clamp(select(by == by, by, splat(NUMBERS, 0)), F32(-LARGEST), F32(LARGEST))
            store(factor + q, by)
            if address(b_zero) != 0:
                offset = load_some(WHOLE, b_zero + (at + q), some) if b_zero_step else splat(WHOLE, b_zero[0])
                first = first + offset * I32(k * zero)
                store(b_zeros + q, offset)
            store(start + q, first)
            if is_float:
                store(addend + q, more)

        return terms

    whole_terms, some_terms = terms_of(lambda V, p, some: load(V, p)), terms_of(lambda V, p, some: load_first(V, p, some))

    def columns(
        start, factor, addend, b_zeros, n, room, zero, k, sums, at, bias, scale, scale_step, a_scale, b_zero, b_zero_step,
        is_float,
    ):  # fmt: skip
        dynamic = F32(1) if address(a_scale) == 0 else a_scale[0]
        for q in range(0, room, WIDTH):
            if n - q >= WIDTH:
                whole_terms(
                    q, WIDTH, start, factor, addend, b_zeros, zero, k, sums, at, bias, scale, scale_step, dynamic, b_zero,
                    b_zero_step, is_float,
                )  # fmt: skip
            else:
                some_terms(
                    q, n - q, start, factor, addend, b_zeros, zero, k, sums, at, bias, scale, scale_step, dynamic, b_zero,
                    b_zero_step, is_float,
                )  # fmt: skip

    return columns


def column_copier():
    """copy(to, to_row, source, row, height, columns): bytes of `columns` columns; touches nothing else in `to`."""
    WHOLE, HALF, FOUR, TWO, ONE = (Vec(U8, lanes) for lanes in (16, 8, 4, 2, 1))

    def copy(to, to_row, source, row, height, columns):
        whole = columns // WIDTH * WIDTH
        for _ in range(height):
            for q in range(0, whole, WIDTH):
                store(to + q, load(WHOLE, source + q))
            q = whole
            if columns & 8:
                store(to + q, load(HALF, source + q))
                q += 8
            if columns & 4:
                store(to + q, load(FOUR, source + q))
                q += 4
            if columns & 2:
                store(to + q, load(TWO, source + q))
                q += 2
            if columns & 1:
                store(to + q, load(ONE, source + q))
            to += to_row
            source += row

    return copy


@kernel(GEMM_INT8)
def gemm_int8(target):
    tiles = tiles_for(target)
    run, panels_for, narrow_of, widest = tiles.run, tiles.panels_for, tiles.narrow, tiles.widest
    rooms, look, rows_of, rows_at, add_first, copy_panel, seen_from = looker(tiles.rows, tiles.paired_rows)
    maxima_room, minima_room, lowered_room, copy_room, places_room = rooms
    row_sums, blocked = MOST_ROWS * WIDTH, 2 * WIDTH
    acc_size = max(tiles.most, MOST_ROWS * blocked)
    repeats_tiles = repeats(target)
    most_bytes = MOST_ROWS * widest if repeats_tiles else tiles.most
    finish, activate, columns_of, zero_of_a = finisher(target), activator(target), column_terms(target), zero_of(target)
    copy_columns, small, has_registers = column_copier(), are_small(target), has_matrix_registers(target)
    if has_registers:  # two of each would be much code
        finish, activate, columns_of, copy_columns = map(apart, (finish, activate, columns_of, copy_columns))
    multiply = matrix_product(target, finish, activate, columns_of, copy_columns)
    WHOLE = Vec(I32, target.lanes, (WIDTH // target.lanes,))

    def correct(acc, room, height, rows, b_zeros):
        for r in range(height):
            seen = load(WHOLE, rows + r * WIDTH)
            for q in range(0, room, WIDTH):
                place = acc + (r * room + q)
                store(place, load(WHOLE, place) - seen * load(WHOLE, b_zeros + q))

    def body(
        a, b, sums, a_zero, a_scale, scale, bias, residual, b_zero, ones, y, batches, offsets, batch, lines, pixels, n, k,
        runs, runs_in_block, depth, quads, lines_in_image, image_step, line_step, pixel_step, y_row, line_block, pixel_block,
        col_block, scale_step, b_zero_step, flip, mode, lo, hi, y_zero, y_flip, activation, alpha, part, parts,
    ):  # fmt: skip
        if has_registers and quads > 0 and is_null(b_zero) and may_use():
            multiply(
                a, b, sums, zero_of_a(a_zero, flip), a_scale, scale, bias, residual, b_zero, y, batches, offsets, batch,
                lines, pixels, n, k, runs, depth, quads, lines_in_image, image_step, line_step, pixel_step, y_row,
                scale_step, mode, lo, hi, y_zero, y_flip, activation, alpha, part, parts,
            )  # fmt: skip
            return
        acc, start, none = stack(I32, acc_size), stack(I32, widest), stack(I32, widest)
        factor, addend, b_zeros, rows = stack(F32, widest), stack(F32, widest), stack(I32, widest), stack(I32, row_sums)
        narrow = stack(U8, most_bytes)
        largest, least, lowered = stack(U8, maxima_room), stack(U8, minima_room), stack(U8, lowered_room)
        panel_copy, places = stack(I8, copy_room), stack(I64, places_room)
        zero = zero_of_a(a_zero, flip)
        panels = (n + WIDTH - 1) // WIDTH
        pixel_blocks, line_blocks = (pixels + pixel_block - 1) // pixel_block, (lines + line_block - 1) // line_block
        col_blocks = (panels + col_block - 1) // col_block
        units = batch * line_blocks * pixel_blocks * col_blocks
        b_panel = runs * depth * (WIDTH * DEPTH)
        corrects, has_residual, is_float = address(b_zero) != 0, address(residual) != 0, mode == FLOAT32
        in_registers = mode == EVEN and not corrects
        # As int8: those of uint8 are 128 lower.
        y_middle = y_zero - y_flip
        lowest, highest, kind = I64(0), I64(0), AS_SUMS
        if in_registers:
            lowest, highest = I64(lo) + y_middle, I64(hi) + y_middle
            kind = kind_of(y_middle, lowest, highest)
        if corrects:
            for q in range(WIDTH):
                none[q] = I32(0)
        for unit in range(units * part // parts, units * (part + 1) // parts):
            rest = unit // col_blocks
            first_panel = (unit - rest * col_blocks) * col_block
            last_panel = min(panels, first_panel + col_block)
            block = rest // pixel_blocks
            first_pixel = (rest - block * pixel_blocks) * pixel_block
            last_pixel = min(pixels, first_pixel + pixel_block)
            index = block // line_blocks
            first_line = (block - index * line_blocks) * line_block
            last_line = min(lines, first_line + line_block)
            a_batch, b_batch, sums_batch = a + batches[5 * index], b + batches[5 * index + 1], sums + batches[5 * index + 2]
            column_at, y_at = batches[5 * index + 3], batches[5 * index + 4]
            given = first_line, last_line, lines_in_image, image_step, line_step, last_pixel - first_pixel, pixel_step
            how_seen = look(
                corrects, a_batch + first_pixel * pixel_step, given, offsets, runs, runs_in_block, depth, largest, least,
                lowered,
            )  # fmt: skip
            rows_from, image_by, line_by, pixel_by = rows_at(
                how_seen, a_batch, given, first_pixel, runs * depth * DEPTH, lowered
            )
            most_rows = rows_of(how_seen)
            # Tiles of nearly equal height share the pixels of a line.
            count = (last_pixel - first_pixel + most_rows - 1) // most_rows
            short = (last_pixel - first_pixel) // count
            longer = (last_pixel - first_pixel) - short * count
            if corrects:
                done = 0
                for line in range(first_line, last_line):
                    image = line // lines_in_image
                    source = a_batch + (image * image_step + (line - image * lines_in_image) * line_step)
                    i = first_pixel
                    for tile in range(count):
                        height = short + (1 if tile < longer else 0)
                        run(
                            height, 1, 0, 1, none, 0, source + i * pixel_step, pixel_step, offsets, runs, depth, ones, 0,
                            (AS_SUMS, rows + done * WIDTH, factor, I64(0), I64(0), I64(0), I64(0), y, I64(0)),
                        )  # fmt: skip
                        done += height
                        i += height
            j = first_panel
            while j < last_panel:
                wide = panels_for(short + (1 if longer else 0), last_panel - j)
                room = wide * WIDTH
                at = j * WIDTH
                columns = min(room, n - at)
                is_whole = columns == room
                columns_of(
                    start, factor, addend, b_zeros, columns, room, zero, k, sums_batch + at, column_at + at, bias, scale,
                    scale_step, a_scale, b_zero, b_zero_step, is_float,
                )  # fmt: skip
                rows_here = (last_pixel - first_pixel) * (last_line - first_line)
                is_narrow = narrow_of(b_batch + j * b_panel, wide * b_panel, rows_here)
                how = kind if kind <= AS_BYTES or small(start, factor, room, k) else AS_BYTES
                add_first(how_seen, start, least, offsets, runs, depth, b_batch + j * b_panel)
                # A block of k at a time, so that b stays in the nearest cache, if sums of all rows fit there too.
                together, from_run = runs_in_block, 0
                if room > blocked or (count * (last_line - first_line) == 1 and not how_seen):
                    together = runs
                while from_run < runs:
                    these = min(together, runs - from_run)
                    ends = from_run + these == runs
                    copy_panel(
                        how_seen, b_batch + (j * b_panel + from_run * depth * (WIDTH * DEPTH)), largest, offsets, from_run,
                        these, depth, panel_copy, places,
                    )  # fmt: skip
                    done = 0
                    for line in range(first_line, last_line):
                        image = line // lines_in_image
                        source = rows_from + (image * image_by + (line - image * lines_in_image) * line_by)
                        y_line = y_at + (line * pixels * y_row + at)
                        i, tile = first_pixel, 0
                        while tile < count:
                            height, times = (short + 1, longer - tile) if tile < longer else (short, count - tile)
                            as_bytes = ends and in_registers
                            if not (repeats_tiles and as_bytes):
                                times = 1
                            made = acc + (0 if together == runs else done * room)
                            begin, begin_row = start, 0
                            if from_run > 0:
                                begin, begin_row = made, room
                            to, to_row = narrow, room
                            if is_whole:
                                to, to_row = y + (y_line + i * y_row), y_row
                            b_at = b_batch + (j * b_panel + from_run * depth * (WIDTH * DEPTH))
                            how_narrow, from_b, from_places = seen_from(
                                how_seen, is_narrow, b_at, offsets + from_run, panel_copy, places
                            )
                            run(
                                height, wide, how_narrow, times, begin, begin_row, source + i * pixel_by, pixel_by,
                                from_places, these, depth, from_b, b_panel,
                                (how if ends else AS_SUMS, made, factor, y_middle, lowest, highest, y_flip, to, to_row),
                            )  # fmt: skip
                            if as_bytes:
                                if not is_whole:
                                    copy_columns(y + (y_line + i * y_row), y_row, narrow, room, times * height, columns)
                            elif ends:
                                if corrects:
                                    correct(made, room, height, rows + done * WIDTH, b_zeros)
                                finish(
                                    mode, made, room, height, columns, factor, addend, lo, hi, y_zero, residual,
                                    has_residual, y, y_line + i * y_row, y_row,
                                )  # fmt: skip
                            done += times * height
                            i += times * height
                            tile += times
                        if ends and is_float and activation:
                            activate(
                                activation, alpha, pointer(F32, y) + (y_line + first_pixel * y_row), y_row,
                                last_pixel - first_pixel, columns,
                            )  # fmt: skip
                    from_run += these
                j += wide

    return body
