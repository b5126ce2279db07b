"""Depthwise convolution of channels-last images: vectors run over channels, and several outputs share their loads.

Every output is the bias and then one fused multiply-add per tap, in the order of the kernel, whatever path computes it.
"""

from __future__ import annotations

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.activations import activator
from edge_rt.kernels.memory import F32, address
from edge_rt.kernels.registers import pick
from edge_rt.kernels.simd import Vec, fma, load, load_first, store, store_first
from edge_rt.kernels.tiles import clamp
from edge_rt.lowering.conv import DEPTHWISE_F32


def unrolled_taps(kernel_w, stride, outputs, lanes):
    """row(acc, x, c, w): adds one kernel row to `outputs` neighbours, whose loads overlap. x, w: from the first tap on."""
    SEEN, TAP = Vec(F32, lanes, ((outputs - 1) * stride + kernel_w,)), Vec(F32, lanes, (1,))

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
        return steps(acc, load(SEEN, x, c), w, c)

    return row


def row_sweep(kernel_w, stride, outputs, lanes):
    """sweep(...): outputs 0..count of a row, whose columns are all inside; returns how many it made."""
    ACC = Vec(F32, lanes, (outputs,))
    row = unrolled_taps(kernel_w, stride, outputs, lanes)

    def sweep(x, x_row, c, w, w_row, taps, start, first, count, y, residual, has_residual, lo, hi):
        i = first
        while i + outputs <= count:
            acc = load(ACC, start, 0)
            for tap in range(taps):
                acc = row(acc, x + (tap * x_row + i * stride * c), c, w + tap * w_row)
            if has_residual:
                acc = acc + load(ACC, residual + i * c, c)
            store(y + i * c, clamp(acc, lo, hi), c)
            i += outputs
        return i

    return sweep


def square_sweep(stride, outputs, lanes):
    """As row_sweep for three taps of three, with the nine weights in registers."""
    ACC, SEEN, NINE = Vec(F32, lanes, (outputs,)), Vec(F32, lanes, ((outputs - 1) * stride + 3,)), Vec(F32, lanes, (9,))

    def sweep(x, x_row, c, w, w_row, taps, start, first, count, y, residual, has_residual, lo, hi):
        weights = load(NINE, w, c)
        i = first
        while i + outputs <= count:
            acc = load(ACC, start, 0)
            seen = load(SEEN, x + i * stride * c, c)
            acc = fma(pick(seen, 0, stride, outputs), pick(weights, 0, 1, 1), acc)
            acc = fma(pick(seen, 1, stride, outputs), pick(weights, 1, 1, 1), acc)
            acc = fma(pick(seen, 2, stride, outputs), pick(weights, 2, 1, 1), acc)
            seen = load(SEEN, x + (x_row + i * stride * c), c)
            acc = fma(pick(seen, 0, stride, outputs), pick(weights, 3, 1, 1), acc)
            acc = fma(pick(seen, 1, stride, outputs), pick(weights, 4, 1, 1), acc)
            acc = fma(pick(seen, 2, stride, outputs), pick(weights, 5, 1, 1), acc)
            seen = load(SEEN, x + (2 * x_row + i * stride * c), c)
            acc = fma(pick(seen, 0, stride, outputs), pick(weights, 6, 1, 1), acc)
            acc = fma(pick(seen, 1, stride, outputs), pick(weights, 7, 1, 1), acc)
            acc = fma(pick(seen, 2, stride, outputs), pick(weights, 8, 1, 1), acc)
            if has_residual:
                acc = acc + load(ACC, residual + i * c, c)
            store(y + i * c, clamp(acc, lo, hi), c)
            i += outputs
        return i

    return sweep


