"""Arithmetic on 8-bit numbers in float32, one rounding per operation, as the NumPy references do it."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.memory import stack
from edge_rt.kernels.registers import look_up
from edge_rt.kernels.simd import Vec, convert, load, load_first, round_even, splat, store, store_first
from edge_rt.kernels.strided import stretch_reader
from edge_rt.kernels.vmath import clamp
from edge_rt.lowering._layout import MAX_DIMS
from edge_rt.lowering.quantized_steps import ADD_Q, BLOCK, CHANNELS, LOOKUP_U8, MEAN_Q, MUL_Q

F32, I32, U8 = types.float32, types.int32, types.uint8


def converters(lanes):
    """numbers(bytes, flip) -> int32 vector; bytes_of(float32 steps, y_flip, y_zero, lo, hi)."""
    BYTES, WIDE = Vec(U8, lanes), Vec(I32, lanes)

    def numbers(x, flip):
        return convert(WIDE, x) ^ flip

    def bytes_of(steps, y_flip, y_zero, lo, hi):
        whole = convert(WIDE, clamp(round_even(steps) + y_zero, lo, hi))
        return convert(BYTES, whole ^ y_flip)

    return numbers, bytes_of


def blocks(target, stepper):
    """run(a, b, p, q, y, table, n, step's factors ..., part, parts): stepper(lanes) gives step(a, b, y, factors)."""
    LANES, read = target.lanes, stretch_reader(U8)
    many, one = stepper(LANES), stepper(1)

    def run(a, b, p, q, y, table, n, factors, part, parts):
        p_buffer, q_buffer = stack(U8, BLOCK), stack(U8, BLOCK)
        dims = table + 2
        count = (n + BLOCK - 1) // BLOCK
        for block in range(count * part // parts, count * (part + 1) // parts):
            start = block * BLOCK
            size = min(BLOCK, n - start)
            left, right, out = a + start, b + start, y + start
            if table[0] != 0:
                read(p_buffer, p, dims, dims + MAX_DIMS, start, size)
                left = p_buffer
            if table[1] != 0:
                read(q_buffer, q, dims, dims + 2 * MAX_DIMS, start, size)
                right = q_buffer
            whole = size // LANES * LANES
            for i in range(0, whole, LANES):
                many(left + i, right + i, out + i, factors)
            for i in range(whole, size):
                one(left + i, right + i, out + i, factors)

    return run


@kernel(ADD_Q)
def quantized_add(target):
    def stepper(lanes):
        BYTES, V = Vec(U8, lanes), Vec(F32, lanes)
        numbers, bytes_of = converters(lanes)

        def step(a, b, y, factors):
            a_flip, a_zero, a_scale, b_flip, b_zero, b_scale, y_flip, y_zero, lo, hi = factors
            left = (convert(V, numbers(load(BYTES, a), a_flip)) - a_zero) * a_scale
            right = (convert(V, numbers(load(BYTES, b), b_flip)) - b_zero) * b_scale
            store(y, bytes_of(left + right, y_flip, y_zero, lo, hi))

        return step

    run = blocks(target, stepper)

    def body(
        a, b, p, q, y, table, n, a_flip, a_zero, a_scale, b_flip, b_zero, b_scale, y_flip, y_zero, lo, hi, part, parts
    ):  # fmt: skip
        factors = (a_flip, a_zero, a_scale, b_flip, b_zero, b_scale, y_flip, y_zero, lo, hi)
        run(a, b, p, q, y, table, n, factors, part, parts)

    return body


@kernel(MUL_Q)
def quantized_mul(target):
    def stepper(lanes):
        BYTES, V = Vec(U8, lanes), Vec(F32, lanes)
        numbers, bytes_of = converters(lanes)

        def step(a, b, y, factors):
            a_flip, a_zero, scale, b_flip, b_zero, y_flip, y_zero, lo, hi = factors
            left = convert(V, numbers(load(BYTES, a), a_flip)) - a_zero
            right = convert(V, numbers(load(BYTES, b), b_flip)) - b_zero
            store(y, bytes_of(left * right * scale, y_flip, y_zero, lo, hi))

        return step

    run = blocks(target, stepper)

    def body(a, b, p, q, y, table, n, a_flip, a_zero, scale, b_flip, b_zero, y_flip, y_zero, lo, hi, part, parts):
        run(a, b, p, q, y, table, n, (a_flip, a_zero, scale, b_flip, b_zero, y_flip, y_zero, lo, hi), part, parts)

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
