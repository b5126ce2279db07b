"""Resizing of channels-last images by tables of neighbours and weights: rows first, as one line, then pixels of it."""

from __future__ import annotations

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.memory import F32
from edge_rt.kernels.simd import Vec, fma, load, load_first, splat, store, store_first
from edge_rt.lowering.pool import RESIZE_F32


@kernel(RESIZE_F32)
def resize_f32(target):
    lanes = target.lanes
    FOUR, ONE = Vec(F32, lanes, (4,)), Vec(F32, lanes, (1,))
    wide, narrow = 4 * lanes, lanes

    def mix_rows(x, row_at, weight_at, taps, size, line):
        """line[0:size] = the weighted sum of `taps` rows of x."""
        q = 0
        while q + wide <= size:
            total = splat(FOUR, 0)
            for r in range(taps):
                total = fma(load(FOUR, x + (row_at[r] * size + q)), weight_at[r], total)
            store(line + q, total)
            q += wide
        while q < size:
            count = min(narrow, size - q)
            one = splat(ONE, 0)
            for r in range(taps):
                one = fma(load_first(ONE, x + (row_at[r] * size + q), count), weight_at[r], one)
            store_first(line + q, one, count)
            q += count

    def mix_pixels(line, column_at, share_at, taps, c, to):
        """to[0:c] = the weighted sum of `taps` pixels of a line that may be read up to a vector beyond its end."""
        q = 0
        while q + wide <= c:
            total = splat(FOUR, 0)
            for k in range(taps):
                total = fma(load(FOUR, line + (column_at[k] * c + q)), share_at[k], total)
            store(to + q, total)
            q += wide
        while q < c:
            one = splat(ONE, 0)
            for k in range(taps):
                one = fma(load(ONE, line + (column_at[k] * c + q)), share_at[k], one)
            store_first(to + q, one, min(narrow, c - q))
            q += narrow

    def body(
        x, y, rows, row_weights, columns, column_weights, lines, n, h, w, c, out_h, out_w, row_taps, column_taps, y_row,
        part, parts,
    ):  # fmt: skip
        size = w * c
        line = lines + part * (size + 16)
        total = n * out_h
        for at in range(total * part // parts, total * (part + 1) // parts):
            image = at // out_h
            row = at - image * out_h
            mix_rows(x + image * h * size, rows + row * row_taps, row_weights + row * row_taps, row_taps, size, line)
            for i in range(out_w):
                to = y + (at * out_w + i) * y_row
                mix_pixels(line, columns + i * column_taps, column_weights + i * column_taps, column_taps, c, to)

    return body
