"""Depthwise convolution of channels-last images: vectors run over channels, and several outputs share their loads.

Every output is the bias and then one fused multiply-add per tap, in the order of the kernel, whatever path computes it;
taps on padding are left out, or add zero times a weight.
"""

from __future__ import annotations

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.activations import activator
from edge_rt.kernels.depthwise_blocks import block_of, few_channels, loop_of, pixel_of
from edge_rt.kernels.memory import address
from edge_rt.lowering.conv import DEPTHWISE_F32

INNER, LEFT, RIGHT = range(3)
"""Where a block lies: windows without padding, or padding at the left of the first, or at the right of the last."""


def narrow_blocks(lanes, outputs):
    """run(where, stride, ...): blocks for 3 columns, with one column of padding at an edge."""
    whole_1, whole_2 = block_of(3, 1, outputs, lanes, 3), block_of(3, 2, outputs, lanes, 3)
    inner_1, left_1, right_1 = edge_blocks(3, 1, outputs, lanes, 1)
    inner_2, left_2, right_2 = edge_blocks(3, 2, outputs, lanes, 1)

    def run(where, stride, x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels):
        if stride == 1:
            if where == LEFT:
                left_1(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels)
            elif where == RIGHT:
                right_1(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels)
            elif taps == 3:
                whole_1(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels)
            else:
                inner_1(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels)
        elif where == LEFT:
            left_2(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels)
        elif where == RIGHT:
            right_2(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels)
        elif taps == 3:
            whole_2(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels)
        else:
            inner_2(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels)

    return run


def edge_blocks(kernel_w, stride, outputs, lanes, padding):
    """The blocks for INNER, LEFT and RIGHT."""
    edges = (0, 0), (padding, 0), (0, padding)
    return [block_of(kernel_w, stride, outputs, lanes, 0, left, right) for left, right in edges]


def wide_blocks(lanes, outputs, many):
    """run(where, kernel_w, stride, step, ...): blocks of `step` outputs (`many` only within) for 5 columns, with two
    columns of padding at an edge where the stride is 1, and for 7."""
    five_1, left_1, right_1 = edge_blocks(5, 1, outputs, lanes, 2)
    five_2, seven_1 = block_of(5, 2, outputs, lanes), block_of(7, 1, outputs, lanes)
    five_many, seven_many = block_of(5, 1, many, lanes), block_of(7, 1, many, lanes)

    def run(
        where, kernel_w, stride, step,
        x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels,
    ):  # fmt: skip
        if kernel_w == 7:
            if step == many:
                seven_many(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels)
            else:
                seven_1(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels)
        elif stride == 2:
            five_2(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels)
        elif where == LEFT:
            left_1(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels)
        elif where == RIGHT:
            right_1(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels)
        elif step == many:
            five_many(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels)
        else:
            five_1(x, x_row, c, w, w_row, taps, start, start_step, y, residual, has_residual, lo, hi, channels)

    return run


@kernel(DEPTHWISE_F32)
def depthwise_f32(target):
    # More outputs hide the latency of long chains of taps; machines with 16 registers (8 lanes) have no room for 8.
    # More outputs hide the latency of long chains of taps; machines with 16 registers (8 lanes) have no room for 8.
    lanes, outputs, many = target.lanes, 4, 6 if target.lanes == 8 else 8
    half = max(4, lanes // 2)
    activate = activator(target)
    three, half_three, wide = narrow_blocks(lanes, outputs), narrow_blocks(half, outputs), wide_blocks(lanes, outputs, many)
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
        beyond = (out_w - 1) * stride_w + kernel_w - pad_left - width
        is_three = dilation_w == 1 and kernel_w == 3 and stride_w <= 2
        is_wide = dilation_w == 1 and ((kernel_w == 5 and stride_w <= 2) or (kernel_w == 7 and stride_w == 1))
        edge = 1 if is_three else 2 if is_wide and kernel_w == 5 and stride_w == 1 else 0
        has_left, has_right = edge > 0 and pad_left == edge, edge > 0 and beyond == edge
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
            in_blocks = channels >= lanes or (is_three and channels >= half)
            i = 0
            while i < out_w:
                where, step = INNER, outputs
                if not in_blocks:
                    step = 1
                elif i >= inner_first and i + outputs <= inner_last:
                    if is_wide and stride_w == 1 and i + many <= inner_last:
                        step = many
                elif i == 0 and has_left and outputs <= inner_last:
                    where = LEFT
                elif has_right and i >= out_w - outputs and out_w - outputs >= inner_first:
                    where, i = RIGHT, out_w - outputs
                elif i >= inner_first and i < inner_last and inner_last - outputs >= inner_first:
                    # What a block computes once more has the same bits.
                    i = inner_last - outputs
                else:
                    step = 1
                here, there, add = source + i * stride, y + (place + i * c), residual + (place + i * c)
                if step > 1 and is_three:
                    if channels >= lanes:
                        three(
                            where, stride_w, here, x_row, c, weights, w_row, taps, start, start_step, there, add,
                            has_residual, lo, hi, channels,
                        )  # fmt: skip
                    else:
                        half_three(
                            where, stride_w, here, x_row, c, weights, w_row, taps, start, start_step, there, add,
                            has_residual, lo, hi, channels,
                        )  # fmt: skip
                elif step > 1 and is_wide:
                    wide(
                        where, kernel_w, stride_w, step, here, x_row, c, weights, w_row, taps, start, start_step, there,
                        add, has_residual, lo, hi, channels,
                    )  # fmt: skip
                elif step > 1:
                    several(
                        here, x_row, x_step, stride, c, weights, w_row, taps, 0, kernel_w, start, start_step, there,
                        add, has_residual, lo, hi, channels,
                    )  # fmt: skip
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
                i += step
            if activation:
                activate(activation, alpha, y + place, c, out_w, channels)

    return body
