"""Depthwise convolution of channels-last images: vectors run over channels, and outputs share what they load.

Every output is the bias and then one fused multiply-add per tap, in the order of the kernel, whatever path computes it;
taps on padding are left out, or add zero times a weight.
"""

from __future__ import annotations

from edge_rt.kernels._registry import apart, kernel
from edge_rt.kernels.activations import activator
from edge_rt.kernels.depthwise_blocks import row_of
from edge_rt.kernels.depthwise_rows import residual_adder, row_strips
from edge_rt.kernels.depthwise_strips import NARROW, strip_runner
from edge_rt.kernels.memory import F32, address
from edge_rt.kernels.registers import hide
from edge_rt.kernels.simd import Vec, load, splat, store
from edge_rt.lowering.conv import DEPTHWISE_F32

STRIPS = (3, 1), (3, 2), (5, 1), (5, 2), (7, 1)
"""Kernel and stride of what is computed in strips: windows 31, 32, 51, 52, 71; 0 stands for all others."""
HALF = 100
"""Added to windows whose channels fill half a vector only."""


def strip_chooser(target):
    """(run(windows, ...), sizes_of(windows, out_w): `most`, `inner` and `down`), see `strip_runner`."""
    half = target.lanes // 2

    def runner(k, s, lanes):
        return row_strips(k, s, lanes) if target.lanes == 8 else strip_runner(k, s, lanes, target.arch)

    cases = [(10 * k + s, runner(k, s, target.lanes)) for k, s in STRIPS]
    if half >= 4:
        cases += [(HALF + 10 * k + s, runner(k, s, half)) for k, s in STRIPS if k == 3]

    def chain(remaining):
        windows, (run, sizes) = remaining[0]
        if len(remaining) == 1:
            return run_only(run), lambda wanted, out_w: sizes(out_w)
        other_run, other_sizes = chain(remaining[1:])

        def choose(
            wanted, outputs, edges, x, image, w, w_row, top, start, start_step, y, residual, output, channels
        ):
            if wanted == windows:
                run(outputs, edges, x, image, w, w_row, top, start, start_step, y, residual, output, channels)
            else:
                other_run(
                    wanted, outputs, edges, x, image, w, w_row, top, start, start_step, y, residual, output, channels
                )

        return choose, lambda wanted, out_w: sizes(out_w) if wanted == windows else other_sizes(wanted, out_w)

    return chain(cases)


def run_only(run):
    def choose(wanted, outputs, edges, x, image, w, w_row, top, start, start_step, y, residual, output, channels):
        run(outputs, edges, x, image, w, w_row, top, start, start_step, y, residual, output, channels)

    return choose


def row_averager(lanes):
    """average(y, c, width, rows, channels, means): means[row * c + q] = the mean of the row's y[:width, q], pixels c apart,
    for q < channels, of which there are at least `lanes`."""
    ONE = Vec(F32, lanes, (1,))

    @apart
    def average(y, c, width, rows, channels, means):
        share = F32(1) / F32(width)
        for _ in range(rows):
            for q in range(0, channels, lanes):
                # The last vector reaches back over channels that are done, and computes them again.
                at = min(q, channels - lanes)
                pixel, total = y + at, splat(ONE, 0.0)
                for _ in range(width >> 2):
                    first, second = load(ONE, pixel) + load(ONE, pixel + c), pixel + 2 * c
                    total = total + (first + (load(ONE, second) + load(ONE, second + c)))
                    pixel += 4 * c
                for _ in range(hide(width & 3)):  # LLVM would unroll what it knows to be short
                    total = total + load(ONE, pixel)
                    pixel += c
                store(means + at, total * share)
            y += width * c
            means += c

    return average


