"""Rounding numbers to 8 bits and back."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels import vmath
from edge_rt.kernels._registry import kernel
from edge_rt.kernels.reduce import row_folder, same
from edge_rt.kernels.simd import Vec, convert, extract, is_null, load, round_even, saturate, select, splat, store
from edge_rt.lowering.quantized import BLOCK, DEQUANTIZE, QUANTIZE, RANGE_U8, SPAN_U8
from edge_rt.types import DType

F32, I32 = types.float32, types.int32
NUMBERS = {DType.INT8: types.int8, DType.UINT8: types.uint8, DType.INT32: I32}
INF = float("inf")


def runner(many, one, lanes):
    """each(x, out, n, scale, zero): converts n numbers, `lanes` at a time."""

    def each(x, out, n, scale, zero):
        whole = n // lanes * lanes
        for i in range(0, whole, lanes):
            many(x + i, out + i, scale, zero)
        for i in range(whole, n):
            one(x + i, out + i, scale, zero)

    return each


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

    def stepper(lanes):
        V, MADE, WIDE = Vec(F32, lanes), Vec(number, lanes), Vec(I32, lanes)

        def step(x, out, scale, zero):
            y = round_even(load(V, x) / scale) + F32(zero)
            y = vmath.clamp(select(y == y, y, F32(zero)), LOW, HIGH)
            store(out, convert(MADE, convert(WIDE, y)))

        return step

    @kernel(spec)
    def quantize(target):
        return channels_body(runner(stepper(target.lanes), stepper(1), target.lanes), number)


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