@kernel(DEPTHWISE_F32)
def depthwise_f32(target):
    lanes = target.lanes
    ONE, FOUR = Vec(F32, lanes, (1,)), Vec(F32, lanes, (4,))
    activate = activator(target)
    square_1, square_2 = square_sweep(1, 4, lanes), square_sweep(2, 4, lanes)
    three_1, three_2 = row_sweep(3, 1, 4, lanes), row_sweep(3, 2, 4, lanes)
    five_1, five_2, seven_1 = row_sweep(5, 1, 4, lanes), row_sweep(5, 2, 4, lanes), row_sweep(7, 1, 4, lanes)

    def body(x, w, bias, residual, y, zeros, geometry, c_blocks, lo, hi, activation, part, parts):
        images, h, width, c = geometry[0], geometry[1], geometry[2], geometry[3]
        kernel_h, kernel_w, stride_h, stride_w = geometry[4], geometry[5], geometry[6], geometry[7]
        pad_top, pad_left, dilation_h, dilation_w = geometry[8], geometry[9], geometry[10], geometry[11]
        out_h, out_w = geometry[12], geometry[13]
        has_bias, has_residual = address(bias) != 0, address(residual) != 0
        # Columns inner_first..inner_last see no padding at the sides.
        inner_first = min(out_w, (pad_left + stride_w - 1) // stride_w)
        reach = width - 1 - (kernel_w - 1) * dilation_w + pad_left
        inner_last = max(inner_first, min(out_w, reach // stride_w + 1 if reach >= 0 else 0))
        units = images * out_h * c_blocks
        for unit in range(units * part // parts, units * (part + 1) // parts):
            line = unit // c_blocks
            block = unit - line * c_blocks
            first_channel, last_channel = c // c_blocks * block, c // c_blocks * (block + 1)
            if block == c_blocks - 1:
                last_channel = c
            image = line // out_h
            top = (line - image * out_h) * stride_h - pad_top
            first_tap = max(0, (-top + dilation_h - 1) // dilation_h)
            last_tap = max(first_tap, min(kernel_h, (h - 1 - top) // dilation_h + 1 if top < h else 0))
            taps = last_tap - first_tap
            x_row = dilation_h * width * c
            source = x + ((image * h + top + first_tap * dilation_h) * width - pad_left) * c
            at = first_channel
            while at < last_channel:
                count = min(lanes, last_channel - at)
                if count < lanes and last_channel - first_channel >= lanes:
                    # The last vector reaches back over channels that are done, and computes them again.
                    at, count = last_channel - lanes, lanes
                here, there, add = source + at, y + (line * out_w * c + at), residual + (line * out_w * c + at)
                weights = w + (first_tap * kernel_w * c + at)
                start = bias + at if has_bias else zeros
                i = 0
                while i < out_w:
                    if i == inner_first and inner_last > inner_first and count == lanes:
                        if dilation_w == 1:
                            if kernel_w == 3 and taps == 3:
                                if stride_w == 1:
                                    i = square_1(
                                        here, x_row, c, weights, kernel_w * c, taps, start, i, inner_last, there, add,
                                        has_residual, lo, hi,
                                    )  # fmt: skip
                                elif stride_w == 2:
                                    i = square_2(
                                        here, x_row, c, weights, kernel_w * c, taps, start, i, inner_last, there, add,
                                        has_residual, lo, hi,
                                    )  # fmt: skip
                            elif kernel_w == 3:
                                if stride_w == 1:
                                    i = three_1(
                                        here, x_row, c, weights, kernel_w * c, taps, start, i, inner_last, there, add,
                                        has_residual, lo, hi,
                                    )  # fmt: skip
                                elif stride_w == 2:
                                    i = three_2(
                                        here, x_row, c, weights, kernel_w * c, taps, start, i, inner_last, there, add,
                                        has_residual, lo, hi,
                                    )  # fmt: skip
                            elif kernel_w == 5:
                                if stride_w == 1:
                                    i = five_1(
                                        here, x_row, c, weights, kernel_w * c, taps, start, i, inner_last, there, add,
                                        has_residual, lo, hi,
                                    )  # fmt: skip
                                elif stride_w == 2:
                                    i = five_2(
                                        here, x_row, c, weights, kernel_w * c, taps, start, i, inner_last, there, add,
                                        has_residual, lo, hi,
                                    )  # fmt: skip
                            elif kernel_w == 7 and stride_w == 1:
                                i = seven_1(
                                    here, x_row, c, weights, kernel_w * c, taps, start, i, inner_last, there, add,
                                    has_residual, lo, hi,
                                )  # fmt: skip
                        while i + 4 <= inner_last:
                            acc = load(FOUR, start, 0)
                            for tap in range(taps):
                                for k in range(kernel_w):
                                    p = here + (tap * x_row + (i * stride_w + k * dilation_w) * c)
                                    tap_weights = load(ONE, weights + (tap * kernel_w + k) * c)
                                    acc = fma(load(FOUR, p, stride_w * c), tap_weights, acc)
                            if has_residual:
                                acc = acc + load(FOUR, add + i * c, c)
                            store(there + i * c, clamp(acc, lo, hi), c)
                            i += 4
                        if i == out_w:
                            break
                    left = i * stride_w - pad_left
                    first_k = max(0, (-left + dilation_w - 1) // dilation_w)
                    last_k = min(kernel_w, (width - 1 - left) // dilation_w + 1 if left < width else 0)
                    one = load_first(ONE, start, count)
                    for tap in range(taps):
                        for k in range(first_k, last_k):
                            p = here + (tap * x_row + (i * stride_w + k * dilation_w) * c)
                            one = fma(load_first(ONE, p, count), load_first(ONE, weights + (tap * kernel_w + k) * c, count), one)
                    if has_residual:
                        one = one + load_first(ONE, add + i * c, count)
                    store_first(there + i * c, clamp(one, lo, hi), count)
                    i += 1
                at += count
            if activation:
                activate(
                    activation, y + (line * out_w * c + first_channel), c, out_w, last_channel - first_channel
                )

    return body
