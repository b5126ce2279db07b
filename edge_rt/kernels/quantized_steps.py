"""Arithmetic on 8-bit numbers in float32, rounded where the NumPy references round."""

from __future__ import annotations

import numpy as np
from numba.core import types

from edge_rt.kernels._registry import apart, kernel
from edge_rt.kernels.memory import stack
from edge_rt.kernels.registers import look_up
from edge_rt.kernels.saturation import (
    AS_BYTES,
    SMALL,
    adds_quickly,
    free_shorts,
    kind_of,
    nearest,
    packer,
    shorts_of,
    to_whole,
    whole_shorts,
)
from edge_rt.kernels.simd import Vec, clamp, convert, fma, load, load_first, round_even, splat, store, store_first
from edge_rt.kernels.strided import stretch_reader
from edge_rt.kernels.widened import products_less, spread_bytes, widened_less
from edge_rt.lowering._layout import MAX_DIMS
from edge_rt.lowering.quantized_steps import ADD_Q, BLOCK, CHANNELS, LOOKUP_U8, MEAN_Q, MUL_Q

F32, I32, I64, U8, U16 = types.float32, types.int32, types.int64, types.uint8, types.uint16
MOST = np.float32(255)
"""The largest difference of a byte and a zero point."""
SHORT_SUMS = 257
"""So many bytes add up to a uint16."""


def converters(lanes):
    """numbers(bytes, flip) -> int32 vector; bytes_of(float32 steps, y_flip, y_zero, lo, hi)."""
    BYTES, WIDE = Vec(U8, lanes), Vec(I32, lanes)

    def numbers(x, flip):
        return convert(WIDE, x) ^ flip

    def bytes_of(steps, y_flip, y_zero, lo, hi):
        whole = convert(WIDE, clamp(round_even(steps) + y_zero, lo, hi))
        return convert(BYTES, whole ^ y_flip)

    return numbers, bytes_of


def added(x, z, left, right):
    return fma(z, right[2], x * left[2])


def multiplied(x, z, left, right):
    return x * z * left[2]


def combined_steps(target, combine):
    """steps(a, b, left, right): float32 steps of as many numbers as a vector has bytes, as `packed` takes them."""
    BYTES, NUMBERS, WIDE = Vec(U8, 4 * target.lanes), Vec(F32, target.lanes, (4,)), Vec(I32, target.lanes, (4,))

    def spread_numbers(at, given):
        return spread_bytes(NUMBERS, load(BYTES, at) ^ given[0]) - (given[1] + F32(1 << 23))

    def converted_numbers(at, given):
        return convert(NUMBERS, widened_less(WIDE, load(BYTES, at) ^ given[0], given[1]))

    spreads = target.arch != "aarch64" or adds_quickly(target)
    numbers_of = spread_numbers if spreads else converted_numbers

    def steps(a, b, left, right):
        return combine(numbers_of(a, left), numbers_of(b, right), left, right)

    return steps


def multiplied_steps(target):
    """As combined_steps; Arm has products of integers that are as fast, of which half as many become floats."""
    BYTES, WIDE, NUMBERS = Vec(U8, 4 * target.lanes), Vec(I32, target.lanes, (4,)), Vec(F32, target.lanes, (4,))

    def steps(a, b, left, right):
        x, z = load(BYTES, a) ^ left[0], load(BYTES, b) ^ right[0]
        return convert(NUMBERS, products_less(WIDE, x, left[1], z, right[1])) * left[2]

    return steps if target.arch == "aarch64" else combined_steps(target, multiplied)


def blocks(target, combine, steps):
    """run(a, b, p, q, y, table, n, left, right, ends, small, part, parts): y = combine(numbers of a, of b), rounded.

    combine(x, y, left, right) is given float32 vectors less zero points. left, right: (flip, zero, scale); ends: (flip,
    zero, lo, hi) of y. small: whether steps, before zero points are added, are less than SMALL. steps: what combine gives
    for a vector of bytes, see `combined_steps`.
    """
    read, BATCH = stretch_reader(U8), 4 * target.lanes
    whole, packed = to_whole(target), packer(target)
    shorts = whole_shorts if adds_quickly(target) else lambda steps: shorts_of(nearest(steps))

    @apart
    def free_batches(a, b, y, size, left, right, zero, flip):
        for i in range(0, size, BATCH):
            store(y + i, free_shorts(shorts(steps(a + i, b + i, left, right)), zero, flip))

    def batches(a, b, y, size, left, right, ends, small):
        """y of `size` numbers, whole vectors of bytes."""
        y_flip, y_zero, lo, hi = ends
        # Bytes are packed as signed ones, which are 128 less.
        zero, low, high = I64(y_zero) - 128, I64(lo) - 128, I64(hi) - 128
        kind = kind_of(zero, low, high)
        if small and kind != AS_BYTES:
            free_batches(a, b, y, size, left, right, zero + 128, y_flip)
        else:
            for i in range(0, size, BATCH):
                made = whole(steps(a + i, b + i, left, right))
                store(y + i, packed(made, kind, zero, low, high, y_flip ^ 128))

    def stepper(lanes):
        ONE, V = Vec(U8, lanes), Vec(F32, lanes)
        numbers, bytes_of = converters(lanes)

        def step(a, b, y, left, right, ends):
            x = convert(V, numbers(load(ONE, a), left[0])) - left[1]
            z = convert(V, numbers(load(ONE, b), right[0])) - right[1]
            y_flip, y_zero, lo, hi = ends
            store(y, bytes_of(combine(x, z, left, right), y_flip, y_zero, lo, hi))

        return step

    some, one = stepper(4), stepper(1)

    def run(a, b, p, q, y, table, n, left, right, ends, small, part, parts):
        p_buffer, q_buffer = stack(U8, BLOCK), stack(U8, BLOCK)
        dims = table + 2
        count = (n + BLOCK - 1) // BLOCK
        start, end = count * part // parts * BLOCK, min(n, count * (part + 1) // parts * BLOCK)
        most = BLOCK if table[0] != 0 or table[1] != 0 else end - start
        while start < end:
            size = min(most, end - start)
            from_a, from_b, out = a + start, b + start, y + start
            if table[0] != 0:
                read(p_buffer, p, dims, dims + MAX_DIMS, start, size)
                from_a = p_buffer
            if table[1] != 0:
                read(q_buffer, q, dims, dims + 2 * MAX_DIMS, start, size)
                from_b = q_buffer
            i = size // BATCH * BATCH
            batches(from_a, from_b, out, i, left, right, ends, small)
            while i + 4 <= size:
                some(from_a + i, from_b + i, out + i, left, right, ends)
                i += 4
            while i < size:
                one(from_a + i, from_b + i, out + i, left, right, ends)
                i += 1
            start += size

    return run


