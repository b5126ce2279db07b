"""GEMM microkernels: tiles of y = a @ panels that live in registers, and the choice among them.

A tile has `rows` rows and `panels` panels of 16 columns: y = clamp(start + a @ b + addend), where `start` is one row,
and the addend (if `adds`) lies like y. A row of a is `segments` pieces of k numbers, at a + offsets[i]; the next row is
a_row further; path is (a_row, offsets, segments, ahead, stride, alike). With each k, a large tile asks for the memory at
`ahead`, which then moves on by `stride` numbers; 0: it asks for nothing. alike: how many tiles follow below one
another. Every number is one chain of fused multiply-adds over k in
ascending order, or in half_panels.py one of even and one of odd k, whatever tile computes it: results depend neither on the
tile's height nor on how the work is shared.
"""

from __future__ import annotations

from numba import types

from edge_rt.kernels._registry import apart
from edge_rt.kernels.endings import ending, ending_by_vectors
from edge_rt.kernels.half_panels import halves_tile
from edge_rt.kernels.neon import add_products, load_rows, row_distances, row_of_pointers
from edge_rt.kernels.registers import add_outer, hide, slide
from edge_rt.kernels.simd import Vec, clamp, fma, load, load_first, prefetch, spread, store, store_first

F32 = types.float32

WIDTH = 16
"""Columns of a panel."""
AHEAD_SIZE = 20
"""Tiles of fewer vectors wait for memory anyway."""
LINE = 16
"""Numbers of a cache line."""
LARGE = {16: 20, 8: 10}
"""Vectors, by their lanes, from which on a tile adds two k in one turn of its loop."""
THREES = (5, 6, 9)
"""Panels that begin with three at once: so no fewer are left for the last ones."""
KEY = 16
"""The key of a tile is KEY * rows + panels."""
HALVES = 10
"""In place of panels, HALVES + n stands for n half panels (half_panels.py)."""


