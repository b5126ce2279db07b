"""Arithmetic on 8-bit numbers in float32, one rounding per operation, as the NumPy references do it."""

from __future__ import annotations

import numpy as np
from numba.core import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.memory import stack
from edge_rt.kernels.registers import look_up
from edge_rt.kernels.saturation import AS_RAMP, kind_of, nearest, packer, rectified, rows_of_sixteen, to_whole
from edge_rt.kernels.simd import Vec, clamp, convert, load, load_first, round_even, splat, store, store_first
from edge_rt.kernels.strided import stretch_reader
from edge_rt.kernels.widened import spread_bytes, widened_less
from edge_rt.lowering._layout import MAX_DIMS
from edge_rt.lowering.quantized_steps import ADD_Q, BLOCK, CHANNELS, LOOKUP_U8, MEAN_Q, MUL_Q

F32, I32, I64, U8 = types.float32, types.int32, types.int64, types.uint8
SIXTEEN = 16
SMALL = np.float32(1 << 14)
"""Scales below it keep products of two bytes within int32."""


def converters(lanes):
    """numbers(bytes, flip) -> int32 vector; bytes_of(float32 steps, y_flip, y_zero, lo, hi)."""
    BYTES, WIDE = Vec(U8, lanes), Vec(I32, lanes)

    def numbers(x, flip):
        return convert(WIDE, x) ^ flip

    def bytes_of(steps, y_flip, y_zero, lo, hi):
        whole = convert(WIDE, clamp(round_even(steps) + y_zero, lo, hi))
        return convert(BYTES, whole ^ y_flip)

    return numbers, bytes_of


def batch_on_arm(target, combine):
    """batch(a, b, y, left, right, ends, small): sixteen numbers of y, see `blocks`."""
    WIDE, NUMBERS, BYTES = Vec(I32, 4, (4,)), Vec(F32, 4, (4,)), Vec(U8, SIXTEEN, (1,))
    whole, packed = to_whole(target), packer(target)

    def numbers_of(at, given):
        return convert(NUMBERS, widened_less(WIDE, load(BYTES, at) ^ given[0], given[1]))

    def batch(a, b, y, left, right, ends, small):
        y_flip, y_zero, lo, hi = ends
        made = whole(combine(numbers_of(a, left), numbers_of(b, right), left, right))
        # Bytes are packed as signed ones, which are 128 less.
        zero, low, high = I64(y_zero) - 128, I64(lo) - 128, I64(hi) - 128
        store(y, rows_of_sixteen(packed(made, kind_of(zero, low, high), zero, low, high, y_flip ^ 128), 1))

    return batch


def batch_on_x86(target, combine):
    """As batch_on_arm: as many numbers as a vector has bytes. small: whether nothing that is rounded is beyond int32."""
    BYTES, NUMBERS = Vec(U8, 4 * target.lanes), Vec(F32, target.lanes, (4,))
    whole, packed = to_whole(target), packer(target)

    def numbers_of(at, given):
        return spread_bytes(NUMBERS, load(BYTES, at) ^ given[0]) - (given[1] + F32(1 << 23))

    def batch(a, b, y, left, right, ends, small):
        y_flip, y_zero, lo, hi = ends
        made = combine(numbers_of(a, left), numbers_of(b, right), left, right)
        zero, low, high = I64(y_zero) - 128, I64(lo) - 128, I64(hi) - 128
        kind = kind_of(zero, low, high)
        if small and kind == AS_RAMP:
            store(y, rectified(nearest(made), y_flip))
        else:
            store(y, packed(whole(made), kind, zero, low, high, y_flip ^ 128))

    return batch


def blocks(target, combine):
    """run(a, b, p, q, y, table, n, left, right, ends, small, part, parts): y = combine(numbers of a, of b), rounded.

    combine(x, y, left, right) is given float32 vectors less zero points. left, right: (flip, zero, scale); ends: (flip,
    zero, lo, hi) of y.
    """
    read, BATCH = stretch_reader(U8), 4 * target.lanes
    batch = (batch_on_arm if target.arch == "aarch64" else batch_on_x86)(target, combine)

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
            i = 0
            while i + BATCH <= size:
                batch(from_a + i, from_b + i, out + i, left, right, ends, small)
                i += BATCH
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
    run = blocks(target, lambda x, z, left, right: x * left[2] + z * right[2])

    def body(
        a, b, p, q, y, table, n, a_flip, a_zero, a_scale, b_flip, b_zero, b_scale, y_flip, y_zero, lo, hi, part, parts
    ):  # fmt: skip
        left, right, ends = (a_flip, a_zero, a_scale), (b_flip, b_zero, b_scale), (y_flip, y_zero, lo, hi)
        run(a, b, p, q, y, table, n, left, right, ends, abs(a_scale) + abs(b_scale) < SMALL, part, parts)

    return body


@kernel(MUL_Q)
def quantized_mul(target):
    run = blocks(target, lambda x, z, left, right: x * z * left[2])

    def body(a, b, p, q, y, table, n, a_flip, a_zero, scale, b_flip, b_zero, y_flip, y_zero, lo, hi, part, parts):
        left, right, ends = (a_flip, a_zero, scale), (b_flip, b_zero, scale), (y_flip, y_zero, lo, hi)
        run(a, b, p, q, y, table, n, left, right, ends, abs(scale) < SMALL, part, parts)

    return body


@kernel(MEAN_Q)
def quantized_mean(target):
    LANES = target.lanes
    BYTES, WIDE, V = Vec(U8, LANES), Vec(I32, LANES), Vec(F32, LANES)
    numbers, bytes_of = converters(LANES)

    def body(x, y, images, pixels, channels, flip, zero, scale, y_flip, y_zero, lo, hi, part, parts):
        blocks = (channels + CHANNELS - 1) // CHANNELS
        units = images * blocks
        for unit in range(units * part // parts, units * (part + 1) // parts):
            image = unit // blocks
            first = (unit - image * blocks) * CHANNELS
            last = min(channels, first + CHANNELS)
            for c in range(first, last, LANES):
                source, count = x + (image * pixels * channels + c), last - c
                sums = splat(WIDE, 0)
                for i in range(pixels):
                    at = source + i * channels
                    seen = load(BYTES, at) if count >= LANES else load_first(BYTES, at, count)
                    sums += numbers(seen, flip)
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
