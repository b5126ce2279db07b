"""Rows of a depthwise convolution with any kernel, stride, dilation, padding and number of channels."""

from __future__ import annotations

from edge_rt.kernels.memory import F32
from edge_rt.kernels.simd import Vec, clamp, fma, load, load_first, store, store_first


def loop_of(outputs, lanes):
    """loop(...): `outputs` neighbours, over the kernel's columns `first` to `last`."""
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
    """pixel(...): one output, over the kernel's columns `first` to `last`."""
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


def row_of(outputs, lanes):
    """row(...): a row of outputs, in blocks of `outputs` where no window sees padding at its sides."""
    several, pixel, few = loop_of(outputs, lanes), pixel_of(lanes), few_channels(lanes)

    def row(x, top, geometry, w, start, start_step, y, residual, has_residual, lo, hi, channels):
        """x: the first pixel of the first window, whose first row is row `top` of the image. geometry: the kernel's."""
        h, width, c, kernel_h, kernel_w = geometry[1], geometry[2], geometry[3], geometry[4], geometry[5]
        stride_w, pad_left, dilation_h, dilation_w = geometry[7], geometry[9], geometry[10], geometry[11]
        out_w = geometry[13]
        # Columns inner_first..inner_last see no padding at the sides.
        inner_first = min(out_w, (pad_left + stride_w - 1) // stride_w)
        reach = width - 1 - (kernel_w - 1) * dilation_w + pad_left
        inner_last = max(inner_first, min(out_w, reach // stride_w + 1 if reach >= 0 else 0))
        first_tap = max(0, (-top + dilation_h - 1) // dilation_h)
        last_tap = max(first_tap, min(kernel_h, (h - 1 - top) // dilation_h + 1 if top < h else 0))
        taps = last_tap - first_tap
        x_row, x_step, w_row, stride = dilation_h * width * c, dilation_w * c, kernel_w * c, stride_w * c
        x += first_tap * x_row
        w += first_tap * w_row
        i = 0
        while i < out_w:
            step = 1
            if channels >= lanes and i >= inner_first and i < inner_last and inner_last - outputs >= inner_first:
                # What a block computes once more has the same bits.
                step, i = outputs, min(i, inner_last - outputs)
            here, there, add = x + i * stride, y + i * c, residual + i * c
            left = i * stride_w - pad_left
            first = max(0, (-left + dilation_w - 1) // dilation_w)
            last = min(kernel_w, (width - 1 - left) // dilation_w + 1 if left < width else 0)
            if step > 1:
                several(
                    here, x_row, x_step, stride, c, w, w_row, taps, 0, kernel_w, start, start_step, there, add,
                    has_residual, lo, hi, channels,
                )  # fmt: skip
            elif channels >= lanes:
                pixel(
                    here, x_row, x_step, c, w, w_row, taps, first, last, start, start_step, there, add, has_residual, lo,
                    hi, channels,
                )  # fmt: skip
            else:
                few(
                    here, x_row, x_step, c, w, w_row, taps, first, last, start, there, add, has_residual, lo, hi, channels
                )
            i += step

    return row