def spread_tile(rows, panels, lanes):
    """A tile for machines whose loads repeat a number in all lanes (x86). Two k of a large one are one turn of its loop.
    panels 0: the left half of one."""
    TILE = Vec(F32, lanes, (rows, max(panels, 1), (WIDTH if panels else WIDTH // 2) // lanes))
    looks_ahead, looks_at_once = rows * panels >= AHEAD_SIZE, lanes == 8 and TILE.count >= LARGE[8]
    together, end = 2 if TILE.count >= LARGE[lanes] else 1, ending_by_vectors(TILE, WIDTH)

    def tile(start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row):
        a_row, offsets, segments, ahead, stride, alike = path
        three = hide(3 * a_row)
        for _ in range(alike):
            if looks_at_once and stride:  # 16 registers: in the loop below this would take some from the tile
                share = k * segments * stride
                for place in range(0, share, LINE):
                    prefetch(ahead + place)
                ahead += share
            acc = load(TILE, start, 0, WIDTH)
            row = b
            for segment in range(segments):
                at = a + offsets[segment]
                if looks_ahead and stride:
                    for _ in range(k // together):
                        at, row, acc = add_outer(at, row, acc, a_row, three, b_panel, together)
                        prefetch(ahead)
                        prefetch(ahead + stride)
                        ahead += together * stride
                        at += together
                        row += together * WIDTH
                    ahead += k % together * stride
                else:
                    for _ in range(k // together):
                        at, row, acc = add_outer(at, row, acc, a_row, three, b_panel, together)
                        at += together
                        row += together * WIDTH
                if k % together:
                    at, row, acc = add_outer(at, row, acc, a_row, three, b_panel, 1)
                    row += WIDTH
            end(acc, addend, adds, lo, hi, y, y_row)
            a += rows * a_row
            y += rows * y_row
            addend += rows * y_row

    return tile


def _spread_tile_of_any(rows, panels, lanes):
    return halves_tile(rows, panels - HALVES, lanes) if panels > HALVES else spread_tile(rows, panels, lanes)


def lane_tile(rows, panels, lanes):
    """A tile for machines that multiply by one lane of a register (Arm): four k of a row are one load. panels 0: the left
    half of one."""
    shape = (rows, max(panels, 1), (WIDTH if panels else WIDTH // 2) // lanes)
    TILE, ROW, COLUMN = Vec(F32, lanes, shape), Vec(F32, lanes, (1, *shape[1:])), Vec(F32, lanes, (rows, 1, 1))
    count, end = shape[1], ending(TILE, WIDTH)

    def tile(start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row):
        a_row, offsets, segments, _, _, alike = path
        distances = row_distances(COLUMN, a_row)
        # Only a step that LLVM does not know can be part of a load that does not read all of a row.
        step = WIDTH if panels else hide(WIDTH)
        for _ in range(alike):
            acc = load(TILE, start, 0, WIDTH)
            row = b
            for segment in range(segments):
                at, at_b, quads = a + offsets[segment], row_of_pointers(row, b_panel, count), k >> 2
                while quads:
                    column = load_rows(COLUMN, at, distances)
                    at_b, acc = add_products(at_b, step, acc, column, 0)
                    at_b, acc = add_products(at_b, step, acc, column, 1)
                    at_b, acc = add_products(at_b, step, acc, column, 2)
                    at_b, acc = add_products(at_b, step, acc, column, 3)
                    at = hide(at + 4)
                    quads -= 1
                for i in range(k >> 2 << 2, k):
                    acc = fma(spread(COLUMN, at, a_row), load(ROW, row + i * WIDTH, 0, b_panel), acc)
                    at += 1
                row += k * WIDTH
            end(acc, addend, adds, lo, hi, y, y_row)
            a += rows * a_row
            y += rows * y_row
            addend += rows * y_row

    return tile


def finisher(lanes):
    """finish(x, x_row, rows, columns, addend, adds, lo, hi, y, y_row): y = clamp(x + addend) of so many rows and columns,
    the addend (if `adds`) lies like y."""
    VEC = Vec(F32, lanes)

    @apart
    def finish(x, x_row, rows, columns, addend, adds, lo, hi, y, y_row):
        whole = columns // lanes * lanes
        for _ in range(rows):
            for q in range(0, whole, lanes):
                value = load(VEC, x + q)
                if adds:
                    value = value + load(VEC, addend + q)
                store(y + q, clamp(value, lo, hi))
            if whole < columns:
                value = load(VEC, x + whole)
                if adds:
                    value = value + load_first(VEC, addend + whole, columns - whole)
                store_first(y + whole, clamp(value, lo, hi), columns - whole)
            x += x_row
            addend += y_row
            y += y_row

    return finish


def sliding_tile(rows, panels, lanes):
    """A tile over windows of three neighbouring pixels, for machines whose loads repeat a number in all lanes.

    Rows are neighbouring pixels, so each number of a is loaded once for the up to three rows that it belongs to; k counts
    the channels of a pixel, and path has one thing more: the distance of a channel's numbers in b from one pixel of the
    window to the next. The chain of a number goes over segments, channels and then pixels, whatever tile computes it.
    """
    shape = (rows, panels, WIDTH // lanes)
    TILE = Vec(F32, lanes, shape)
    looks_ahead = rows * panels >= AHEAD_SIZE
    hides = panels < 3

    def tile(start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row):
        acc = load(TILE, start, 0, WIDTH)
        a_row, offsets, segments, ahead, stride, tap = path
        three = hide(3 * a_row)
        for segment in range(segments):
            at, row = a + offsets[segment], b
            if looks_ahead and stride:
                for _ in range(k):
                    if hides:
                        at = hide(at)
                    acc = slide(acc, at, a_row, three, row, tap, b_panel)
                    prefetch(ahead)
                    ahead += stride
                    at += 1
                    row += WIDTH
            else:
                for _ in range(k):
                    if hides:
                        at = hide(at)
                    acc = slide(acc, at, a_row, three, row, tap, b_panel)
                    at += 1
                    row += WIDTH
            b += 3 * tap
        if adds:
            acc = acc + load(TILE, addend, y_row, WIDTH)
        store(y, clamp(acc, lo, hi), y_row, WIDTH)

    return tile


class TileSet:
    """The tiles of a target.

    `panels_for(rows, left, overlaps, deep)` is how many panels to take at once for so many rows where `left` are left
    (overlaps: the rows are windows of an image, and share numbers; deep: of a wide product, k is more than wide_k),
    `rows_for(panels)` how many rows a tile of them may have, and `run(rows, panels, *arguments)` runs that tile: all for
    use in kernels. has_halves: whether panels may be 0, the left half of a panel; by_twos: whether they may be HALVES + 3 or
    + 5. most: numbers in the largest tile.
    wide_k: how many k of a wide product are summed before moving on, so that a tile's share of b stays near; 0: no fewer
    than else. whole_k: up to so many are not parted.
    """

    __slots__ = ("by_twos", "has_halves", "most", "panels_for", "rows_for", "run", "whole_k", "wide_k")

    def __init__(self, make, lanes, tallest, panels_for, wide_k=0, whole_k=0):
        """make: a function that makes tiles, as spread_tile; tallest: for each number of panels, the most rows of a tile so
        wide."""
        shapes = sorted(((r + 1, p) for p, most in tallest.items() for r in range(most)), reverse=True)
        self.most = max(r * p for r, p in shapes if p <= HALVES) * WIDTH
        self.has_halves, self.by_twos = 0 in tallest, max(tallest) > HALVES
        self.run = _run_of([(r * KEY + p, apart(make(r, p, lanes))) for r, p in shapes])
        self.rows_for = _chain_rows(sorted(tallest.items()))
        self.panels_for, self.wide_k, self.whole_k = panels_for, wide_k, whole_k


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


def _chain_rows(widths):
    """rows_for(panels) from ascending (panels, the most rows of a tile so wide)."""
    panels_here, most = widths[-1]
    if len(widths) == 1:
        return lambda panels: most
    others = _chain_rows(widths[:-1])

    def rows_for(panels):
        return most if panels == panels_here else others(panels)

    return rows_for


def _panels_of_32_registers(rows, left, overlaps, deep):
    """Wide tiles load least; where rows overlap, tall ones, whose rows stay in the nearest cache; of deep products three
    panels, of which a block of k stays there."""
    if rows <= 2 and left >= 8:
        return 8
    if overlaps:
        return 3 if left >= 3 and (rows <= 8 or left & 1) else min(left, 2)
    if deep:
        return 4 if left == 4 else min(left, 3)
    return 4 if left >= 4 and left not in THREES else min(left, 3)


def _panels_of_few_registers(rows, left, overlaps, deep):
    """Tall tiles, of one panel; but few rows are not worth one."""
    if rows == 1 and left >= 4:
        return 4
    return 2 if rows <= 2 and left >= 2 else 1


def _sliding_panels(rows, left, overlaps):
    return 3 if left >= 3 and left != 4 and (rows <= 14 or left & 1) else min(left, 2)


def tiles_for(target):
    """The TileSet that fits the target's registers: 32 of 16 lanes, 16 of 8, or 32 of 4."""
    if target.arch == "aarch64":
        return TileSet(lane_tile, 4, {0: 9, 1: 5, 2: 2, 4: 1}, _panels_of_few_registers)
    if target.lanes == 16:
        tallest = {1: 14, 2: 14, 3: 9, 4: 6, 8: 2, HALVES + 3: 9, HALVES + 5: 5}
        return TileSet(_spread_tile_of_any, 16, tallest, _panels_of_32_registers, 128, 160)
    return TileSet(spread_tile, 8, {0: 12, 1: 6, 2: 2, 4: 1}, _panels_of_few_registers)


def sliding_tiles_for(target):
    """The TileSet for windows that slide, or None: elsewhere loads of a are few, or registers."""
    return TileSet(sliding_tile, 16, {1: 14, 2: 12, 3: 7}, _sliding_panels) if target.lanes == 16 else None
