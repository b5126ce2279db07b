"""Panels of f16, int8 and int4 (see ops/_panels.py), turned into f32 while they are used.

Either a few panels at once are decoded to where tiles of f32 read them, or, for few rows, tiles decode what they load.
Both give the very numbers float32((q - zero) * scale), so results do not depend on which of them runs.
"""

from __future__ import annotations

from numba import types

from edge_rt.kernels._registry import apart
from edge_rt.kernels.memory import F32
from edge_rt.kernels.simd import (
    Vec,
    bitcast,
    clamp,
    convert,
    dot,
    fma,
    is_null,
    load,
    load_half,
    pointer,
    splat,
    spread,
    store,
)  # fmt: skip
from edge_rt.kernels.tiles import WIDTH, TileSet
from edge_rt.kernels.tiles_int8 import byte_of
from edge_rt.lowering.gemm import HALF, INT4, INT8

F16, I8, I32 = types.uint16, types.int8, types.int32

DIRECT_ROWS = 4
"""Up to so many rows, tiles decode what they load."""


def field_reader(target, bits, shape):
    """field(words, i, more): more + signed number i, of so many bits, in each lane of words, int32 of this shape."""
    top, lanes = 32 - bits, target.lanes
    WORDS, SELECTED, QUADS = Vec(I32, lanes), Vec(byte_of(target), 4 * lanes), Vec(I8, 4 * lanes, shape)

    def shifted(words, i, more):
        return ((words << (top - bits * i)) >> top) + more

    def multiplied(words, i, more):
        return dot(bitcast(SELECTED, splat(WORDS, 1 << (8 * i))), bitcast(QUADS, words), more)

    has_dot = lanes == 16 or "+dotprod" in target.llvm_features
    return multiplied if bits == 8 and has_dot else shifted