@kernel(ADD_Q)
def quantized_add(target):
    run = blocks(target, added, combined_steps(target, added))

    def body(
        a, b, p, q, y, table, n, a_flip, a_zero, a_scale, b_flip, b_zero, b_scale, y_flip, y_zero, lo, hi, part, parts
    ):  # fmt: skip
        left, right, ends = (a_flip, a_zero, a_scale), (b_flip, b_zero, b_scale), (y_flip, y_zero, lo, hi)
        small = MOST * (abs(a_scale) + abs(b_scale)) < SMALL
        run(a, b, p, q, y, table, n, left, right, ends, small, part, parts)

    return body


@kernel(MUL_Q)
def quantized_mul(target):
    run = blocks(target, multiplied, multiplied_steps(target))

    def body(a, b, p, q, y, table, n, a_flip, a_zero, scale, b_flip, b_zero, y_flip, y_zero, lo, hi, part, parts):
        left, right, ends = (a_flip, a_zero, scale), (b_flip, b_zero, scale), (y_flip, y_zero, lo, hi)
        small = MOST * MOST * abs(scale) < SMALL
        run(a, b, p, q, y, table, n, left, right, ends, small, part, parts)

    return body


@kernel(MEAN_Q)
def quantized_mean(target):
    LANES = max(16, 2 * target.lanes)
    BYTES, SHORTS, WIDE, V = (Vec(dtype, LANES) for dtype in (U8, U16, I32, F32))
    bytes_of = converters(LANES)[1]

    def total_of(load_some):
        """total(x, pixels, step, flip, count): sums of `count` neighbours, step apart, as far as load_some reads them."""

        def total(x, pixels, step, flip, count):
            sums = splat(WIDE, 0)
            while pixels > 0:
                some, short = min(pixels, SHORT_SUMS), splat(SHORTS, 0)
                for _ in range(some):
                    short += convert(SHORTS, load_some(BYTES, x, count) ^ flip)
                    x += step
                sums += convert(WIDE, short)
                pixels -= some
            return sums

        return total

    whole_total, some_total = total_of(lambda V, p, count: load(V, p)), total_of(load_first)

    def body(x, y, images, pixels, channels, flip, zero, scale, y_flip, y_zero, lo, hi, part, parts):
        blocks = (channels + CHANNELS - 1) // CHANNELS
        units = images * blocks
        for unit in range(units * part // parts, units * (part + 1) // parts):
            image = unit // blocks
            first = (unit - image * blocks) * CHANNELS
            last = min(channels, first + CHANNELS)
            for c in range(first, last, LANES):
                source, count = x + (image * pixels * channels + c), last - c
                if count >= LANES:
                    sums = whole_total(source, pixels, channels, flip, count)
                else:
                    sums = some_total(source, pixels, channels, flip, count)
                steps = convert(V, sums - I32(pixels * zero)) * scale
                store_first(y + (image * channels + c), bytes_of(steps, y_flip, y_zero, lo, hi), count)

    return body


@kernel(LOOKUP_U8)
def lookup_u8(target):
    LANES = 4 * target.lanes
    TABLE, BYTES = Vec(U8, 16, (16,)), Vec(U8, LANES)

    def body(x, table, y, n, part, parts):
        rows = load(TABLE, table)
        first, last = n * part // parts, n * (part + 1) // parts
        whole = first + (last - first) // LANES * LANES
        for i in range(first, whole, LANES):
            store(y + i, look_up(rows, load(BYTES, x + i)))
        for i in range(whole, last):
            y[i] = table[x[i]]

    return body
