"""Pools of channels-last images: vectors run over channels."""

from __future__ import annotations

import numpy as np
from numba.core import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.memory import F32
from edge_rt.kernels.simd import Vec, load, load_first, maximum, splat, store, store_first
from edge_rt.kernels.vmath import larger as larger_or_nan
from edge_rt.lowering.pool import AVERAGE_POOL_F32, MAX_POOL
from edge_rt.types import DType

NUMBERS = {DType.FLOAT32: (F32, -np.inf), DType.INT8: (types.int8, -128), DType.UINT8: (types.uint8, 0)}
"""Of each element type, the kernel's and the lowest number."""


def window_loop(number, lowest, lanes, vectors, averages):
    """A function of one window and `vectors` vectors of channels; `partly` of them, if the channels are fewer."""
    TILE = Vec(number, lanes, (vectors,))
    least = 0 if averages else lowest
    larger = larger_or_nan if number is F32 else maximum

    def whole(x, y, rows, columns, x_row, x_column, count):
        total = splat(TILE, least)
        for r in range(rows):
            line = splat(TILE, least)
            for k in range(columns):
                seen = load(TILE, x + (r * x_row + k * x_column))
                line = line + seen if averages else larger(seen, line)
            total = total + line if averages else larger(line, total)
        store(y, total / count if averages else total)

    def partly(x, y, rows, columns, x_row, x_column, count, channels):
        total = splat(TILE, least)
        for r in range(rows):
            line = splat(TILE, least)
            for k in range(columns):
                seen = load_first(TILE, x + (r * x_row + k * x_column), channels)
                line = line + seen if averages else larger(seen, line)
            total = total + line if averages else larger(line, total)
        store_first(y, total / count if averages else total, channels)

    return whole, partly


def pool(target, dtype, averages):
    number, lowest = NUMBERS[dtype]
    lanes = target.lanes * 4 // dtype.itemsize
    wide, narrow = 4 * lanes, lanes
    four, _ = window_loop(number, lowest, lanes, 4, averages)
    one, few = window_loop(number, lowest, lanes, 1, averages)

    def body(x, y, geometry, part, parts):
        images, h, w, c = geometry[0], geometry[1], geometry[2], geometry[3]
        kernel_h, kernel_w, stride_h, stride_w = geometry[4], geometry[5], geometry[6], geometry[7]
        pad_top, pad_left, pad_bottom, pad_right = geometry[8], geometry[9], geometry[10], geometry[11]
        dilation_h, dilation_w, out_h, out_w = geometry[12], geometry[13], geometry[14], geometry[15]
        counts_pads = geometry[16]
        lines, reach = images * out_h, (kernel_w - 1) * dilation_w
        for line in range(lines * part // parts, lines * (part + 1) // parts):
            image = line // out_h
            top = (line - image * out_h) * stride_h - pad_top
            first_r = max(0, (-top + dilation_h - 1) // dilation_h)
            last_r = min(kernel_h, (h - 1 - top) // dilation_h + 1 if top < h else 0)
            rows = max(0, last_r - first_r)
            counted_rows = min(kernel_h, (h + pad_bottom - 1 - top) // dilation_h + 1) if counts_pads else rows
            for i in range(out_w):
                left = i * stride_w - pad_left
                first_k, columns, counted = 0, kernel_w, kernel_w
                if left < 0 or left + reach >= w:
                    first_k = max(0, (-left + dilation_w - 1) // dilation_w)
                    last_k = min(kernel_w, (w - 1 - left) // dilation_w + 1 if left < w else 0)
                    columns = max(0, last_k - first_k)
                    counted = min(kernel_w, (w + pad_right - 1 - left) // dilation_w + 1) if counts_pads else columns
                count = F32(counted_rows * counted)
                source = x + ((image * h + top + first_r * dilation_h) * w + left + first_k * dilation_w) * c
                to = y + (line * out_w + i) * c
                q = 0
                while q + wide <= c:
                    four(source + q, to + q, rows, columns, dilation_h * w * c, dilation_w * c, count)
                    q += wide
                while q + narrow <= c:
                    one(source + q, to + q, rows, columns, dilation_h * w * c, dilation_w * c, count)
                    q += narrow
                if q < c:
                    few(source + q, to + q, rows, columns, dilation_h * w * c, dilation_w * c, count, c - q)

    return body


def _register_max(dtype, spec):
    @kernel(spec)
    def max_pool(target):
        return pool(target, dtype, False)


for _dtype, _spec in MAX_POOL.items():
    _register_max(_dtype, _spec)


@kernel(AVERAGE_POOL_F32)
def average_pool_f32(target):
    return pool(target, DType.FLOAT32, True)
