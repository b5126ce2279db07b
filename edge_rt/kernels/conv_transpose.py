"""The second half of a transposed convolution: every output gathers what falls on it, in registers."""

from __future__ import annotations

from edge_rt.kernels._registry import apart, kernel
from edge_rt.kernels.memory import F32
from edge_rt.kernels.registers import hide
from edge_rt.kernels.simd import Vec, clamp, fma, load, load_first, splat, store, store_first
from edge_rt.lowering.conv_transpose import GATHER_TAPS_F32

TOGETHER = 4
"""Pixels that are summed together: those that see the same taps, of neighbouring inputs."""


def bounded(x, lo, hi):
    x = lo if x < lo else x
    return hi if x > hi else x


def load_all(V, p, n, *steps):
    return load(V, p, *steps)


def within(tap, at, tap_step, step, taps, size):
    """Of tap, tap + tap_step... < taps, which see the inputs at, at - step...: the first that sees one of `size` inputs,
    what it sees, and how many do."""
    while tap < taps and at >= size:
        tap += tap_step
        at -= step
    count, lowest, next_tap = 0, at, tap
    while next_tap < taps and lowest >= 0:
        count += 1
        next_tap += tap_step
        lowest -= step
    return tap, at, count


def summing(lanes, pixels):
    """sums(to, to_step, bias, n, source, source_step, weights, counts, steps, lo, hi): of so many pixels of n numbers,
    to = clamp(bias + the sum of source * weights over counts[0] x counts[1] taps). steps: from tap to tap, and more behind
    each row of taps, of source, then of weights; to_step, source_step: from pixel to pixel."""
    V, ONE = Vec(F32, lanes, (pixels, 1)), Vec(F32, lanes, (1,))

    def make(load_some):
        def total_of(n, bias, source, source_step, weights, counts, steps):
            total = splat(V, 0) + load_some(ONE, bias, n)
            left, here = counts[0] * counts[1], counts[1]
            while left > 0:
                total = fma(load_some(V, source, n, source_step), load_some(ONE, weights, n), total)
                source += steps[0]
                weights += steps[2]
                here -= 1
                if here == 0:
                    source += steps[1]
                    weights += steps[3]
                    here = counts[1]
                left = hide(left - 1)  # few turns, which LLVM would unroll
            return total

        return total_of

    whole, partly = make(load_all), make(load_first)

    @apart
    def sums(to, to_step, bias, n, source, source_step, weights, counts, steps, lo, hi):
        q = 0
        while q + lanes <= n:
            made = whole(n, bias + q, source + q, source_step, weights + q, counts, steps)
            store(to + q, clamp(made, lo, hi), to_step)
            q += lanes
        if q < n:
            made = partly(n - q, bias + q, source + q, source_step, weights + q, counts, steps)
            store_first(to + q, clamp(made, lo, hi), n - q, to_step)

    return sums


@apart
def single_sums(to, to_step, bias, pixels, source, source_step, weights, counts, steps, lo, hi):
    """As those of `summing`, of pixels of one number: masks, heat maps. Four at once, the last ones maybe again."""
    i = 0
    while i < pixels:
        first = max(0, min(i, pixels - TOGETHER))
        second, third = min(first + 1, pixels - 1), min(first + 2, pixels - 1)
        fourth = min(first + 3, pixels - 1)
        x, w, a = source, weights, bias[0]
        b, c, d = a, a, a
        for _ in range(counts[0]):
            for _ in range(counts[1]):
                v = w[0]
                a += x[first * source_step] * v
                b += x[second * source_step] * v
                c += x[third * source_step] * v
                d += x[fourth * source_step] * v
                x += steps[0]
                w += steps[2]
            x += steps[1]
            w += steps[3]
        to[first * to_step] = bounded(a, lo, hi)
        to[second * to_step] = bounded(b, lo, hi)
        to[third * to_step] = bounded(c, lo, hi)
        to[fourth * to_step] = bounded(d, lo, hi)
        i += TOGETHER


@kernel(GATHER_TAPS_F32)
def gather_taps_f32(target):
    one, several = summing(target.lanes, 1), summing(target.lanes, TOGETHER)

    def body(source, weights, bias, y, geometry, first_in, rows_in, first_out, rows_out, lo, hi, part, parts):
        images, h, w, group, columns = geometry[0], geometry[1], geometry[2], geometry[3], geometry[4]
        kernel_h, kernel_w, out_h, out_w, stride_h = geometry[5], geometry[6], geometry[7], geometry[8], geometry[9]
        tap_h, back_h, stride_w, tap_w, back_w = geometry[10], geometry[11], geometry[12], geometry[13], geometry[14]
        own, tap, weight, rows_of = geometry[15], geometry[16], geometry[17], geometry + 18
        columns_of = rows_of + 2 * stride_h
        pixel, channels = group * own, group * columns
        to_step = stride_w * channels
        next_x, next_w = tap_w * tap - back_w * pixel, tap_w * weight
        line_x, line_w = tap_h * kernel_w * tap - back_h * w * pixel, tap_h * kernel_w * weight
        lines = images * rows_out
        for line in range(lines * part // parts, lines * (part + 1) // parts):
            image = line // rows_out
            row = first_out + (line - image * rows_out)
            turn = row // stride_h
            of = rows_of + 2 * (row - turn * stride_h)
            r, up, rows = within(of[0], of[1] + turn, tap_h, back_h, kernel_h, h)
            above = source + (image * rows_in + up - first_in) * w * pixel
            made = y + (image * out_h + row) * out_w * channels
            for phase in range(min(stride_w, out_w)):
                start, seen = columns_of[2 * phase], columns_of[2 * phase + 1]
                most = (kernel_w - start + tap_w - 1) // tap_w
                i = phase
                while i < out_w:
                    k, at, count = within(start, seen, tap_w, back_w, kernel_w, w)
                    first = r * kernel_w + k
                    x, by = above + (at * pixel + first * tap), weights + first * weight
                    to, counts = made + i * channels, (rows, count)
                    steps = next_x, line_x - count * next_x, next_w, line_w - count * next_w
                    is_whole, run = count == most, 1
                    if columns == 1 and is_whole:
                        run = min(w - at, (out_w - 1 - i) // stride_w + 1)
                    elif is_whole and at + TOGETHER <= w and i + (TOGETHER - 1) * stride_w < out_w:
                        run = TOGETHER
                    for g in range(group):
                        here, of, start_of = to + g * columns, x + g * own, bias + g * columns
                        if columns == 1:
                            single_sums(here, to_step, start_of, run, of, pixel, by, counts, steps, lo, hi)
                        elif run == TOGETHER:
                            several(here, to_step, start_of, columns, of, pixel, by, counts, steps, lo, hi)
                        else:
                            one(here, to_step, start_of, columns, of, pixel, by, counts, steps, lo, hi)
                    seen += run
                    i += run * stride_w

    return body
