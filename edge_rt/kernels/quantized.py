"""Rounding numbers to 8 bits and back."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels import vmath
from edge_rt.kernels._registry import kernel
from edge_rt.kernels.reduce import row_folder, same
from edge_rt.kernels.saturation import kind_of, packer, rows_of_sixteen, to_whole
from edge_rt.kernels.simd import (
    Vec,
    clamp,
    convert,
    extract,
    fma,
    is_null,
    load,
    pointer,
    round_even,
    saturate,
    select,
    splat,
    store,
)
from edge_rt.lowering.quantized import BLOCK, DEQUANTIZE, QUANTIZE, RANGE_U8, SPAN_U8
from edge_rt.types import DType

F32, I32, I64, U8 = types.float32, types.int32, types.int64, types.uint8
NUMBERS = {DType.INT8: types.int8, DType.UINT8: types.uint8, DType.INT32: I32}
INF = float("inf")
SMALLEST = 2.0**-90
"""A scale between this and its inverse can be divided by with its inverse."""


def runner(many, one, lanes):
    """each(x, out, n, scale, zero): converts n numbers, `lanes` at a time."""

    def each(x, out, n, scale, zero):
        whole = n // lanes * lanes
        for i in range(0, whole, lanes):
            many(x + i, out + i, scale, zero)
        for i in range(whole, n):
            one(x + i, out + i, scale, zero)

    return each


def quotients(target, V):
    """divide(x, scale, inverse): x / scale as division rounds it, or NaN, or both beyond 1000.

    inverse: 1 / scale, or 0 where it or what comes of it might be too large or too small. On x86, where dividing takes ten
    times as long as multiplying, two corrections of x * inverse by the exact rest give the same (Markstein, Computation of
    Elementary Functions on the IBM RISC System/6000 Processor, 1990).
    """
    if target.arch == "aarch64":
        return lambda x, scale, inverse: x / scale

    def divide(x, scale, inverse):
        if inverse == 0:
            return x / scale
        x = clamp(x, F32(-1024) * scale, F32(1024) * scale)
        negative, by = splat(V, -scale), splat(V, inverse)
        q = x * by
        q = fma(fma(q, negative, x), by, q)
        return fma(fma(q, negative, x), by, q)

    return divide


def channels_body(each, number):
    """The body that runs `each` over runs of a channel, cut into blocks."""

    def body(x, scale, zero, out, outer, channels, inner, part, parts):
        blocks = (inner + BLOCK - 1) // BLOCK
        units = outer * channels * blocks
        for unit in range(units * part // parts, units * (part + 1) // parts):
            row = unit // blocks
            start = (unit - row * blocks) * BLOCK
            c = row % channels
            at = row * inner + start
            offset = number(0) if is_null(zero) else zero[c]
            each(x + at, out + at, min(BLOCK, inner - start), scale[c], offset)

    return body


def _register_quantize(dtype, spec):
    number = NUMBERS[dtype]
    LOW, HIGH = (-128.0, 127.0) if number.signed else (0.0, 255.0)
    FLIP = 0 if number.signed else 128

    def stepper(lanes):
        V, MADE, WIDE = Vec(F32, lanes), Vec(number, lanes), Vec(I32, lanes)

        def step(x, out, scale, zero):
            y = round_even(load(V, x) / scale) + F32(zero)
            y = clamp(select(y == y, y, F32(zero)), LOW, HIGH)
            store(out, convert(MADE, convert(WIDE, y)))

        return step

    @kernel(spec)
    def quantize(target):
        LINES, BATCH = 4 * target.lanes // 16, 4 * target.lanes
        V = Vec(F32, target.lanes, (4,))
        divide, whole, packed = quotients(target, V), to_whole(target), packer(target)
        some, one = stepper(4), stepper(1)

        def usual(y):
            """0 for NaN."""
            return select(y == y, y, splat(V, 0))

        if target.arch == "aarch64":  # whose conversion does that

            def usual(y):
                return y

        def each(x, out, n, scale, zero):
            is_usual = scale > SMALLEST and scale < 1 / SMALLEST
            inverse = F32(1) / scale if is_usual else F32(0)
            middle, i = I64(zero) - FLIP, 0
            while i + BATCH <= n:
                y = divide(load(V, x + i), scale, inverse)
                made = whole(usual(y))
                made = packed(made, kind_of(middle, -128, 127), middle, I64(-128), I64(127), I64(FLIP))
                store(pointer(U8, out) + i, rows_of_sixteen(made, LINES))
                i += BATCH
            while i + 4 <= n:
                some(x + i, out + i, scale, zero)
                i += 4
            while i < n:
                one(x + i, out + i, scale, zero)
                i += 1

        return channels_body(each, number)


def _register_dequantize(dtype, spec):
    number = NUMBERS[dtype]

    def stepper(lanes):
        V, GIVEN, WIDE = Vec(F32, lanes), Vec(number, lanes), Vec(I32, lanes)

        def step(x, out, scale, zero):
            store(out, convert(V, convert(WIDE, load(GIVEN, x)) - I32(zero)) * scale)

        return step

    @kernel(spec)
    def dequantize(target):
        return channels_body(runner(stepper(target.lanes), stepper(1), target.lanes), number)


for _dtype, _spec in QUANTIZE.items():
    _register_quantize(_dtype, _spec)
for _dtype, _spec in DEQUANTIZE.items():
    _register_dequantize(_dtype, _spec)


@kernel(RANGE_U8)
def quantized_range_u8(target):
    find_smallest = row_folder(target, same, vmath.smaller, INF)
    find_largest = row_folder(target, same, vmath.larger, -INF)

    def body(x, ranges, n, count, part, parts):
        for i in range(count * part // parts, count * (part + 1) // parts):
            first, last = n * i // count, n * (i + 1) // count
            low, high = F32(0.0), F32(0.0)
            if first < last:
                low = find_smallest(x + first, last - first, low)
                high = find_largest(x + first, last - first, high)
            ranges[2 * i], ranges[2 * i + 1] = low, high

    return body


@kernel(SPAN_U8)
def quantized_span_u8(target):
    ONE, BYTE = Vec(F32, 1), Vec(types.uint8, 1)

    def body(ranges, scale, zero, count, part, parts):
        low, high = splat(ONE, 0.0), splat(ONE, 0.0)
        for i in range(count):
            low = vmath.smaller(low, splat(ONE, ranges[2 * i]))
            high = vmath.larger(high, splat(ONE, ranges[2 * i + 1]))
        width = (high - low) / 255.0
        width = select(width == 0.0, 1.0, width)
        scale[0] = extract(width, 0)
        zero[0] = extract(saturate(BYTE, round_even(-low / width)), 0)

    return body