@kernel(DEPTHWISE_F32)
def depthwise_f32(target):
    lanes = target.lanes
    half = lanes // 2 if lanes > 4 else lanes
    activate, any_row = activator(target), row_of(4, lanes)
    run_strip, sizes_of = strip_chooser(target)
    has_rows, add_residual = target.lanes == 8, residual_adder(lanes)
    average = row_averager(lanes)

    def windows_of(geometry, channels):
        width, pad_left, out_w = geometry[2], geometry[9], geometry[13]
        k, stride = geometry[4], geometry[7]
        is_square = geometry[5] == k and geometry[10] == 1 and geometry[11] == 1
        beyond = (out_w - 1) * stride + k - pad_left - width
        if not is_square or out_w < NARROW or pad_left > k // 2 or beyond > k // 2:
            return 0
        if k == 3 and stride <= 2 and half <= channels < lanes:
            return HALF + 10 * k + stride
        if channels >= lanes and (((k == 3 or k == 5) and stride <= 2) or (k == 7 and stride == 1)):
            return 10 * k + stride
        return 0

    def body(
        x, w, bias, residual, y, means, zeros, geometry, band, band_alone, channel_block, lo, hi, activation, alpha, part,
        parts,
    ):  # fmt: skip
        images, h, width, c = geometry[0], geometry[1], geometry[2], geometry[3]
        kernel_w, stride_h, stride_w = geometry[5], geometry[6], geometry[7]
        pad_top, pad_left, out_h, out_w = geometry[8], geometry[9], geometry[12], geometry[13]
        if parts == 1:
            band = band_alone
        has_bias, has_residual, has_means = address(bias) != 0, address(residual) != 0, address(means) != 0
        start_step = 1 if has_bias else 0
        x_row, w_row, y_row = width * c, kernel_w * c, out_w * c
        blocks, bands = max(1, c // channel_block), (out_h + band - 1) // band
        windows = windows_of(geometry, min(c, channel_block))
        most, inner, down = sizes_of(windows, out_w)
        if windows == 0 or stride_h != stride_w:  # a strip goes down by what it goes across
            down = 1
        units = images * bands * blocks
        for unit in range(units * part // parts, units * (part + 1) // parts):
            group = unit // blocks
            block = unit - group * blocks
            image = group // bands
            first_channel = block * channel_block
            channels = c - first_channel if block == blocks - 1 else channel_block
            out_row = (group - image * bands) * band
            last_row = min(out_row + band, out_h)
            weights, start = w + first_channel, bias + first_channel if has_bias else zeros
            i = 0
            while out_row < last_row:
                rows = min(down, last_row - out_row)
                top = out_row * stride_h - pad_top
                columns = NARROW if out_w < most or out_w - i <= NARROW else most
                if windows == 0:
                    columns = out_w
                elif i * stride_w >= pad_left and (i + inner - 1) * stride_w + kernel_w - pad_left <= width:
                    columns = inner
                # What a strip computes once more has the same bits.
                i = min(i, out_w - columns)
                source = x + (((image * h + top) * width + i * stride_w - pad_left) * c + first_channel)
                place = ((image * out_h + out_row) * out_w + i) * c + first_channel
                if windows == 0:
                    any_row(
                        source, top, geometry, weights, start, start_step, y + place, residual + place, has_residual, lo,
                        hi, channels,
                    )  # fmt: skip
                else:
                    left = max(0, pad_left - i * stride_w)
                    right = max(0, (i + columns - 1) * stride_w + kernel_w - pad_left - width)
                    edges = left, right, zeros
                    run_strip(
                        windows, columns, edges, source, (x_row, c, max(0, top), h), weights, w_row, top, start,
                        start_step, y + place, residual + place, (y_row, has_residual, lo, hi, rows), channels,
                    )  # fmt: skip
                if has_rows and windows and has_residual:
                    add_residual(y + place, residual + place, c, columns, rows, y_row, lo, hi, channels)
                if activation:
                    for r in range(rows):
                        activate(activation, alpha, y + (place + r * y_row), c, columns, channels)
                i += columns
                if i == out_w:
                    i = 0
                    if has_means:
                        first = (image * out_h + out_row) * c + first_channel
                        average(y + (place - (out_w - columns) * c), c, out_w, rows, channels, means + first)
                    out_row += rows

    return body
