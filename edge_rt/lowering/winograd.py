"""Convolutions of 3x3 windows by Winograd's minimal filtering, where fewer multiplications outweigh the transforms."""

from __future__ import annotations

import math

from edge_rt.lowering._layout import ceil_div
from edge_rt.lowering._spec import Arg, Call, KernelSpec, Out, Scratch, Table, parts_for
from edge_rt.lowering.windows import even
from edge_rt.ops._panels import WIDTH
from edge_rt.ops._windows import Geometry
from edge_rt.ops.edge_gemm import EpilogueAttrs

WINOGRAD_F32 = KernelSpec(
    "winograd_f32",
    "x:f32* panels:f32* bias:f32* residual:f32* y:f32* buffer:f32* geometry:i64* y_row:i64 lo:f32 hi:f32",
    in_place=(("residual", "y"),), strided=("y", "y_row"),
)
"""y [n, oh, ow, N] = clamp(conv(x [n, h, w, c], panels [ceil(N/16), 9 * c, 16]) + bias + residual): 3x3, by steps of one.
Pixels of y and residual are y_row numbers apart.

The output is cut into tiles of TILE_ROWS x TILE_COLUMNS pixels, whose windows see SEEN_ROWS x SEEN_COLUMNS. Work is shared
by TILE_BLOCK tiles and PANEL_BLOCK panels; where KEEPS, a part keeps the transformed weights of a block of panels for the
next tiles. STAGE: the WHOLE, or two calls, so that no part makes again what another has made: one that PREPARES all weights
where KEEPS, else what all tiles see, and one that FINISHES. buffer: COMMON numbers, the rooms that are taken
(kernels/rooms.py) and what was prepared, and SCRATCH numbers for each part. bias and residual may be null.
"""

(
    IMAGES, HEIGHT, LINE, CHANNELS, OUT_HEIGHT, OUT_WIDTH, COLUMNS, PAD_TOP, PAD_LEFT, TILES_DOWN, TILES_WIDE, TILE_BLOCK,
    PANEL_BLOCK, KEEPS, STAGE, COMMON, SCRATCH,
) = range(17)  # fmt: skip
"""Places in the geometry (int64). LINE: pixels of a line of x."""

WHOLE, PREPARES, FINISHES = range(3)

TILE_ROWS, TILE_COLUMNS = 2, 4
SEEN_ROWS, SEEN_COLUMNS = TILE_ROWS + 2, TILE_COLUMNS + 2
POINTS = SEEN_ROWS * SEEN_COLUMNS
K_BLOCK = 32
"""Channels that are summed before moving on."""
PANEL = K_BLOCK * WIDTH
"""Numbers of a panel for so many channels."""
GROUPS = 5, 6, 14
"""Tiles of a group, by target: see the kernel."""

_KEPT_BYTES, _TILE_BYTES = 5 << 17, 1 << 21
"""Transformed weights that are kept for all tiles, at most: more would not stay in a core's caches. Else: transformed tiles
that one pass over the weights serves."""
_KEPT_TILES = 14
"""Tiles of a block where weights are kept: a whole group of each target."""
_MOST_PARTS, _MOST_BUFFERS = 8, 4
"""Most parts; and of those that prepare each for itself, which takes larger buffers."""
_LEAST_TILES = 4
"""Tiles of a part that does nothing but transform what they see."""
_LEAST_CHANNELS = 16
_GAIN = 0.9
"""What it is expected to take is at most so much of the other way."""
_COSTS = {"x86_64": (10.3, 32.0, 180.0, 280.0, 280.0), "aarch64": (46.8, 125.0, 480.0, 560.0, 520.0)}
"""What is taken, for each channel and panel, by a pixel of the direct convolution, by a tile, by weights; by a tile's inputs
for 16 channels; by a tile's outputs for a panel. Of x86 in times of a vector's multiply-add, measured; of Arm in
instructions."""


def is_worth_it(shape: tuple[int, ...], g: Geometry, n: int, arch: str) -> bool:
    """Whether a convolution of x [n, h, w, c] with f32 panels of one group is done so."""
    if g.kernel != (3, 3) or g.strides != (1, 1) or g.dilations != (1, 1) or shape[3] < _LEAST_CHANNELS:
        return False
    pixel, product, weights, inputs, outputs = _COSTS[arch]
    tiles = shape[0] * ceil_div(g.out[0], TILE_ROWS) * ceil_div(g.out[1], TILE_COLUMNS)
    work = shape[3] * ceil_div(n, WIDTH)
    took = (product * tiles + weights) * work + tiles * (inputs * shape[3] / WIDTH + outputs * ceil_div(n, WIDTH))
    return bool(took <= _GAIN * pixel * shape[0] * math.prod(g.out) * work)


