"""Strided copies: row by row, or for transposes tile by tile, a register's width square."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.memory import stack
from edge_rt.kernels.registers import store_woven
from edge_rt.kernels.simd import Vec, load, store, transpose
from edge_rt.lowering._layout import MAX_DIMS
from edge_rt.lowering.copy import COPY, HEADER, TILES

NUMBERS = {1: types.uint8, 2: types.uint16, 4: types.int32, 8: types.int64}
I64 = types.int64
TILE_ROWS = 16
"""Numbers along the last dim that a tile covers: a cache line of f32."""


def place(coordinates, dims, src, dst, axes, unit):
    """Offsets in x and out of the unit-th position of the first `axes` dims, whose coordinates it sets."""
    x_at, out_at = 0, 0
    for axis in range(axes - 1, -1, -1):
        above = unit // dims[axis]
        coordinates[axis] = unit - above * dims[axis]
        x_at += coordinates[axis] * src[axis]
        out_at += coordinates[axis] * dst[axis]
        unit = above
    return x_at, out_at


def step(coordinates, dims, src, dst, axes, x_at, out_at):
    """Offsets of the next position."""
    axis = axes - 1
    while axis >= 0:
        coordinates[axis] += 1
        x_at += src[axis]
        out_at += dst[axis]
        if coordinates[axis] < dims[axis]:
            break
        x_at -= dims[axis] * src[axis]
        out_at -= dims[axis] * dst[axis]
        coordinates[axis] = 0
        axis -= 1
    return x_at, out_at


def line_copier(size, lanes):
    """copy_lines(x, out, rows, n, x_row, out_row, x_step, out_step): out[r, i] = x[r, i] for r < rows, i < n."""
    number = NUMBERS[size]

    def vectors(width):
        """Of lines that lie densely and have at least `width` numbers; the last vector overlaps the one before."""
        ONE = Vec(number, width, (1,))

        def run(x, out, rows, n, x_row, out_row):
            for r in range(rows):
                source, made = x + r * x_row, out + r * out_row
                for i in range(0, n - width, width):
                    store(made + i, load(ONE, source + i))
                store(made + (n - width), load(ONE, source + (n - width)))

        return run

    def scalars(x, out, rows, n, x_row, out_row, x_step, out_step):
        for r in range(rows):
            for i in range(n):
                out[r * out_row + i * out_step] = x[r * x_row + i * x_step]

    WIDE, NARROW = lanes * 4 // size, 16 // size
    wide, narrow = vectors(WIDE), vectors(NARROW)

    def copy_lines(x, out, rows, n, x_row, out_row, x_step, out_step):
        if x_step != 1 or out_step != 1 or n < NARROW:
            scalars(x, out, rows, n, x_row, out_row, x_step, out_step)
        elif n < WIDE:
            narrow(x, out, rows, n, x_row, out_row)
        else:
            wide(x, out, rows, n, x_row, out_row)

    return copy_lines


def tile_mover(size, lanes):
    """move(x, out, rows, columns, x_row, out_row): out[a * out_row + b] = x[b * x_row + a], a < rows, b < columns."""
    WIDTH = min(lanes, 8)
    SQUARE = Vec(NUMBERS[size], WIDTH, (WIDTH,))

    def move_scalar(x, out, rows, columns, x_row, out_row):
        for b in range(columns):
            for a in range(rows):
                out[a * out_row + b] = x[b * x_row + a]

    def move(x, out, rows, columns, x_row, out_row):
        whole_rows, whole_columns = rows // WIDTH * WIDTH, columns // WIDTH * WIDTH
        for b in range(0, whole_columns, WIDTH):
            for a in range(0, whole_rows, WIDTH):
                store(out + (a * out_row + b), transpose(load(SQUARE, x + (b * x_row + a), x_row)), out_row)
        if whole_rows < rows:
            move_scalar(
                x + whole_rows, out + whole_rows * out_row, rows - whole_rows, whole_columns, x_row, out_row
            )
        if whole_columns < columns:
            move_scalar(x + whole_columns * x_row, out + whole_columns, rows, columns - whole_columns, x_row, out_row)

    return move if size == 4 else move_scalar


def weaver(size, lanes):
    """weave(x, out, rows, columns, x_row): move of 2 to 4 columns whose rows lie densely in out."""
    WIDTH = 16 // size if size < 4 else min(lanes, 8) * 4 // size

    def of(columns):
        PLANES = Vec(NUMBERS[size], WIDTH, (columns,))

        def run(x, out, rows, x_row):
            whole = rows // WIDTH * WIDTH
            for a in range(0, whole, WIDTH):
                store_woven(out + a * columns, load(PLANES, x + a, x_row))
            for a in range(whole, rows):
                for b in range(columns):
                    out[a * columns + b] = x[b * x_row + a]

        return run

    two, three, four = of(2), of(3), of(4)

    def weave(x, out, rows, columns, x_row):
        if columns == 2:
            two(x, out, rows, x_row)
        elif columns == 3:
            three(x, out, rows, x_row)
        else:
            four(x, out, rows, x_row)

    return weave


def _register(size, spec):
    @kernel(spec)
    def copy(target):
        copy_lines, move, weave = (make(size, target.lanes) for make in (line_copier, tile_mover, weaver))
        LAST, ACROSS = MAX_DIMS - 1, MAX_DIMS - 2

        def copy_rows(x, out, pieces, piece, dims, src, dst, part, parts):
            coordinates = stack(I64, MAX_DIMS)
            units = pieces
            for axis in range(LAST):
                units *= dims[axis]
            first, last = units * part // parts, units * (part + 1) // parts
            if first == last or dims[LAST] == 0:
                return
            number = first % pieces
            x_at, out_at = place(coordinates, dims, src, dst, LAST, first // pieces)
            while first < last:
                start = number * piece
                run, lines = min(piece, dims[LAST] - start), 1
                if pieces == 1:
                    lines = min(last - first, dims[ACROSS] - coordinates[ACROSS])
                copy_lines(
                    x + (x_at + start * src[LAST]), out + (out_at + start * dst[LAST]), lines, run,
                    src[ACROSS], dst[ACROSS], src[LAST], dst[LAST],
                )  # fmt: skip
                first += lines
                number += 1
                if number == pieces:
                    number = 0
                    coordinates[ACROSS] += lines - 1
                    x_at += (lines - 1) * src[ACROSS]
                    out_at += (lines - 1) * dst[ACROSS]
                    x_at, out_at = step(coordinates, dims, src, dst, LAST, x_at, out_at)

        def copy_tiles(x, out, piece, dims, src, dst, part, parts):
            coordinates = stack(I64, MAX_DIMS)
            blocks = (dims[ACROSS] + piece - 1) // piece
            units = blocks
            for axis in range(ACROSS):
                units *= dims[axis]
            for unit in range(units * part // parts, units * (part + 1) // parts):
                x_at, out_at = place(coordinates, dims, src, dst, ACROSS, unit // blocks)
                a = unit % blocks * piece
                rows = min(piece, dims[ACROSS] - a)
                if dims[LAST] <= 4 and dst[ACROSS] == dims[LAST]:
                    weave(x + (x_at + a), out + (out_at + a * dims[LAST]), rows, dims[LAST], src[LAST])
                    continue
                for b in range(0, dims[LAST], TILE_ROWS):
                    columns = min(TILE_ROWS, dims[LAST] - b)
                    source, made = x + (x_at + a + b * src[LAST]), out + (out_at + a * dst[ACROSS] + b)
                    move(source, made, rows, columns, src[LAST], dst[ACROSS])

        def body(x, out, table, part, parts):
            dims = table + HEADER
            src, dst = dims + MAX_DIMS, dims + 2 * MAX_DIMS
            if table[0] == TILES:
                copy_tiles(x + table[1], out + table[2], table[4], dims, src, dst, part, parts)
            else:
                copy_rows(x + table[1], out + table[2], table[3], table[4], dims, src, dst, part, parts)

        return body


for _size, _spec in COPY.items():
    _register(_size, _spec)
