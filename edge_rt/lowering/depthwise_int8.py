"""Depthwise convolutions of 8-bit integers: what a few lines see is arranged, with its padding, in a buffer, and summed."""

from __future__ import annotations

import math

import numpy as np

from edge_rt.lowering._spec import Arg, BoundNode, Call, In, KernelSpec, Lowered, Out, Scratch, Table, lowers, parts_for
from edge_rt.lowering.gemm import balanced, ceil_div
from edge_rt.lowering.gemm_int8 import EVEN, Epilogue
from edge_rt.ops._windows import Geometry
from edge_rt.ops.edge_conv import window_geometry
from edge_rt.ops.edge_int8 import DEPTH

DEPTHWISE_INT8 = KernelSpec(
    "depthwise_int8",
    "x:u8* w:i8* sums:i32* a_zero:u8* a_scale:f32* scale:f32* bias:i32* residual:f32* b_zero:i32* ones:i8* y:u8* "
    "buffer:u8* geometry:i64* scale_step:i64 b_zero_step:i64 flip:i64 mode:i64 lo:f32 hi:f32 y_zero:i64 y_flip:i64 "
    "activation:i64 alpha:f32",
)
"""y [n, oh, ow, c] of edge.QDepthwiseConv. Arguments as of GEMM_INT8, but for ones [kh, kw, WIDEST].

geometry: int64[PLACES], see below. Work is shared by blocks of channels, images, lines and columns.
"""

(
    IMAGES, HEIGHT, WIDTH, CHANNELS, KERNEL_H, KERNEL_W, STRIDE_DOWN, STRIDE_WIDE, PAD_TOP, PAD_LEFT, GAP_DOWN, GAP_WIDE,
    OUT_HEIGHT, OUT_WIDTH, LINES, COLUMNS, LINE_ROOM, RESIDUES, QUADS, LINE_SEEN, SEEN_BYTES, SUMS_BYTES, WEIGHT_BYTES,
    PREPARED_BYTES, BLANK_BYTES, PART_BYTES, STREAMS, APART_DOWN, APART_WIDE, STEP_DOWN, STEP_WIDE, LATTICE, PLACES,
) = range(33)  # fmt: skip
"""Places in the geometry. GAP: dilations. LINES and COLUMNS of the result are done together; LINE_ROOM: room for columns in
a line of sums. With dot products: RESIDUES of columns, by the stride, that windows see, QUADS of rows; else LINE_SEEN
columns of a line. Then bytes: of what windows of a block see, of sums, of weights of GROUP channels and of all in a block,
of what stands for missing rows, and of the buffer of a part. STREAMS: whether dot products, of Arm or AVX-512, take windows
as they slide along lines. Results that are done together are APART_DOWN lines and APART_WIDE columns from each other: so far
that dilated windows share what they see. Of the image then only rows GAP_DOWN and columns LATTICE from each other are
arranged, which neighbouring results see STEP_DOWN and STEP_WIDE further; GAP_WIDE is from tap to tap in what is arranged."""

GROUP, WIDEST = 16, 64
"""Channels that are summed together, and the most of them: bytes of the widest vector."""
GATHERED = 64
"""Channels whose windows are arranged together: a line of caches. The last ones of a block may be up to GROUP - 1 more."""
CHANNEL_BLOCK = 256
"""Channels of a block, whose weights are prepared together; the last block takes up to GROUP - 1 more."""
MOST_GROUPS, MOST_PREPARED = GATHERED // GROUP + 1, CHANNEL_BLOCK // GROUP + 1
SLIDE = 7
"""Columns of a tile for Arm's dot products: what divides lines of images of 224 columns."""
MOST_TAPS = 5
"""The most taps that such a tile adds at once."""
LEAST_TOGETHER = 4
"""Columns of dilated windows that are worth a tile."""
NEARBY = 12 << 10
"""Bytes that windows of GATHERED channels should see at once: they stay in the nearest cache."""
MOST_PARTS = 8
"""Each has a buffer."""
PIXELS_OF_A_PART = 96
"""At least, on x86-64: each part prepares the weights of its channels anew."""


class Together:
    """Which results of an axis are done together, see the geometry: `apart` from each other, they see every `lattice`-th
    place of the image, `step` of these further, and taps are `gap` of these apart."""

    __slots__ = ("apart", "gap", "lattice", "step")

    def __init__(self, count: int, stride: int, dilation: int, least: int, arch: str) -> None:
        """least: how many there must be for dilated windows to share what they see. Only for Arm: what is never dilated else
        would be slower for it."""
        shared = math.gcd(stride, dilation)
        self.apart, self.lattice, self.step, self.gap = dilation // shared, dilation, stride // shared, 1
        if count < least * self.apart or arch != "aarch64":
            self.apart, self.lattice, self.step, self.gap = 1, 1, stride, dilation


