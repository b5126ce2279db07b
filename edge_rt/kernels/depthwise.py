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
    """row(acc, x, c, w): adds one kernel row, from the first tap on, to `outputs` neighbours, whose loads overlap."""
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


def block_of(kernel_w, stride, outputs, lanes, kernel_h=0):
    """block(...): `outputs` neighbours, none of whose taps is padding at the sides, for all channels.

    kernel_h: rows of the kernel, if none may be missing; else `taps` of them are there.
    """
    ACC = Vec(F32, lanes, (outputs,))
    row = unrolled_taps(kernel_w, stride, outputs, lanes)

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


@kernel(DEPTHWISE_F32)
def depthwise_f32(target):
    # More outputs hide the latency of long chains of taps; machines with 16 registers (8 lanes) have no room for 8.
    lanes, outputs, many = target.lanes, 4, 6 if target.lanes == 8 else 8
    activate = activator(target)
    square_1, square_2 = block_of(3, 1, outputs, lanes, 3), block_of(3, 2, outputs, lanes, 3)
    three_1, three_2 = block_of(3, 1, outputs, lanes), block_of(3, 2, outputs, lanes)
    five_1, five_2, seven_1 = (block_of(k, stride, outputs, lanes) for k, stride in ((5, 1), (5, 2), (7, 1)))
    five_many, seven_many = block_of(5, 1, many, lanes), block_of(7, 1, many, lanes)
    several, pixel, few = loop_of(outputs, lanes), pixel_of(lanes), few_channels(lanes)

    def body(x, w, bias, residual, y, zeros, geometry, channel_block, lo, hi, activation, alpha, part, parts):
        images, h, width, c = geometry[0], geometry[1], geometry[2], geometry[3]
        kernel_h, kernel_w, stride_h, stride_w = geometry[4], geometry[5], geometry[6], geometry[7]
        pad_top, pad_left, dilation_h, dilation_w = geometry[8], geometry[9], geometry[10], geometry[11]
        out_h, out_w = geometry[12], geometry[13]
        has_bias, has_residual = address(bias) != 0, address(residual) != 0
        start_step = 1 if has_bias else 0
        # Columns inner_first..inner_last see no padding at the sides.
        inner_first = min(out_w, (pad_left + stride_w - 1) // stride_w)
        reach = width - 1 - (kernel_w - 1) * dilation_w + pad_left
        inner_last = max(inner_first, min(out_w, reach // stride_w + 1 if reach >= 0 else 0))
        x_row, x_step, w_row, stride = dilation_h * width * c, dilation_w * c, kernel_w * c, stride_w * c
        blocks = max(1, c // channel_block)
        units = images * blocks * out_h
        for unit in range(units * part // parts, units * (part + 1) // parts):
            group = unit // out_h
            image = group // blocks
            first_channel = (group - image * blocks) * channel_block
            channels = c - first_channel if group - image * blocks == blocks - 1 else channel_block
            out_row = unit - group * out_h
            top = out_row * stride_h - pad_top
            first_tap = max(0, (-top + dilation_h - 1) // dilation_h)
            last_tap = max(first_tap, min(kernel_h, (h - 1 - top) // dilation_h + 1 if top < h else 0))
            taps = last_tap - first_tap
            source = x + ((image * h + top + first_tap * dilation_h) * width - pad_left) * c + first_channel
            place = (image * out_h + out_row) * out_w * c + first_channel
            weights = w + (first_tap * w_row + first_channel)
            start = bias + first_channel if has_bias else zeros
            i = 0
            while i < out_w:
                here, there, add = source + i * stride, y + (place + i * c), residual + (place + i * c)
                if i >= inner_first and i + outputs <= inner_last and channels >= lanes:
                    step = outputs
                    if dilation_w == 1 and kernel_w == 5 and stride_w == 1 and i + many <= inner_last:
                        five_many(
                            here, x_row, c, weights, w_row, taps, start, start_step, there, add, has_residual, lo, hi,
                            channels,
                        )  # fmt: skip
                        step = many
                    elif dilation_w == 1 and kernel_w == 7 and stride_w == 1 and i + many <= inner_last:
                        seven_many(
                            here, x_row, c, weights, w_row, taps, start, start_step, there, add, has_residual, lo, hi,
                            channels,
                        )  # fmt: skip
                        step = many
                    elif dilation_w == 1 and kernel_w == 3 and stride_w == 1 and taps == 3:
                        square_1(
                            here, x_row, c, weights, w_row, taps, start, start_step, there, add, has_residual, lo, hi,
                            channels,
                        )  # fmt: skip
                    elif dilation_w == 1 and kernel_w == 3 and stride_w == 2 and taps == 3:
                        square_2(
                            here, x_row, c, weights, w_row, taps, start, start_step, there, add, has_residual, lo, hi,
                            channels,
                        )  # fmt: skip
                    elif dilation_w == 1 and kernel_w == 3 and stride_w == 1:
                        three_1(
                            here, x_row, c, weights, w_row, taps, start, start_step, there, add, has_residual, lo, hi,
                            channels,
                        )  # fmt: skip
                    elif dilation_w == 1 and kernel_w == 3 and stride_w == 2:
                        three_2(
                            here, x_row, c, weights, w_row, taps, start, start_step, there, add, has_residual, lo, hi,
                            channels,
                        )  # fmt: skip
                    elif dilation_w == 1 and kernel_w == 5 and stride_w == 1:
                        five_1(
                            here, x_row, c, weights, w_row, taps, start, start_step, there, add, has_residual, lo, hi,
                            channels,
                        )  # fmt: skip
                    elif dilation_w == 1 and kernel_w == 5 and stride_w == 2:
                        five_2(
                            here, x_row, c, weights, w_row, taps, start, start_step, there, add, has_residual, lo, hi,
                            channels,
                        )  # fmt: skip
                    elif dilation_w == 1 and kernel_w == 7 and stride_w == 1:
                        seven_1(
                            here, x_row, c, weights, w_row, taps, start, start_step, there, add, has_residual, lo, hi,
                            channels,
                        )  # fmt: skip
                    else:
                        several(
                            here, x_row, x_step, stride, c, weights, w_row, taps, 0, kernel_w, start, start_step, there,
                            add, has_residual, lo, hi, channels,
                        )  # fmt: skip
                    i += step
                else:
                    left = i * stride_w - pad_left
                    first = max(0, (-left + dilation_w - 1) // dilation_w)
                    last = min(kernel_w, (width - 1 - left) // dilation_w + 1 if left < width else 0)
                    if channels >= lanes:
                        pixel(
                            here, x_row, x_step, c, weights, w_row, taps, first, last, start, start_step, there,
                            add, has_residual, lo, hi, channels,
                        )  # fmt: skip
                    else:
                        few(
                            here, x_row, x_step, c, weights, w_row, taps, first, last, start, there, add, has_residual,
                            lo, hi, channels,
                        )  # fmt: skip
                    i += 1
            if activation:
                activate(activation, alpha, y + place, c, out_w, channels)

    return body