def decoder(target):
    """decode(source, first, last, k_first, k_last, out), where source is (format, b, scale, zero, block, blocks, k).

    b: panels in the format, [panels, ...] with k numbers a column. Writes numbers k_first to k_last of panels first to
    last to out, f32[panel, k_last - k_first, 16]. k_first must be a multiple of 16. zero may be null.
    """
    ROW = Vec(F32, target.lanes, (WIDTH // target.lanes,))
    WORDS, BYTES = ROW.to(dtype=I32), ROW.to(dtype=I8)
    byte, nibble = field_reader(target, 8, ROW.shape), field_reader(target, 4, ROW.shape)

    def factors(scale, zero, at):
        nothing = splat(WORDS, 0)
        return load(ROW, scale + at), nothing if is_null(zero) else nothing - convert(WORDS, load(BYTES, zero + at))

    def decode_half(b, k, first, last, k_first, k_last, out):
        for panel in range(first, last):
            source = pointer(F16, b) + (panel * k + k_first) * WIDTH
            for _ in range(k_first, k_last):
                store(out, load_half(ROW, source))
                source += WIDTH
                out += WIDTH

    def decode_int8(b, scale, zero, block, blocks, k, first, last, k_first, k_last, out):
        for panel in range(first, last):
            words = pointer(I32, b) + (panel * ((k + 3) // 4) + k_first // 4) * WIDTH
            at = k_first
            while at < k_last:
                index = at // block
                stop = min(k_last, (index + 1) * block)
                factor, offset = factors(scale, zero, (panel * blocks + index) * WIDTH)
                for _ in range((stop - at) >> 2):
                    w = load(WORDS, words)
                    store(out, convert(ROW, byte(w, 0, offset)) * factor)
                    store(out + WIDTH, convert(ROW, byte(w, 1, offset)) * factor)
                    store(out + 2 * WIDTH, convert(ROW, byte(w, 2, offset)) * factor)
                    store(out + 3 * WIDTH, convert(ROW, byte(w, 3, offset)) * factor)
                    words += WIDTH
                    out += 4 * WIDTH
                for i in range((stop - at) & 3):
                    store(out, convert(ROW, byte(load(WORDS, words), i, offset)) * factor)
                    out += WIDTH
                at = stop

    def decode_int4(b, scale, zero, block, blocks, k, first, last, k_first, k_last, out):
        for panel in range(first, last):
            words = pointer(I32, b) + (panel * ((k + 7) // 8) + k_first // 8) * WIDTH
            at = k_first
            while at < k_last:
                index = at // block
                stop = min(k_last, (index + 1) * block)
                factor, offset = factors(scale, zero, (panel * blocks + index) * WIDTH)
                for _ in range((stop - at) >> 3):
                    w = load(WORDS, words)
                    for q in range(8):
                        store(out + q * WIDTH, convert(ROW, nibble(w, q, offset)) * factor)
                    words += WIDTH
                    out += 8 * WIDTH
                for i in range((stop - at) & 7):
                    store(out, convert(ROW, nibble(load(WORDS, words), i, offset)) * factor)
                    out += WIDTH
                at = stop

    @apart
    def decode(source, first, last, k_first, k_last, out):
        format, b, scale, zero, block, blocks, k = source
        if format == HALF:
            decode_half(b, k, first, last, k_first, k_last, out)
        elif format == INT8:
            decode_int8(b, scale, zero, block, blocks, k, first, last, k_first, k_last, out)
        elif format == INT4:
            decode_int4(b, scale, zero, block, blocks, k, first, last, k_first, k_last, out)

    return decode


def half_tile(rows, panels, lanes):
    """A tile over panels of f16, as those of tiles.py; source: see `direct_tiles`."""
    shape = (rows, panels, WIDTH // lanes)
    TILE, ROW, COLUMN = Vec(F32, lanes, shape), Vec(F32, lanes, (1, *shape[1:])), Vec(F32, lanes, (rows, 1, 1))

    def tile(start, a, a_row, source, k_first, k_last, addend, adds, lo, hi, y, y_row):
        b, _, _, _, _, k, first = source
        acc = load(TILE, start, 0, WIDTH)
        at, b_panel = pointer(F16, b) + (first * k + k_first) * WIDTH, k * WIDTH
        for _ in range(k_first, k_last):
            acc = fma(spread(COLUMN, a, a_row), load_half(ROW, at, 0, b_panel), acc)
            a += 1
            at += WIDTH
        if adds:
            acc = acc + load(TILE, addend, y_row, WIDTH)
        store(y, clamp(acc, lo, hi), y_row, WIDTH)

    return tile


def word_tile(target, bits):
    """Makes tiles over panels whose lanes of 32 bits hold integers of so many."""
    depth = 32 // bits

    def make(rows, panels, lanes):
        shape = (rows, panels, WIDTH // lanes)
        TILE, ROW, COLUMN = Vec(F32, lanes, shape), Vec(F32, lanes, (1, *shape[1:])), Vec(F32, lanes, (rows, 1, 1))
        WORDS, BYTES = ROW.to(dtype=I32), ROW.to(dtype=I8)
        field = field_reader(target, bits, ROW.shape)

        def tile(start, a, a_row, source, k_first, k_last, addend, adds, lo, hi, y, y_row):
            b, scale, zero, block, blocks, k, first = source
            acc = load(TILE, start, 0, WIDTH)
            groups = (k + depth - 1) // depth
            words, b_panel = pointer(I32, b) + (first * groups + k_first // depth) * WIDTH, groups * WIDTH
            row = blocks * WIDTH
            at = k_first
            while at < k_last:
                index = at // block
                stop = min(k_last, (index + 1) * block)
                factors_at = first * row + index * WIDTH
                factor, offset = load(ROW, scale + factors_at, 0, row), splat(WORDS, 0)
                if not is_null(zero):
                    offset = offset - convert(WORDS, load(BYTES, zero + factors_at, 0, row))
                for _ in range((stop - at) // depth):
                    w = load(WORDS, words, 0, b_panel)
                    for q in range(depth):
                        b_row = convert(ROW, field(w, q, offset)) * factor
                        acc = fma(spread(COLUMN, a + q, a_row), b_row, acc)
                    a += depth
                    words += WIDTH
                for q in range((stop - at) & (depth - 1)):
                    b_row = convert(ROW, field(load(WORDS, words, 0, b_panel), q, offset)) * factor
                    acc = fma(spread(COLUMN, a, a_row), b_row, acc)
                    a += 1
                at = stop
            if adds:
                acc = acc + load(TILE, addend, y_row, WIDTH)
            store(y, clamp(acc, lo, hi), y_row, WIDTH)

        return tile

    return make


def direct_tiles(target):
    """(panels_for, run): tiles that decode what they load, for up to DIRECT_ROWS rows.

    run(format, rows, panels, start, a, a_row, source, k_first, k_last, addend, adds, lo, hi, y, y_row): as TileSet.run,
    but for source, (b, scale, zero, block, blocks, k, first) as `decoder` takes them.
    """
    # Scales and zero points take registers as well: one panel at a time, but where they are wide.
    wide = 4 if target.lanes == 16 else 1

    def panels_for(rows, left):
        return wide if left >= wide else 1

    makers = half_tile, word_tile(target, 8), word_tile(target, 4)
    half, int8, int4 = (TileSet(make, target.lanes, {1: DIRECT_ROWS, wide: DIRECT_ROWS}, panels_for) for make in makers)
    run_half, run_int8, run_int4 = half.run, int8.run, int4.run

    def run(format, rows, panels, start, a, a_row, source, k_first, k_last, addend, adds, lo, hi, y, y_row):
        if format == HALF:
            run_half(rows, panels, start, a, a_row, source, k_first, k_last, addend, adds, lo, hi, y, y_row)
        elif format == INT8:
            run_int8(rows, panels, start, a, a_row, source, k_first, k_last, addend, adds, lo, hi, y, y_row)
        elif format == INT4:
            run_int4(rows, panels, start, a, a_row, source, k_first, k_last, addend, adds, lo, hi, y, y_row)

    return panels_for, run
