"""Epilogues of 8-bit products: int32 sums, in the nearest cache, become what an operator gives."""

from __future__ import annotations

from numba import types

from edge_rt.kernels.saturation import (
    AS_BYTES,
    AS_FREE,
    AS_RAMP,
    SMALL,
    WIDTH,
    adds_quickly,
    free_shorts,
    in_fours,
    low_bytes,
    nearest,
    packer,
    rectified,
    rectified_shorts,
    rows_of_sixteen,
    shaped,
    shorts_of,
    to_whole,
    whole_shorts,
)
from edge_rt.kernels.simd import (
    Vec,
    all_true,
    clamp,
    convert,
    fma,
    load,
    load_first,
    maximum,
    pointer,
    select,
    splat,
    store,
    store_first,
)
from edge_rt.lowering.gemm_int8 import AWAY, FLOAT32, INT32

F32, I32 = types.float32, types.int32
LARGEST_PRODUCT = F32(1 << 14)
"""Of two int8."""


def are_small(target):
    """small(start, factor, count, k): whether sums of k products of bytes that begin at start, int32[count], times factor,
    float32[count], are all so small that they are rounded without a look at what they saturate to: within int32 on x86,
    int16 on Arm where it `adds_quickly`, and any elsewhere, where rounding saturates. count: a multiple of WIDTH."""
    NUMBERS = Vec(F32, target.lanes, (WIDTH // target.lanes,))
    WHOLE = NUMBERS.to(dtype=I32)

    def within_whole(start, factor, count, k):
        for q in range(0, count, WIDTH):
            f = load(NUMBERS, factor + q)
            if not all_true(f * f < 1):
                return False
        return True

    def within_shorts(start, factor, count, k):
        most = F32(k) * LARGEST_PRODUCT
        for q in range(0, count, WIDTH):
            first, f = convert(NUMBERS, load(WHOLE, start + q)), load(NUMBERS, factor + q)
            if not all_true((maximum(first, F32(0) - first) + most) * maximum(f, F32(0) - f) < SMALL):
                return False
        return True

    if target.arch != "aarch64":
        return within_whole
    return within_shorts if adds_quickly(target) else lambda start, factor, count, k: True


def rounder(target):
    """rounded(x, kind, zero, lo, hi, flip): the nearest integers to float32 x, plus zero, as bytes within [lo, hi], as
    `packer` packs them. AS_FREE and AS_RAMP: x is small, as of `are_small`."""
    whole, packed = to_whole(target), packer(target)
    # Tiles of AVX-512, of which there are many, would be too much code.
    has_free = target.lanes == 8

    def on_x86(x, kind, zero, lo, hi, flip):
        if kind == AS_RAMP:
            return rectified(nearest(x), flip ^ 128)
        if has_free and kind == AS_FREE:
            return free_shorts(shorts_of(nearest(x)), zero + 128, flip ^ 128)
        return packed(whole(x), AS_BYTES, zero, lo, hi, flip)

    def on_arm(x, kind, zero, lo, hi, flip):
        return packed(whole(x), kind, zero, lo, hi, flip)

    def on_quick_arm(x, kind, zero, lo, hi, flip):
        if kind == AS_RAMP:
            return rectified_shorts(whole_shorts(x), flip ^ 128)
        if kind == AS_FREE:
            return free_shorts(whole_shorts(x), zero + 128, flip ^ 128)
        return packed(whole(x), AS_BYTES, zero, lo, hi, flip)

    if target.arch != "aarch64":
        return on_x86
    return on_quick_arm if adds_quickly(target) else on_arm


def ender(target, rows, panels):
    """end(acc, kind, out, factor, zero, lo, hi, flip, y, y_row): the end of a tile of sums in registers.

    acc: int32 [rows, panels, 16 / lanes]. AS_SUMS: to out, int32[rows, panels * 16]. Else round(acc * factor) + zero
    within [lo, hi], with bits xored with flip, to y; halves become even; see `rounder`. factor: float32[panels * 16].
    """
    FACTOR = Vec(F32, target.lanes, (1, panels, WIDTH // target.lanes))
    NUMBERS, count = FACTOR.to(shape=(rows, *FACTOR.shape[1:])), rows * panels
    rounded = rounder(target)

    def end(acc, kind, out, factor, zero, lo, hi, flip, y, y_row):
        if kind:
            x = in_fours(convert(NUMBERS, acc) * load(FACTOR, factor, 0, WIDTH))
            made = rows_of_sixteen(rounded(x, kind, zero, lo, hi, flip), count)
            store(y, shaped(made, rows, panels), y_row, WIDTH)
        else:
            store(out, acc)

    return end


def finisher(target):
    """finish(mode, sums, row, height, columns, factor, addend, low, high, zero, residual, has_residual, y, y_row).

    sums: int32[height, row], of which `columns` (at most row) are of use; factor, addend: float32[row].
    mode INT32: y = sums. FLOAT32: y = clamp(sums * factor + addend + residual, low, high). EVEN, AWAY: y = round(clamp(sums
    * factor, low, high)) + zero as bytes. Rows of y and residual (in y's numbers) are y_row apart.
    """
    shape = (WIDTH // target.lanes,)
    NUMBERS, WHOLE = Vec(F32, target.lanes, shape), Vec(I32, target.lanes, shape)

    def away(x):
        whole = convert(WHOLE, x)
        rest = x - convert(NUMBERS, whole)
        one, none = splat(WHOLE, 1), splat(WHOLE, 0)
        return whole + select(rest >= 0.5, one, none) - select(rest <= -0.5, one, none)

    def bytes_of(rounding):
        def run(sums, row, height, columns, factor, low, high, zero, y, y_row):
            for q in range(0, columns, WIDTH):
                f = load(NUMBERS, factor + q)
                source, to = sums + q, y + q
                if q + WIDTH <= columns:
                    for _ in range(height):
                        x = clamp(convert(NUMBERS, load(WHOLE, source)) * f, low, high)
                        store(to, low_bytes(rounding(x) + zero))
                        source += row
                        to += y_row
                else:
                    for _ in range(height):
                        x = clamp(convert(NUMBERS, load(WHOLE, source)) * f, low, high)
                        store_first(to, low_bytes(rounding(x) + zero), columns - q)
                        source += row
                        to += y_row

        return run

    def floats(sums, row, height, columns, factor, addend, low, high, residual, has_residual, y, y_row):
        for q in range(0, columns, WIDTH):
            f, more = load(NUMBERS, factor + q), load(NUMBERS, addend + q)
            for r in range(height):
                x = fma(convert(NUMBERS, load(WHOLE, sums + (r * row + q))), f, more)
                at = r * y_row + q
                if q + WIDTH <= columns:
                    if has_residual:
                        x = x + load(NUMBERS, residual + at)
                    store(y + at, clamp(x, low, high))
                else:
                    if has_residual:
                        x = x + load_first(NUMBERS, residual + at, columns - q)
                    store_first(y + at, clamp(x, low, high), columns - q)

    def integers(sums, row, height, columns, y, y_row):
        for q in range(0, columns, WIDTH):
            for r in range(height):
                x, to = load(WHOLE, sums + (r * row + q)), y + (r * y_row + q)
                if q + WIDTH <= columns:
                    store(to, x)
                else:
                    store_first(to, x, columns - q)

    even_bytes, away_bytes = bytes_of(nearest), bytes_of(away)

    def finish(mode, sums, row, height, columns, factor, addend, low, high, zero, residual, has_residual, y, at, y_row):
        if mode == INT32:
            integers(sums, row, height, columns, pointer(I32, y) + at, y_row)
        elif mode == FLOAT32:
            floats(
                sums, row, height, columns, factor, addend, low, high, residual + at, has_residual,
                pointer(F32, y) + at, y_row,
            )  # fmt: skip
        elif mode == AWAY:
            away_bytes(sums, row, height, columns, factor, low, high, zero, y + at, y_row)
        else:
            even_bytes(sums, row, height, columns, factor, low, high, zero, y + at, y_row)

    return finish
