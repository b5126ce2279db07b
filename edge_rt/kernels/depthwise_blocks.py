"""Blocks of a depthwise convolution: a few neighbouring outputs, whose windows overlap, for all channels."""

from __future__ import annotations

from edge_rt.kernels.memory import F32
from edge_rt.kernels.registers import between_zeros, pick
from edge_rt.kernels.simd import Vec, fma, load, load_first, store, store_first
from edge_rt.kernels.tiles import clamp


def unrolled_taps(kernel_w, stride, outputs, lanes, left, right):
    """row(acc, x, c, w): adds one kernel row, from the first tap on, to `outputs` neighbours, whose loads overlap."""
    seen = (outputs - 1) * stride + kernel_w
    SEEN, TAP = Vec(F32, lanes, (seen - left - right,)), Vec(F32, lanes, (1,))

    def make(tap):
        def last(acc, seen, w, c):
            return fma(pick(seen, tap, stride, outputs), load(TAP, w + tap * c), acc)

        if tap == 0:
            return last
        before = make(tap - 1)

        def steps(acc, seen, w, c):
            return last(before(acc, seen, w, c), seen, w, c)

        return steps

    steps = make(kernel_w - 1)

    def row(acc, x, c, w):
        return steps(acc, between_zeros(load(SEEN, x + left * c, c), left, right), w, c)

    return row


def block_of(kernel_w, stride, outputs, lanes, kernel_h=0, left=0, right=0):
    """block(...): `outputs` neighbours, for all channels.

    kernel_h: rows of the kernel, if none may be missing; else `taps` of them are there. left, right: how many of the
    pixels that they see are padding, at the left of the first window and at the right of the last.
    """
    ACC = Vec(F32, lanes, (outputs,))
    row = unrolled_taps(kernel_w, stride, outputs, lanes, left, right)

    def rows_of(rows):
        if rows == 0:
            return lambda acc, x, x_row, c, w, w_row: acc
        before = rows_of(rows - 1)
        tap = rows - 1
        return lambda acc, x, x_row, c, w, w_row: row(
            before(acc, x, x_row, c, w, w_row), x + tap * x_row, c, w + tap * w_row
        )

    fixed = rows_of(kernel_h)

    def block(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels):
        q = 0
        while q < channels:
            # The last vector reaches back over channels that are done, and computes them again.
            at = min(q, channels - lanes)
            acc = load(ACC, start + at * start_step, 0)
            if kernel_h:
                acc = fixed(acc, x + at, x_row, c, w + at, w_row)
            else:
                for tap in range(taps):
                    acc = row(acc, x + (tap * x_row + at), c, w + (tap * w_row + at))
            if has_residual:
                acc = acc + load(ACC, residual + at, c)
            store(y + at, clamp(acc, lo, hi), c)
            q += lanes

    return block


def loop_of(outputs, lanes):
    """loop(...): as block, for any kernel and any stride, over its columns `first` to `last`."""
    ACC, ONE = Vec(F32, lanes, (outputs,)), Vec(F32, lanes, (1,))

    def loop(
        x, x_row, x_step, stride, c, w, w_row, taps, first, last, start, start_step, y, residual, has_residual, lo, hi,
        channels,
    ):  # fmt: skip
        q = 0
        while q < channels:
            at = min(q, channels - lanes)
            acc = load(ACC, start + at * start_step, 0)
            for tap in range(taps):
                for k in range(first, last):
                    weight = load(ONE, w + (tap * w_row + k * c + at))
                    acc = fma(load(ACC, x + (tap * x_row + k * x_step + at), stride), weight, acc)
            if has_residual:
                acc = acc + load(ACC, residual + at, c)
            store(y + at, clamp(acc, lo, hi), c)
            q += lanes

    return loop


def pixel_of(lanes):
    """pixel(...): one output, for any kernel, over its columns `first` to `last`."""
    FOUR, ONE = Vec(F32, lanes, (4,)), Vec(F32, lanes, (1,))

    def pixel(
        x, x_row, x_step, c, w, w_row, taps, first, last, start, start_step, y, residual, has_residual, lo, hi, channels
    ):  # fmt: skip
        q = 0
        while q + 4 * lanes <= channels:
            four = load(FOUR, start + q * start_step, lanes * start_step)
            for tap in range(taps):
                for k in range(first, last):
                    weights = load(FOUR, w + (tap * w_row + k * c + q))
                    four = fma(load(FOUR, x + (tap * x_row + k * x_step + q)), weights, four)
            if has_residual:
                four = four + load(FOUR, residual + q)
            store(y + q, clamp(four, lo, hi))
            q += 4 * lanes
        while q < channels:
            at = min(q, channels - lanes)
            one = load(ONE, start + at * start_step)
            for tap in range(taps):
                for k in range(first, last):
                    weight = load(ONE, w + (tap * w_row + k * c + at))
                    one = fma(load(ONE, x + (tap * x_row + k * x_step + at)), weight, one)
            if has_residual:
                one = one + load(ONE, residual + at)
            store(y + at, clamp(one, lo, hi))
            q += lanes

    return pixel


def few_channels(lanes):
    """few(...): one output, where there are fewer channels than lanes."""
    ONE = Vec(F32, lanes, (1,))

    def few(x, x_row, x_step, c, w, w_row, taps, first, last, start, y, residual, has_residual, lo, hi, channels):
        acc = load_first(ONE, start, channels)
        for tap in range(taps):
            for k in range(first, last):
                weight = load_first(ONE, w + (tap * w_row + k * c), channels)
                acc = fma(load_first(ONE, x + (tap * x_row + k * x_step), channels), weight, acc)
        if has_residual:
            acc = acc + load_first(ONE, residual, channels)
        store_first(y, clamp(acc, lo, hi), channels)

    return few