def depthwise_call(w: Arg, shape: tuple[int, ...], g: Geometry, arch: str, epilogue: Epilogue) -> Call:
    """A depthwise convolution of x [n, h, w, c] of this shape with w [kh, kw, c]."""
    images, c, (kh, kw), (oh, ow) = shape[0], shape[3], g.kernel, g.out
    (sh, sw), (dh, dw) = g.strides, g.dilations
    down, wide = Together(oh, sh, dh, 2, arch), Together(ow, sw, dw, LEAST_TOGETHER, arch)
    # Lines share what they see, if that takes no more quads of rows.
    lines = 1 + (-kh % DEPTH) // down.step if down.gap == 1 and oh > 1 else 1
    lines = min(lines // 2 * 2, 4 if arch == "aarch64" else 2) if lines > 1 else 1
    reach, rows = (kw - 1) * wide.gap, kh + (lines - 1) * down.step
    residues, quads = min(wide.step, reach + 1), ceil_div(rows, DEPTH)
    # Vectors have as many columns as they have quads, at most.
    together, widest = (1, GROUP) if arch == "aarch64" else (4, WIDEST)
    most_columns = max(16, NEARBY // (GATHERED * DEPTH * residues * quads))
    columns = balanced(ceil_div(ow, wide.apart), most_columns, SLIDE if arch == "aarch64" else 4)
    # What follows the last column, up to whole tiles.
    room = max(ceil_div(columns, tile) * tile for tile in (SLIDE, 8))
    count = ceil_div(room + reach // wide.step, together) * together
    line = (ceil_div(columns, 4) * 4 - 1) * wide.step + reach + 1
    seen = max(residues * quads * DEPTH * count, rows * line) * GROUP * MOST_GROUPS
    weights = quads * kw * DEPTH * lines * GROUP
    as_bytes = epilogue.args["mode"] == EVEN and not epilogue.has_b_zero
    on_arm = arch == "aarch64"
    streams = as_bytes and g.kernel == (3, 3) and (dh, dw) == (1, 1) and c >= (GROUP if on_arm else WIDEST)
    streams = streams and ((sh, sw, lines) == (1, 1, 2) or (sh, sw) == (2, 2)) and g.begin[1] <= 3 - sw
    # There, a stream's weights lie together with first sums and factors.
    weights += 2 * DEPTH * GROUP if streams and on_arm else 0
    missing_row = shape[2] * c if streams and on_arm else (together - 1) * wide.step * wide.lattice * c
    blank = ceil_div(missing_row + MOST_GROUPS * GROUP, WIDEST) * WIDEST
    sums = lines * room * widest * (1 if as_bytes else 4)
    taps, places = kh * kw * WIDEST, 8 * (quads * kw + MOST_TAPS)
    prepared = weights * (min(MOST_PREPARED, ceil_div(c, GROUP) + 4) + 4)
    part = ceil_div(blank + seen + 2 * sums + prepared + taps + places, 64) * 64
    geometry = [
        *shape, kh, kw, sh, sw, *g.begin, dh, wide.gap, oh, ow, lines, columns, room, residues, quads, line, seen, sums,
        weights, prepared, blank, part, int(streams), down.apart if lines > 1 else 1, wide.apart, down.step, wide.step,
        wide.lattice,
    ]  # fmt: skip
    work = 2 * images * oh * ow * c * kh * kw
    blocks = max(1, c // CHANNEL_BLOCK)
    took = 2 * images * max(oh * ow, shape[1] * shape[2]) * max(c, GATHERED) * kh * kw
    most = min(MOST_PARTS, images * blocks * ceil_div(oh, lines) * ceil_div(ow, columns))
    if arch == "x86_64":
        most = min(most, max(4, images * blocks * oh * ow // PIXELS_OF_A_PART))
    parts = parts_for(took // 8, most)
    ones: Arg = Table(np.ones(kh * kw * WIDEST), np.int8) if epilogue.has_b_zero else 0
    return DEPTHWISE_INT8(
        x=In(0), w=w, y=Out(0), ones=ones, buffer=Scratch(0), geometry=Table(geometry), parts=parts, flops=work,
        scratch=[parts * part], **epilogue.args,
    )  # fmt: skip


@lowers("edge.QDepthwiseConv")
def q_depthwise(node: BoundNode) -> Lowered:
    if not node.outputs[0].size:
        return []
    shape, attrs = node.type(0).static_shape, node.attrs
    return [depthwise_call(In(1), shape, window_geometry(attrs, shape[1:3]), node.arch, Epilogue.of(node))]
