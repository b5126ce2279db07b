"""Joining the rows of a matrix, column by column: vectors run over columns."""

from __future__ import annotations

from edge_rt.kernels.memory import F32
from edge_rt.kernels.registers import hide
from edge_rt.kernels.simd import Vec, load, load_first, splat, store, store_first

LEAF = 16
"""Rows that join first. Of as many leaves as possible, equal numbers join: rounding errors grow as the logarithm."""
MOST = 64
"""Columns that are joined at once, at most."""
ROOM = 40 * MOST
"""Numbers that may wait for others: more than any tensor has levels of them."""


def plus(a, b):
    return a + b


def columns_folder(target, convert, combine, neutral, prepare, finish):
    """fold(x, size, inner, out, (count, partial)): out[j] = the numbers x[:size, j], converted and joined, for j < count.

    The order in which numbers join depends on `size` alone; that of sums is a tree. partial: ROOM numbers.
    prepare(read, tile, x, size, inner, n) gives the shift that `convert` and `finish` get.
    """
    LANES, grows = target.lanes, combine is plus
    ONE, WIDE = Vec(F32, LANES, (1,)), Vec(F32, LANES, (4,))
    wide_columns = WIDE.count * LANES

    def joiner(TILE, read):
        def leaf(x, inner, n, shift):
            a, b = convert(read(TILE, x, n), shift), convert(read(TILE, x + inner, n), shift)
            for _ in range(hide(LEAF // 2 - 1)):  # a number that LLVM knew would be unrolled
                x += 2 * inner
                a = combine(a, convert(read(TILE, x, n), shift))
                b = combine(b, convert(read(TILE, x + inner, n), shift))
            return combine(a, b)

        def join(x, size, inner, n, partial):
            shift = prepare(read, TILE, x, size, inner, n)
            leaves = size // LEAF if grows else 0
            for i in range(leaves):
                v = leaf(x + i * LEAF * inner, inner, n, shift)
                # Bit k of i tells whether 2**k leaves wait as partial[k]; joining carries as counting does.
                k = 0
                while (i >> k) & 1:
                    v = combine(load(TILE, partial + k * MOST), v)
                    k += 1
                store(partial + k * MOST, v)
            v = splat(TILE, neutral)
            for i in range(leaves * LEAF, size):
                v = combine(v, convert(read(TILE, x + i * inner, n), shift))
            k = 0
            while leaves >> k:
                if (leaves >> k) & 1:
                    v = combine(load(TILE, partial + k * MOST), v)
                k += 1
            return finish(v, shift)

        return join

    wide = joiner(WIDE, lambda tile, x, n: load(tile, x))
    one, few = joiner(ONE, lambda tile, x, n: load(tile, x)), joiner(ONE, load_first)

    def fold(x, size, inner, out, rest):
        count, partial = rest
        if count < LANES:
            store_first(out, few(x, size, inner, count, partial), count)
        else:
            j = 0
            while j + wide_columns <= count:
                store(out + j, wide(x + j, size, inner, wide_columns, partial))
                j += wide_columns
            while j < count:
                # The last vector reaches back over columns that are done, and joins them again.
                at = min(j, count - LANES)
                store(out + at, one(x + at, size, inner, LANES, partial))
                j += LANES

    return fold
