"""Which tile of 8-bit sums is taken, and how it ends."""

from __future__ import annotations

from numba import types

from edge_rt.kernels.paired_int8 import paired_sums
from edge_rt.kernels.requantize import ender
from edge_rt.kernels.simd import Vec, all_true, load, minimum, pointer, splat
from edge_rt.kernels.tiles import chain_width
from edge_rt.kernels.tiles_int8 import (
    DEPTH,
    WIDTH,
    narrow_smull_sums,
    sdot_sums,
    smull_sums,
    vnni_sums,
    widened_sums,
)

I8 = types.int8


def repeats(target):
    """Whether tiles may be done more than once in a call."""
    return target.arch == "aarch64" or target.lanes == 8


def repeated(target, rows, panels, make):
    """The tile of the sums that `make` makes."""
    sums, end = make(rows, panels), ender(target, rows, panels)

    def once(times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending):
        kind, out, factor, zero, lo, hi, flip, y, y_row = ending
        acc = sums(start, start_row, a, a_row, offsets, runs, depth, b, b_panel)
        end(acc, kind, out, factor, zero, lo, hi, flip, y, y_row)

    def tile(times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending):
        kind, out, factor, zero, lo, hi, flip, y, y_row = ending
        for _ in range(times):
            acc = sums(start, start_row, a, a_row, offsets, runs, depth, b, b_panel)
            end(acc, kind, out, factor, zero, lo, hi, flip, y, y_row)
            start += rows * start_row
            a += rows * a_row
            y += rows * y_row

    return tile if repeats(target) else once


KEY, NARROW = 16, 8
"""The key of a tile is KEY * rows + panels, and NARROW more for those of narrow panels."""
NARROW_ROWS = 4
"""So many rows pay for a look at their panels."""


def narrow_finder(target, lines):
    """is_narrow(b, size): whether none of `size` bytes of weights at b is -128, which are `lines` times 16 or some times
    as many."""
    SOME, LINE, step = Vec(I8, WIDTH, (lines,)), Vec(I8, WIDTH), lines * WIDTH

    def is_narrow(b, size):
        b = pointer(I8, b)
        least = load(SOME, b)
        for i in range(step, size, step):
            least = minimum(least, load(SOME, b + i))
        return all_true(least > splat(LINE, -128))

    return is_narrow


class TileSet:
    """The tiles of a target.

    rows: of the largest one. `panels_for(rows, left)` is how many panels to take at once where `left` are left;
    `run(rows, panels, is_narrow, times, *arguments)` runs that tile; is_narrow: 1 for panels that `narrow(b, size, rows)`
    gave 1 for. All three are for use in kernels. most: numbers in the largest tile; widest: columns of the widest.
    paired_rows: of the largest one for panels that `paired_int8` copied, which are run as narrow ones; else 0.
    """

    __slots__ = ("most", "narrow", "paired_rows", "panels_for", "rows", "run", "widest")

    def __init__(self, target, make, tallest, make_narrow=None, paired_rows=0):
        """make: of the functions of tiles_int8; tallest: for each number of panels, the most rows of a tile so wide.
        make_narrow: for panels without -128, if these have tiles of their own."""
        shapes = sorted(((r + 1, p) for p, most in tallest.items() for r in range(most)), reverse=True)
        self.rows = tallest[1]
        self.most = max(r * p for r, p in shapes) * WIDTH
        self.widest = max(tallest) * WIDTH
        keyed = [(r * KEY + p, repeated(target, r, p, make)) for r, p in shapes]
        self.narrow = lambda b, size, rows: 0
        if make_narrow:
            is_narrow = narrow_finder(target, DEPTH)
            keyed += [(r * KEY + p + NARROW, repeated(target, r, p, make_narrow)) for r, p in shapes]
            self.narrow = lambda b, size, rows: 1 if rows >= NARROW_ROWS and is_narrow(b, size) else 0
        self.paired_rows = paired_rows
        if paired_rows:
            self.most = max(self.most, paired_rows * WIDTH)
            heights = range(paired_rows, 0, -1)
            keyed += [(r * KEY + 1 + NARROW, repeated(target, r, 1, paired_sums)) for r in heights]
        self.run = _run_of(keyed)
        self.panels_for = chain_width(sorted(tallest.items()))


def _run_of(tiles):
    """run(rows, panels, is_narrow, ...) of (key, tile) pairs."""
    chain = _chain_run(tiles)

    def run(rows, panels, is_narrow, times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending):
        key = rows * KEY + panels + is_narrow * NARROW
        chain(key, times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending)

    return run


def _chain_run(tiles):
    """run(key, ...): comparisons with one number, which LLVM makes a jump; few to a function, since each costs time."""
    # A tile that stands here twice is found the first time: LLVM drops the other one.
    (k0, t0), (k1, t1), (k2, t2), (k3, t3) = tiles[:4] + tiles[:1] * (4 - len(tiles))

    def nothing(key, times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending):
        pass

    others = _chain_run(tiles[4:]) if len(tiles) > 4 else nothing

    def run(key, times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending):
        if key == k0:
            t0(times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending)
        elif key == k1:
            t1(times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending)
        elif key == k2:
            t2(times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending)
        elif key == k3:
            t3(times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending)
        else:
            others(key, times, start, start_row, a, a_row, offsets, runs, depth, b, b_panel, ending)

    return run


def tiles_for(target):
    """The TileSet that fits the target's registers: 32 of 16 lanes, 16 of 8, or 32 of 4."""
    if target.arch == "aarch64" and "+dotprod" in target.llvm_features:
        return TileSet(target, sdot_sums, {1: 5, 2: 2, 4: 1})
    if target.arch == "aarch64":
        return TileSet(target, smull_sums, {1: 2}, narrow_smull_sums)
    if target.lanes == 16:
        return TileSet(target, vnni_sums, {1: 14, 2: 14, 4: 4})
    return TileSet(target, widened_sums, {1: 2}, paired_rows=4)
