"""How a convolution's output is cut into blocks, and where their windows lie in the image: see kernels/windows.py."""

from __future__ import annotations

import math

from edge_rt.lowering._layout import ceil_div
from edge_rt.lowering._spec import parts_for
from edge_rt.ops._windows import Geometry

(
    HEIGHT, WIDTH, PIXEL, CHANNELS, OUT_HEIGHT, OUT_WIDTH, STRIDE_DOWN, STRIDE_WIDE, PAD_TOP, PAD_LEFT, IMAGES, BLOCKS_DOWN,
    BLOCKS_WIDE, BLOCK_ROWS, BLOCK_COLUMNS, WINDOW_ROWS, WINDOW_COLUMNS, IS_COPIED, IS_TURNED, SCRATCH, SEGMENTS, SEGMENT_K,
    SEGMENTS_TOGETHER, PITCH, SLIDING, OFFSETS,
) = range(26)  # fmt: skip
"""Places in the table (int64). PIXEL: numbers from one pixel to the next; CHANNELS: of a group. A block has BLOCK_ROWS x
BLOCK_COLUMNS output pixels, whose windows cover WINDOW_ROWS x WINDOW_COLUMNS pixels; where IS_COPIED, these are copied to
scratch first (SCRATCH numbers for each part), PITCH numbers from one pixel to the next, with zeros for padding. Tiles run
along output rows, or down columns where IS_TURNED. A window is SEGMENTS pieces of SEGMENT_K numbers, at the OFFSETS;
SEGMENTS_TOGETHER of them are summed before moving on. SLIDING: segments of a kernel row, where windows are three
neighbouring pixels and slide by one from row to row of a tile; else 0."""

BLOCK_PIXELS = 120
"""Output pixels of a block: whole tiles of 12, 6 and 5; with 14 rows the largest tile is as wide as images often are."""
COPY_BYTES, LARGE_COPY_BYTES = 1 << 18, 1 << 19
"""A copied window should not be larger; the second where weights pass MANY_WEIGHTS numbers: each block reads them anew."""
MANY_WEIGHTS = 1 << 19
COPY_PARTS, LARGE_COPY_PARTS = 16, 4
"""Most parts of a convolution that copies: each has a buffer, and copies what it needs."""
SHORT_LINE = 6
"""Lines with fewer output pixels make poor tiles; columns may be better."""
K_TOGETHER = 320
"""Numbers of k that are summed before moving on."""
SLIDING_BLOCK = 128
"""Channels that are summed before moving on where windows slide."""
ONE_TALL_TILE = (13, 14)
"""Lines as long as the tallest tile are better off with it than with two tiles of windows that slide."""
ALIASED = 512
"""Numbers (2 KiB): pixels a multiple of this apart evict each other from the nearest cache, so that copies put them
further apart."""
SLACK = 16
"""Numbers behind a copied window that copying may write."""


def even(size: int, most: int) -> int:
    """The size of blocks, at most `most`, that share `size` evenly."""
    return ceil_div(size, ceil_div(size, most))


class Windows:
    """table: for the kernel. blocks: of output pixels. scratch: bytes for each part, 0 where nothing is copied. k_block: the
    most numbers of a segment that are summed before moving on."""

    __slots__ = ("blocks", "k_block", "scratch", "table")

    def __init__(self, table: list[int], blocks: int, scratch: int, k_block: int) -> None:
        self.table, self.blocks, self.scratch, self.k_block = table, blocks, scratch, k_block

    @property
    def most_parts(self) -> int:
        return 64 if not self.scratch else COPY_PARTS if self.scratch <= COPY_BYTES else LARGE_COPY_PARTS


def windows(shape: tuple[int, ...], g: Geometry, group: int, columns: int, work: int) -> Windows:
    """Of a convolution of x [n, h, w, c] of this shape to `columns` channels in each of `group` groups. work: as parts_for
    takes it.
    """
    images, h, w, pixel = shape
    channels = pixel // group
    out_h, out_w = g.out
    is_copied = any((*g.begin, *g.end))
    pitch = channels + SLACK if is_copied and channels * g.strides[1] % ALIASED == 0 else channels
    is_turned = out_w < SHORT_LINE and out_h > out_w
    along, across = (out_h, out_w) if is_turned else (out_w, out_h)
    length = along if along <= 2 * BLOCK_PIXELS else even(along, BLOCK_PIXELS)
    lines = even(across, max(1, BLOCK_PIXELS // length))
    # With few pixels the work is better shared by columns: every block reads the weights anew.
    wanted = parts_for(work, COPY_PARTS if is_copied else 64) if out_h * out_w > 2 * columns else 1

    copy_bytes = LARGE_COPY_BYTES if math.prod(g.kernel) * channels * columns > MANY_WEIGHTS else COPY_BYTES

    def window(pixels: int, axis: int) -> int:
        return (pixels - 1) * g.strides[axis] + (g.kernel[axis] - 1) * g.dilations[axis] + 1

    def area(lines: int) -> int:
        rows, wide = (length, lines) if is_turned else (lines, length)
        return window(rows, 0) * window(wide, 1) * pitch

    def is_too_large(lines: int) -> bool:
        units = group * images * ceil_div(along, length) * ceil_div(across, lines)
        return units < wanted or (is_copied and 4 * area(lines) > copy_bytes)

    while lines > 1 and is_too_large(lines):
        lines = ceil_div(lines, 2)
    rows, wide = (length, lines) if is_turned else (lines, length)
    window_rows, window_columns = window(rows, 0), window(wide, 1)
    step = pitch if is_copied else pixel
    line = step * (window_columns if is_copied else w)
    taps = g.kernel[1] if group == 1 and g.dilations[1] == 1 and pitch == channels else 1
    offsets = [
        y * g.dilations[0] * line + x * g.dilations[1] * step
        for y in range(g.kernel[0])
        for x in range(0, g.kernel[1], taps)
    ]
    segment_k = taps * channels
    slides = not is_turned and g.kernel[1] == 3 and g.strides[1] == g.dilations[1] == 1
    slides = slides and (channels <= SLIDING_BLOCK or channels % 16 == 0) and length not in ONE_TALL_TILE
    scratch = ceil_div(area(lines) + SLACK, 16) * 16 if is_copied else 0
    blocks_down, blocks_wide = ceil_div(out_h, rows), ceil_div(out_w, wide)
    table = [
        h, w, pixel, channels, out_h, out_w, *g.strides, *g.begin, images, blocks_down, blocks_wide, rows, wide,
        window_rows, window_columns, int(is_copied), int(is_turned), scratch, len(offsets), segment_k,
        even(len(offsets), max(1, K_TOGETHER // segment_k)), pitch,
        3 // taps if slides else 0, *offsets,
    ]  # fmt: skip
    k_block = ceil_div(even(segment_k, K_TOGETHER), 16) * 16
    return Windows(table, images * blocks_down * blocks_wide, 4 * scratch, k_block)


def is_plain(g: Geometry) -> bool:
    """Whether the rows of the matrix are just the pixels."""
    return math.prod(g.kernel) == 1 and g.strides == (1, 1) and not any((*g.begin, *g.end))
