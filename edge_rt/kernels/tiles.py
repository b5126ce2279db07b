"""GEMM microkernels: tiles of y = a @ panels that live in registers, and the choice among them.

A tile has `rows` rows and `panels` panels of 16 columns: y = clamp(start + a @ b + addend), where `start` is one row,
and the addend (if `adds`) lies like y. A row of a is `segments` pieces of k numbers, at a + offsets[i]; the next row is
a_row further; path is (a_row, offsets, segments). Every number is one chain of fused multiply-adds over k in ascending
order, whatever tile computes it: results depend neither on the tile's shape nor on how the work is shared.
"""

from __future__ import annotations

from numba import types

from edge_rt.kernels.registers import hide, spread_rows
from edge_rt.kernels.simd import Vec, fma, lane, load, select, spread, store

F32 = types.float32

WIDTH = 16
"""Columns of a panel."""
KEY = 16
"""The key of a tile is KEY * rows + panels."""


def clamp(x, lo, hi):
    """x within [lo, hi]; NaN stays NaN."""
    above = select(lo > x, lo, x)
    return select(hi < above, hi, above)


def spread_tile(rows, panels, lanes):
    """A tile for machines whose loads repeat a number in all lanes (x86)."""
    shape = (rows, panels, WIDTH // lanes)
    TILE, ROW, COLUMN = Vec(F32, lanes, shape), Vec(F32, lanes, (1, *shape[1:])), Vec(F32, lanes, (rows, 1, 1))

    def tile(start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row):
        acc = load(TILE, start, 0, WIDTH)
        a_row, offsets, segments = path
        three = hide(3 * a_row)
        for segment in range(segments):
            at = a + offsets[segment]
            for _ in range(k):
                acc = fma(spread_rows(COLUMN, at, a_row, three), load(ROW, b, 0, b_panel), acc)
                at += 1
                b += WIDTH
        if adds:
            acc = acc + load(TILE, addend, y_row, WIDTH)
        store(y, clamp(acc, lo, hi), y_row, WIDTH)

    return tile


def lane_tile(rows, panels, lanes):
    """A tile for machines that multiply by one lane of a register (Arm): four k of a row are one load."""
    shape = (rows, panels, WIDTH // lanes)
    TILE, ROW, COLUMN = Vec(F32, lanes, shape), Vec(F32, lanes, (1, *shape[1:])), Vec(F32, lanes, (rows, 1, 1))

    def tile(start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row):
        acc = load(TILE, start, 0, WIDTH)
        a_row, offsets, segments = path
        for segment in range(segments):
            at = a + offsets[segment]
            for _ in range(k >> 2):
                column = load(COLUMN, at, a_row)
                acc = fma(lane(column, 0), load(ROW, b, 0, b_panel), acc)
                acc = fma(lane(column, 1), load(ROW, b + WIDTH, 0, b_panel), acc)
                acc = fma(lane(column, 2), load(ROW, b + 2 * WIDTH, 0, b_panel), acc)
                acc = fma(lane(column, 3), load(ROW, b + 3 * WIDTH, 0, b_panel), acc)
                at += 4
                b += 4 * WIDTH
            for _ in range(k & 3):
                acc = fma(spread(COLUMN, at, a_row), load(ROW, b, 0, b_panel), acc)
                at += 1
                b += WIDTH
        if adds:
            acc = acc + load(TILE, addend, y_row, WIDTH)
        store(y, clamp(acc, lo, hi), y_row, WIDTH)

    return tile


class TileSet:
    """The tiles of a target.

    rows: of the largest one. `panels_for(rows, left)` is how many panels to take at once where `left` are left;
    `run(rows, panels, *arguments)` runs that tile. Both are for use in kernels. most: numbers in the largest tile.
    """

    __slots__ = ("most", "panels_for", "rows", "run")

    def __init__(self, make, lanes, tallest):
        """make: spread_tile or lane_tile; tallest: for each number of panels, the most rows of a tile so wide."""
        shapes = sorted(((r + 1, p) for p, most in tallest.items() for r in range(most)), reverse=True)
        self.rows = tallest[1]
        self.most = max(r * p for r, p in shapes) * WIDTH
        self.run = _run_of([(r * KEY + p, make(r, p, lanes)) for r, p in shapes])
        self.panels_for = chain_width(sorted(tallest.items()))


def _run_of(tiles):
    """run(rows, panels, ...) of (key, tile) pairs."""
    chain = _chain_run(tiles)

    def run(rows, panels, start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row):
        chain(rows * KEY + panels, start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row)

    return run


def _chain_run(tiles):
    """run(key, ...): comparisons with one number, which LLVM makes a jump; few to a function, since each costs time."""
    # A tile that stands here twice is found the first time: LLVM drops the other one.
    (k0, t0), (k1, t1), (k2, t2), (k3, t3) = tiles[:4] + tiles[:1] * (4 - len(tiles))

    def nothing(key, start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row):
        pass

    others = _chain_run(tiles[4:]) if len(tiles) > 4 else nothing

    def run(key, start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row):
        if key == k0:
            t0(start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row)
        elif key == k1:
            t1(start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row)
        elif key == k2:
            t2(start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row)
        elif key == k3:
            t3(start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row)
        else:
            others(key, start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row)

    return run


def chain_width(widths):
    """panels_for(rows, left) from ascending (panels, the most rows that a tile so wide may have)."""
    panels_here, rows_here = widths[-1]
    if len(widths) == 1:
        return lambda rows, left: 1
    others = chain_width(widths[:-1])

    def panels_for(rows, left):
        if left >= panels_here and rows <= rows_here:
            return panels_here
        return others(rows, left)

    return panels_for


def tiles_for(target):
    """The TileSet that fits the target's registers: 32 of 16 lanes, 16 of 8, or 32 of 4."""
    if target.arch == "aarch64":
        return TileSet(lane_tile, 4, {1: 5, 2: 2, 4: 1})
    if target.lanes == 16:
        return TileSet(spread_tile, 16, {1: 14, 2: 14, 4: 6, 8: 2})
    return TileSet(spread_tile, 8, {1: 6, 2: 2, 4: 1})
