"""Where the rows of a convolution's matrix lie, so that GEMM tiles run over the image itself.

In an NHWC image the pixels of a kernel row lie together, and the windows of neighbouring output pixels lie at equal
distances: a tile steps from window to window with one stride, and from one kernel row (a segment) to the next by a table of
offsets. Only where windows reach over the edge is a block of the image copied first, with zeros around it.
"""

from __future__ import annotations

from edge_rt.kernels._registry import apart
from edge_rt.kernels.memory import copier, filler
from edge_rt.lowering.windows import (
    BLOCK_COLUMNS,
    BLOCK_ROWS,
    BLOCKS_DOWN,
    BLOCKS_WIDE,
    CHANNELS,
    HEIGHT,
    IS_COPIED,
    IS_TURNED,
    OUT_HEIGHT,
    OUT_WIDTH,
    PAD_LEFT,
    PAD_TOP,
    PITCH,
    PIXEL,
    STRIDE_DOWN,
    STRIDE_WIDE,
    WIDTH,
    WINDOW_COLUMNS,
    WINDOW_ROWS,
)  # fmt: skip


def window_finder(lanes):
    """find(x, readable, geometry, place, y_row, scratch): where the place-th block of output pixels has its windows.

    x: f32[n, h, w, c] from the group's first channel on, of which `readable` numbers may be read. Gives (first, step,
    line_step, y_first, y_step, y_line, lines, width): `lines` lines of `width` output pixels; the first pixel's window is
    at `first`, that of a line's next pixel `step` numbers further, that of the next line's first pixel line_step; results
    likewise from y_first on, in numbers.
    """
    copy, fill = copier(lanes), filler(lanes)

    @apart
    def copy_window(x, readable, geometry, image, top, left, rows, scratch):
        h, w, pixel, channels = geometry[HEIGHT], geometry[WIDTH], geometry[PIXEL], geometry[CHANNELS]
        columns, pitch = geometry[WINDOW_COLUMNS], geometry[PITCH]
        begin = min(columns, max(0, -left))
        end = max(begin, min(columns, w - left))
        # Each move may write a little too far: what comes after it puts that right.
        for r in range(rows):
            line, y = scratch + r * columns * pitch, top + r
            if y < 0 or y >= h:
                fill(line, 0.0, columns * pitch)
                continue
            fill(line, 0.0, begin * pitch)
            source = ((image * h + y) * w + left + begin) * pixel
            if pixel == pitch:
                copy(line + begin * channels, x + source, (end - begin) * channels, readable - source)
            else:
                for q in range(begin, end):
                    copy(line + q * pitch, x + source, channels, readable - source)
                    source += pixel
            fill(line + end * pitch, 0.0, (columns - end) * pitch)

    def find(x, readable, geometry, place, y_row, scratch):
        out_h, out_w = geometry[OUT_HEIGHT], geometry[OUT_WIDTH]
        stride_h, stride_w = geometry[STRIDE_DOWN], geometry[STRIDE_WIDE]
        blocks_wide = geometry[BLOCKS_WIDE]
        above = place // blocks_wide
        image = above // geometry[BLOCKS_DOWN]
        row = (above - image * geometry[BLOCKS_DOWN]) * geometry[BLOCK_ROWS]
        column = (place - above * blocks_wide) * geometry[BLOCK_COLUMNS]
        rows, columns = min(geometry[BLOCK_ROWS], out_h - row), min(geometry[BLOCK_COLUMNS], out_w - column)
        if geometry[IS_COPIED]:
            overlap = geometry[WINDOW_ROWS] - (geometry[BLOCK_ROWS] - 1) * stride_h
            top, left = row * stride_h - geometry[PAD_TOP], column * stride_w - geometry[PAD_LEFT]
            copy_window(x, readable, geometry, image, top, left, (rows - 1) * stride_h + overlap, scratch)
            first, wide = scratch, geometry[PITCH]
            down = geometry[WINDOW_COLUMNS] * wide
        else:
            wide = geometry[PIXEL]
            down = geometry[WIDTH] * wide
            first = x + ((image * geometry[HEIGHT] + row * stride_h) * down + column * stride_w * wide)
        wide, down = wide * stride_w, down * stride_h
        y_first, y_down = ((image * out_h + row) * out_w + column) * y_row, out_w * y_row
        if geometry[IS_TURNED]:
            return first, down, wide, y_first, y_down, y_row, columns, rows
        return first, wide, down, y_first, y_row, y_down, rows, columns

    return find


