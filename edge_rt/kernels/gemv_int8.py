"""8-bit products of one row with panels: bound by loading them, so nothing else may take long."""

from __future__ import annotations

from numba import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.gemm_int8 import column_copier, column_terms, zero_of
from edge_rt.kernels.memory import stack
from edge_rt.kernels.saturation import AS_BYTES
from edge_rt.kernels.simd import Vec, bitcast, dot, load, pointer, splat, spread
from edge_rt.kernels.tile_sets_int8 import repeated
from edge_rt.kernels.tiles_int8 import DEPTH, WIDTH, sdot_sums, smull_sums, widened_sums
from edge_rt.lowering.gemv_int8 import GEMV_INT8

F32, I8, I32, I64, U8 = types.float32, types.int8, types.int32, types.int64, types.uint8
STEP = DEPTH * WIDTH


def vnni_row_sums(rows, panels):
    """As vnni_sums, for one row: each column is four sums, since a few would wait for each other."""
    TILE, ROW = Vec(I32, 16, (rows, panels, 1)), Vec(I8, 64, (1, panels, 1))
    QUAD, BYTES = Vec(I32, 16, (1, 1, 1)), Vec(U8, 64, (1, 1, 1))

    def add(acc, p, b, b_panel):
        return dot(bitcast(BYTES, spread(QUAD, pointer(I32, p))), load(ROW, b, 0, b_panel), acc)

    def sums(start, start_row, a, a_row, offsets, runs, depth, b, b_panel):
        acc, second, third, fourth = load(TILE, start, 0, WIDTH), splat(TILE, 0), splat(TILE, 0), splat(TILE, 0)
        for _ in range(depth >> 2):
            acc = add(acc, a, b, b_panel)
            second = add(second, a + DEPTH, b + STEP, b_panel)
            third = add(third, a + 2 * DEPTH, b + 2 * STEP, b_panel)
            fourth = add(fourth, a + 3 * DEPTH, b + 3 * STEP, b_panel)
            a += 4 * DEPTH
            b += 4 * STEP
        for _ in range(depth & 3):
            acc = add(acc, a, b, b_panel)
            a += DEPTH
            b += STEP
        return acc + second + (third + fourth)

    return sums


def row_tiles(target):
    """(panels, a tile of so many, a tile of one); a tile is given offsets of one run, 0."""
    make, panels = widened_sums, 2
    if target.arch == "aarch64":
        make, panels = (sdot_sums, 4) if "+dotprod" in target.llvm_features else (smull_sums, 2)
    elif target.lanes == 16:
        make, panels = vnni_row_sums, 4
    return panels, repeated(target, 1, panels, make), repeated(target, 1, 1, make)


@kernel(GEMV_INT8)
def gemv_int8(target):
    many, many_tile, one_tile = row_tiles(target)
    widest = many * WIDTH
    columns_of, copy_columns, zero_of_a = column_terms(target), column_copier(), zero_of(target)

    def body(
        a, b, sums, a_zero, scale, bias, y, n, depth, scale_step, flip, lo, hi, y_zero, y_flip, part, parts
    ):  # fmt: skip
        start, factor, nowhere, narrow = stack(I32, widest), stack(F32, widest), stack(I64, 1), stack(U8, WIDTH)
        nowhere[0] = 0
        zero, middle, b_panel = zero_of_a(a_zero, flip), y_zero - y_flip, depth * STEP
        no_floats, no_zeros = pointer(F32, I64(0)), pointer(I32, I64(0))
        lowest, highest = I64(lo) + middle, I64(hi) + middle
        panels = (n + WIDTH - 1) // WIDTH
        j, last = 0, panels
        if parts > 1:
            j, last = panels * part // parts, panels * (part + 1) // parts
        b += j * b_panel
        while j < last:
            at = j * WIDTH
            columns, tile_panels, to = min(WIDTH, n - at), 1, y + at
            if last - j >= many and n - at >= widest:
                columns, tile_panels = widest, many
            elif columns < WIDTH:
                to = narrow
            columns_of(
                start, factor, no_floats, no_zeros, columns, tile_panels * WIDTH, zero, 0, sums + at, at, bias, scale,
                scale_step, no_floats, no_zeros, 0, False,
            )  # fmt: skip
            ending = (AS_BYTES, start, factor, middle, lowest, highest, y_flip, to, 0)
            if tile_panels == many:
                many_tile(1, start, 0, a, 0, nowhere, 1, depth, b, b_panel, ending)
            else:
                one_tile(1, start, 0, a, 0, nowhere, 1, depth, b, b_panel, ending)
                if columns < WIDTH:
                    copy_columns(y + at, 0, narrow, 0, 1, columns)
            b += tile_panels * b_panel
            j += tile_panels

    return body
