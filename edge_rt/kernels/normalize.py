"""Normalisation of rows: statistics in two passes while the row is in the nearest cache."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels import vmath
from edge_rt.kernels._registry import kernel
from edge_rt.kernels.reduce import plus, row_folder, same
from edge_rt.kernels.simd import Vec, extract, fma, is_null, load, load_first, splat, store, store_first
from edge_rt.kernels.vbits import square_root
from edge_rt.lowering.normalize import GROUP_NORM_F32, LAYER_NORM_F32, LRN_F32

F32 = types.float32


def squared_distance(x, center):
    d = x - center
    return d * d


def statistics(target):
    """measure(x, n, epsilon, centred): mean (0 if not centred) and 1 / sqrt(variance + epsilon) of x[0:n]."""
    ONE = Vec(F32, 1)
    add_up, add_squares = row_folder(target, same, plus, 0.0), row_folder(target, squared_distance, plus, 0.0)

    def measure(x, n, epsilon, centred):
        mean = F32(0.0)
        if centred:
            mean = F32(add_up(x, n, F32(0.0)) / F32(n))
        variance = F32(add_squares(x, n, mean) / F32(n))
        return mean, extract(1.0 / square_root(splat(ONE, variance + epsilon)), 0)

    return measure


@kernel(LAYER_NORM_F32)
def layer_norm_f32(target):
    LANES, V = target.lanes, Vec(F32, target.lanes)
    measure = statistics(target)

    def write(x, scale, bias, out, n, center, factor):
        i = 0
        while i < n:
            count = min(LANES, n - i)
            if count == LANES:
                y = (load(V, x + i) - center) * factor
                if not is_null(scale):
                    y = y * load(V, scale + i)
                if not is_null(bias):
                    y = y + load(V, bias + i)
                store(out + i, y)
            else:
                y = (load_first(V, x + i, count) - center) * factor
                if not is_null(scale):
                    y = y * load_first(V, scale + i, count)
                if not is_null(bias):
                    y = y + load_first(V, bias + i, count)
                store_first(out + i, y, count)
            i += LANES

    def body(x, scale, bias, out, mean, inverse, rows, size, epsilon, centred, part, parts):
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            source, made = x + row * size, out + row * size
            center, factor = measure(source, size, epsilon, centred)
            write(source, scale, bias, made, size, center, factor)
            if not is_null(mean):
                mean[row] = center
            if not is_null(inverse):
                inverse[row] = factor

    return body


@kernel(GROUP_NORM_F32)
def group_norm_f32(target):
    LANES, V = target.lanes, Vec(F32, target.lanes)
    measure = statistics(target)

    def write(x, out, n, center, factor, shift):
        i = 0
        while i + LANES <= n:
            store(out + i, (load(V, x + i) - center) * factor + shift)
            i += LANES
        if i < n:
            store_first(out + i, (load_first(V, x + i, n - i) - center) * factor + shift, n - i)

    def body(x, scale, bias, out, rows, groups, channels, run, epsilon, part, parts):
        size = channels * run
        for row in range(rows * part // parts, rows * (part + 1) // parts):
            center, factor = measure(x + row * size, size, epsilon, 1)
            first = row % groups * channels
            for c in range(channels):
                at = row * size + c * run
                write(x + at, out + at, run, center, F32(factor * scale[first + c]), bias[first + c])

    return body


@kernel(LRN_F32)
def lrn_f32(target):
    LANES, V = target.lanes, Vec(F32, target.lanes)

    def body(x, out, batch, channels, inner, before, after, factor, beta, bias, part, parts):
        units = batch * channels
        for unit in range(units * part // parts, units * (part + 1) // parts):
            c = unit % channels
            first, last = max(0, c - before) - c, min(channels, c + after + 1) - c
            source, made = x + unit * inner, out + unit * inner
            for i in range(0, inner, LANES):
                n = min(LANES, inner - i)
                squares = splat(V, 0.0)
                for d in range(first, last):
                    v = load_first(V, source + (d * inner + i), n)
                    squares = fma(v, v, squares)
                divisor = vmath.power(fma(squares, factor, bias), splat(V, beta))
                store_first(made + i, load_first(V, source + i, n) / divisor, n)

    return body
