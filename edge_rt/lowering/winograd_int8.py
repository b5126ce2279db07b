"""Convolutions of 8-bit images by 3x3 windows, by Winograd's minimal filtering in integers: as exact as without."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edge_rt.lowering._spec import Arg, Call, KernelSpec, Scratch, Table, parts_for
from edge_rt.lowering.gemm import ceil_div
from edge_rt.lowering.pack_int8 import Bytes, windows_call
from edge_rt.lowering.windows import even
from edge_rt.ops._panels import WIDTH
from edge_rt.ops._windows import Geometry

if TYPE_CHECKING:
    from edge_rt.lowering.gemm_int8 import Epilogue

WINOGRAD_INT8 = KernelSpec(
    "winograd_int8",
    "x:u8* panels:i8* sums:i32* a_zero:u8* a_scale:f32* scale:f32* bias:i32* y:u8* buffer:u8* geometry:i64* scale_step:i64 "
    "flip:i64 lo:f32 hi:f32 y_zero:i64 y_flip:i64",
)
"""y [n, oh, ow, N] of edge.QConv: 3x3, by steps of one, for results that are bytes with halves rounded to even.

x: uint8 [n, 2 * TILES_DOWN + 2, 2 * TILES_WIDE + 2, CHANNELS], with its padding. panels: as of edge.QConv. The output is cut
into tiles of two by two pixels, whose windows see four by four. Work is shared by TILE_BLOCK tiles and PANEL_BLOCK panels;
DEPTH channels, of which CHANNELS is a multiple, are summed before moving on. buffer: PART_BYTES for each part. The others
are those of GEMM_INT8.
"""

(
    IMAGES, CHANNELS, OUT_HEIGHT, OUT_WIDTH, COLUMNS, TILES_DOWN, TILES_WIDE, TILE_BLOCK, PANEL_BLOCK, DEPTH, PART_BYTES,
) = range(11)  # fmt: skip
"""Places in the geometry (int64)."""

TILE, SEEN = 2, 4
POINTS = SEEN * SEEN
LINE = 64
"""Bytes between points, so that they do not meet in the same places of a cache."""
STEP = 32
"""Channels are a multiple of it."""
_MOST_DEPTH, _MOST_CHANNELS = 128, 1024
"""Four times a sum of so many channels still fits int32, whatever the bytes."""
_SEEN_BYTES = 3 << 16
"""Of transformed tiles of a block, at most: they stay in the second cache."""
_LEAST_TILES = 12
"""So many pay for transforming the weights."""


def is_worth_it(shape: tuple[int, ...], g: Geometry, n: int) -> bool:
    """Whether a convolution of x [n, h, w, c] of one group is done so, on machines without 8-bit dot products."""
    if g.kernel != (3, 3) or g.strides != (1, 1) or g.dilations != (1, 1):
        return False
    if shape[3] % STEP or not STEP <= shape[3] <= _MOST_CHANNELS or n < WIDTH:
        return False
    pixels, tiles = shape[0] * math.prod(g.out), shape[0] * math.prod(ceil_div(size, TILE) for size in g.out)
    return tiles >= _LEAST_TILES and 3 * pixels >= 2 * TILE * TILE * tiles


def point_bytes(tiles: int, depth: int) -> tuple[int, int, int]:
    """From a point to the next: of transformed weights, tiles and products of so many tiles and channels."""
    return 2 * depth * WIDTH + LINE, 2 * depth * tiles + LINE, 4 * WIDTH * tiles + LINE


def winograd_calls(
    x: Arg, panels: Arg, y: Arg, shape: tuple[int, ...], g: Geometry, n: int, sign: Bytes, epilogue: Epilogue
) -> list[Call]:
    """A convolution of x [n, h, w, c] of this shape with edge.QConv's panels."""
    images, channels, panel_count = shape[0], shape[3], ceil_div(n, WIDTH)
    down, wide = (ceil_div(size, TILE) for size in g.out)
    rows, columns = TILE * down + 2, TILE * wide + 2
    tiles, work = images * down * wide, 2 * images * math.prod(g.out) * 9 * channels * n
    depth = next(d for d in range(_MOST_DEPTH, 0, -STEP) if channels % d == 0)
    tile_block = even(tiles, max(2 * _LEAST_TILES, _SEEN_BYTES // (2 * POINTS * channels)))
    blocks = ceil_div(tiles, tile_block)
    wanted = parts_for(work // 48, blocks * ceil_div(panel_count, 2))
    panel_block = ceil_div(panel_count, ceil_div(wanted, blocks))
    units = blocks * ceil_div(panel_count, panel_block)
    of_weights, of_tiles, of_products = point_bytes(tile_block, depth)
    room = POINTS * (of_weights + of_tiles * (channels // depth) + of_products)
    parts = min(wanted, units)
    geometry = [images, channels, *g.out, n, down, wide, tile_block, panel_block, depth, room]
    scratch = [images * rows * columns * channels, parts * room]
    copy = [*shape, 1, channels, rows, columns, channels, 1, 1, 1, *g.begin, 1]
    names = ("sums", "a_zero", "a_scale", "scale", "bias", "scale_step", "flip", "lo", "hi", "y_zero", "y_flip")
    return [
        windows_call(x, epilogue.args["a_zero"], Scratch(0), sign, copy, scratch=scratch),
        WINOGRAD_INT8(
            x=Scratch(0), panels=panels, y=y, buffer=Scratch(1), geometry=Table(geometry), parts=parts,
            scratch=scratch, flops=work, **{name: epilogue.args[name] for name in names},
        ),
    ]  # fmt: skip
