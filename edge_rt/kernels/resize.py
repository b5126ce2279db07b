"""Resizing of channels-last images by tables of neighbours and weights: vectors run over channels."""

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

    def body(
        x, y, rows, row_weights, columns, column_weights, n, h, w, c, out_h, out_w, row_taps, column_taps, y_row, part,
        parts,
    ):  # fmt: skip
        lines = n * out_h
        for line in range(lines * part // parts, lines * (part + 1) // parts):
            image = line // out_h
            row = line - image * out_h
            row_at, weight_at = rows + row * row_taps, row_weights + row * row_taps
            for i in range(out_w):
                to = y + (line * out_w + i) * y_row
                column_at, share_at = columns + i * column_taps, column_weights + i * column_taps
                q = 0
                while q + wide <= c:
                    total = splat(FOUR, 0)
                    for r in range(row_taps):
                        source = x + ((image * h + row_at[r]) * w * c + q)
                        mixed = splat(FOUR, 0)
                        for k in range(column_taps):
                            mixed = fma(load(FOUR, source + column_at[k] * c), share_at[k], mixed)
                        total = fma(mixed, weight_at[r], total)
                    store(to + q, total)
                    q += wide
                while q < c:
                    count = min(narrow, c - q)
                    one = splat(ONE, 0)
                    for r in range(row_taps):
                        source = x + ((image * h + row_at[r]) * w * c + q)
                        across = splat(ONE, 0)
                        for k in range(column_taps):
                            across = fma(load_first(ONE, source + column_at[k] * c, count), share_at[k], across)
                        one = fma(across, weight_at[r], one)
                    store_first(to + q, one, count)
                    q += count

    return body
