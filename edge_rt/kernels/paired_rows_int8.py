"""Rows before pmaddubsw multiplies them: their largest numbers at each k, and rows less their smallest ones.

Where zero is in the middle of what bytes can be, as in front of the expansion of an inverted residual, rows' numbers keep
far from 0. Less the smallest of their k they are about half as large, so that far fewer sums could saturate. What is taken
away is the same for all rows: one number for each column, which sums begin with.
"""

from __future__ import annotations

from numba import types

from edge_rt.kernels.simd import Vec, load, maximum, minimum, splat, store
from edge_rt.kernels.tiles_int8 import DEPTH, widened_sums

I64, U8 = types.int64, types.uint8
UNSEEN, SEEN, LOWERED = range(3)
"""What becomes of a block of rows: nothing; a look, so that panels are looked at, too; or it is lowered, too."""
MOST_DEPTH = 8192
"""Numbers of a row whose maxima are kept."""
MOST_LOWERED, LOWERED_BYTES = 1024, 16 << 10
"""Numbers of a row, and bytes of all rows, that may be lowered, on the stack: threads may have 128 KiB of it."""
LEAST_ROWS, LEAST_MEAN = 16, 32
"""So many rows are lowered where so much can be taken away on average."""


def _pieces(of_width):
    """over(size, source, ...): of_width(bytes)(q, size, source + q, ...) for pieces of a row of `size` bytes, a multiple of
    DEPTH, each at its q. Pieces may overlap."""
    of_32, of_16, of_4 = of_width(32), of_width(16), of_width(DEPTH)

    def over(size, source, rows, less, to):
        q = 0
        while q < size:
            if size >= 32:
                q = min(q, size - 32)
                of_32(q, size, source + q, rows, less, to)
                q += 32
            elif size >= 16:
                q = min(q, size - 16)
                of_16(q, size, source + q, rows, less, to)
                q += 16
            else:
                of_4(q, size, source + q, rows, less, to)
                q += DEPTH

    return over


def extremes_of(pick, begin):
    """extremes(size, source, rows, _, to): uint8[size] at `to`, what `pick` leaves of `begin` and of all rows' bytes at each
    place. rows: first and last line, lines_in_image, image_step, line_step, pixels and pixel_step, as in GEMM_INT8, where
    `source` is where the first of the pixels lies in line 0."""

    def of_width(width):
        LINE = Vec(U8, width)

        def extreme(q, size, source, rows, less, to):
            first_line, last_line, lines_in_image, image_step, line_step, pixels, pixel_step = rows
            found = splat(LINE, begin)
            for line in range(first_line, last_line):
                image = line // lines_in_image
                at = source + (image * image_step + (line - image * lines_in_image) * line_step)
                for _ in range(pixels):
                    found = pick(found, load(LINE, at))
                    at += pixel_step
            store(to + q, found)

        return extreme

    return _pieces(of_width)


def lowered_rows():
    """lowered(size, source, rows, less, to): uint8[rows, size] at `to`, rows less uint8[size] at `less`; see extremes_of."""

    def of_width(width):
        LINE = Vec(U8, width)

        def lowered(q, size, source, rows, less, to):
            first_line, last_line, lines_in_image, image_step, line_step, pixels, pixel_step = rows
            taken = load(LINE, less + q)
            to += q
            for line in range(first_line, last_line):
                image = line // lines_in_image
                at = source + (image * image_step + (line - image * lines_in_image) * line_step)
                for _ in range(pixels):
                    store(to, load(LINE, at) - taken)
                    at += pixel_step
                    to += size

        return lowered

    return _pieces(of_width)


def row_looker():
    """look(a, rows, count, offsets, runs, depth, largest, least, lowered): UNSEEN for rows of too many numbers; else SEEN,
    and uint8[runs, 4 * depth] at `largest` are the largest of `count` rows' bytes; or LOWERED, if so many less `least`, at
    `lowered`, are worth it: then `largest` are those of what is left."""
    maxima, minima, lower = extremes_of(maximum, 0), extremes_of(minimum, 255), lowered_rows()

    def look(a, rows, count, offsets, runs, depth, largest, least, lowered):
        run_size, size, has_gaps = depth * DEPTH, runs * depth * DEPTH, False
        if size > MOST_DEPTH:
            return UNSEEN
        for run in range(runs):
            maxima(run_size, a + offsets[run], rows, largest, largest + run * run_size)
            has_gaps = has_gaps or offsets[run] != run * run_size
        if has_gaps or count < LEAST_ROWS or size > MOST_LOWERED or count * size > LOWERED_BYTES:
            return SEEN
        minima(size, a, rows, largest, least)
        total = 0
        for i in range(size):
            total += I64(least[i])
        if total < LEAST_MEAN * size:
            return SEEN
        for i in range(size):
            largest[i] -= least[i]
        lower(size, a, rows, least, lowered)
        return LOWERED

    return look


def sums_of_lowered():
    """add(start, least, offsets, runs, depth, b): adds products of what was taken away to a panel's first sums."""
    sums = widened_sums(1, 1)

    def add(start, least, offsets, runs, depth, b):
        store(start, sums(start, 0, least, 0, offsets, runs, depth, b, 0))

    return add