def _blocks(tiles: int, panels: int, channels: int, wanted: int) -> tuple[int, int, bool]:
    """Tiles and panels of a block, and whether weights are kept for all tiles."""
    kept = 4 * POINTS * PANEL * panels * ceil_div(channels, K_BLOCK)
    if tiles > 2 * _KEPT_TILES and kept <= _KEPT_BYTES:
        return _KEPT_TILES, panels, True
    tile_block = even(tiles, max(2 * _KEPT_TILES, _TILE_BYTES // (4 * POINTS * channels)))
    if tile_block >= tiles and wanted > 1:
        return tile_block, 2, False
    shares = ceil_div(wanted, ceil_div(tiles, tile_block))
    return tile_block, 2 * ceil_div(ceil_div(panels, shares), 2), False


def plain_calls(
    x: Arg, panels: Arg, y: Arg, shape: tuple[int, ...], g: Geometry, n: int, bias: Arg, residual: Arg, lo: float, hi: float
) -> list[Call]:
    """A convolution without an activation, as of the kernel."""
    images, h, w, channels = shape
    down, wide = ceil_div(g.out[0], TILE_ROWS), ceil_div(g.out[1], TILE_COLUMNS)
    tiles, depths, all_panels = images * down * wide, ceil_div(channels, K_BLOCK), ceil_div(n, WIDTH)
    work = 2 * images * math.prod(g.out) * 9 * channels * n
    wanted = parts_for(work // 24, _MOST_PARTS)
    tile_block, panel_block, keeps = _blocks(tiles, all_panels, channels, wanted)
    units = ceil_div(tiles, tile_block) * ceil_div(all_panels, panel_block)
    in_stages = wanted > 1 and units > 1 and (keeps or tile_block >= tiles)
    parts = min(wanted, units) if in_stages else min(wanted, units, _MOST_BUFFERS)

    weights = POINTS * (PANEL + WIDTH) * (2 * ceil_div(panel_block, 2) * depths if keeps else 2)
    groups = [(ceil_div(tile_block, size), size) for size in GROUPS]
    inputs = max(POINTS * count * (size * K_BLOCK + WIDTH) * depths for count, size in groups)
    products = max(POINTS * count * (2 * size * WIDTH + WIDTH) for count, size in groups)
    shared = 0 if not in_stages else weights if keeps else inputs
    common = shared + WIDTH if in_stages else 0
    scratch = ceil_div(weights + products + inputs - shared + POINTS * channels, WIDTH) * WIDTH + 4 * WIDTH

    def call(stage: int, parts: int, flops: int) -> Call:
        table = [
            images, h, w, channels, *g.out, n, *g.begin, down, wide, tile_block, panel_block, int(keeps), stage, common,
            scratch,
        ]  # fmt: skip
        return WINOGRAD_F32(
            x=x, panels=panels, bias=bias, residual=residual, y=y, buffer=Scratch(0), geometry=Table(table), y_row=n,
            lo=lo, hi=hi, parts=parts, scratch=[4 * (common + parts * scratch)], flops=flops,
        )  # fmt: skip

    if not in_stages:
        return [call(WHOLE, parts, work)]
    shares = ceil_div(all_panels, 2) if keeps else ceil_div(tiles, _LEAST_TILES)
    return [call(PREPARES, min(parts, shares), 0), call(FINISHES, parts, work)]


def winograd_calls(
    x: Arg, panels: Arg, shape: tuple[int, ...], g: Geometry, n: int, bias: Arg, residual: Arg, attrs: EpilogueAttrs
) -> list[Call]:
    """A convolution of x [n, h, w, c] with edge.Conv's f32 panels of one group into the node's output."""
    calls = plain_calls(x, panels, Out(0), shape, g, n, bias, residual, attrs.lo, attrs.hi)
    if not attrs.activation:
        return calls
    from edge_rt.lowering.elementwise import activation_call

    size = shape[0] * math.prod(g.out) * n
    return [*calls, activation_call(attrs.activation, attrs.alpha, size, calls[-1].scratch)]
