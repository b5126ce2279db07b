"""Convolutions run on the panel GEMM kernel, over windows of the image, or by transforms (winograd.py); depthwise ones have
a kernel of their own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.lowering._layout import ceil_div, dense_strides
from edge_rt.lowering._spec import (
    AVX2,
    Arg,
    BoundNode,
    Call,
    In,
    KernelSpec,
    Lowered,
    Out,
    Scratch,
    Table,
    lowers,
    parts_for,
)
from edge_rt.lowering.copy import copy_call
from edge_rt.lowering.gemm import ACTIVATIONS, Compact, compact_of, gemm_call
from edge_rt.lowering.windows import BLOCK_PIXELS, is_plain, windows
from edge_rt.ops._panels import WIDTH
from edge_rt.ops._windows import Geometry
from edge_rt.ops.edge_conv import window_geometry
from edge_rt.ops.edge_gemm import EpilogueAttrs
from edge_rt.types import DType

DEPTHWISE_F32 = KernelSpec(
    "depthwise_f32",
    "x:f32* w:f32* bias:f32* residual:f32* y:f32* means:f32* zeros:f32* geometry:i64* band:i64 band_alone:i64 "
    "channel_block:i64 lo:f32 hi:f32 activation:i64 alpha:f32",
    merges=True,
)
"""y [n, oh, ow, c] = act(clamp(conv(x [n, h, w, c], w [kh, kw, c]) + bias + residual)).

geometry: int64[14], n, h, w, c, kernel h and w, strides h and w, top and left pad, dilations h and w, output h and w.
zeros: 16 of them. Work is shared by bands of `band` output rows and by blocks of `channel_block` channels (16 or more;
the last block takes the rest too); a single part goes by bands of `band_alone` rows. means: [n, oh, c], of the pixels of
each row of y. bias, residual and means may be null.
"""

_NEAR = 1 << 20
"""Bytes of an image and its result that stay in a core's caches."""
_FAR_ROWS = 8
"""Rows of pixels that a band of 3x3 windows begins in, in an image beyond those: pages of all its rows are read and written
in turn, and CPUs foresee only so many. Larger windows cost too much at the ends of bands."""
_NEAR_ROWS = 12
"""Rows of outputs of more than two bands, at least; twice as many of larger windows."""
_BLOCK, _UNITS = 32, 6
"""Channels of a block at least; units that work is shared in, if there is enough of it."""


def conv_call(
    x: Arg, panels: Arg, y: Arg, shape: tuple[int, ...], g: Geometry, n: int, group: int, bias: Arg, residual: Arg,
    attrs: EpilogueAttrs | None, own_scratch: Sequence[int] = (), compact: Compact | None = None,
) -> Call:  # fmt: skip
    """A convolution of x [n, h, w, c] of this shape with edge.Conv's panels."""
    channels, columns = shape[3] // group, n // group
    k = math.prod(g.kernel) * channels
    offsets = [[i * channels, i * ceil_div(columns, WIDTH), i * columns, i * columns] for i in range(group)]
    m = shape[0] * math.prod(g.out)
    return gemm_call(
        x, panels, y, m=m, n=columns, k=k, batches=offsets, bias=bias, residual=residual, attrs=attrs, a_row=shape[3],
        a_size=math.prod(shape), y_row=n, own_scratch=own_scratch, compact=compact,
        windows=None if is_plain(g) else windows(shape, g, group, columns, group * m * k * columns // 4),
    )  # fmt: skip


@lowers("edge.Conv")
def conv(node: BoundNode) -> Lowered:
    if not node.outputs[0].size:
        return []
    shape, attrs = node.type(0).static_shape, node.attrs
    g = window_geometry(attrs, shape[1:3])
    if attrs.group == 1 and node.type(1).dtype is DType.FLOAT32 and g.kernel == (3, 3) and g.strides == (1, 1):
        from edge_rt.lowering.winograd import is_worth_it, winograd_calls

        if is_worth_it(shape, g, attrs.n, node.arch):
            return winograd_calls(In(0), In(1), shape, g, attrs.n, node.optional(2), node.optional(3), attrs)
    bias, residual, compact = node.optional(2), node.optional(3), compact_of(node)
    if node.target == AVX2 and attrs.group == 1 and _picks(g):
        return _picked_calls(shape, g, attrs, bias, residual, compact)
    return [conv_call(In(0), In(1), Out(0), shape, g, attrs.n, attrs.group, bias, residual, attrs, compact=compact)]


def _picks(g: Geometry) -> bool:
    """Whether single pixels are taken that lie apart."""
    return math.prod(g.kernel) == 1 and g.strides != (1, 1) and not any((*g.begin, *g.end))


def _picked_calls(shape: tuple[int, ...], g: Geometry, attrs: Any, bias: Arg, residual: Arg, compact: Compact) -> list[Call]:
    """Pixels are picked out first: then tiles go over all of them, instead of over one line after the other."""
    images, h, w, c = shape
    dims, (down, wide) = (images, *g.out, c), g.strides
    copy = copy_call(In(0), Scratch(0), 4, dims, (h * w * c, down * w * c, wide * c, 1), dense_strides(dims))
    product = gemm_call(
        Scratch(0), In(1), Out(0), m=images * math.prod(g.out), n=attrs.n, k=c, batches=[[0, 0, 0, 0]], bias=bias,
        residual=residual, attrs=attrs, own_scratch=[4 * math.prod(dims)], compact=compact,
    )  # fmt: skip
    assert copy is not None  # it has four dimensions
    return [copy, product]


@lowers("edge.DepthwiseConv")
def depthwise(node: BoundNode) -> Lowered:
    if not node.outputs[0].size:
        return []
    attrs: Any = node.attrs
    shape = node.type(0).static_shape
    g = window_geometry(attrs, shape[1:3])
    work = 2 * node.outputs[0].size * math.prod(g.kernel)
    band, band_alone, channel_block, parts = _shares(shape, node.outputs[0].size, g, work)
    geometry = [*shape, *g.kernel, *g.strides, *g.begin, *g.dilations, *g.out]
    return [
        DEPTHWISE_F32(
            x=In(0), w=In(1), bias=node.optional(2), residual=node.optional(3), y=Out(0),
            means=0, zeros=Table(np.zeros(16), np.float32), geometry=Table(geometry), band=band, band_alone=band_alone,
            channel_block=channel_block, lo=attrs.lo, hi=attrs.hi, activation=ACTIVATIONS[attrs.activation],
            alpha=attrs.alpha, parts=parts, flops=work,
        )
    ]  # fmt: skip


def _shares(shape: tuple[int, ...], size: int, g: Geometry, work: int) -> tuple[int, int, int, int]:
    """Rows of a band, where work is shared and where it is not, channels of a block, and parts of the work.

    Strips are best over all rows and all channels, so that there are no more units than a few cores share out well. Bands
    come before blocks where products before and behind are shared by rows, too, which then stay in the caches of one core;
    these are not where pixels are few.
    """
    images, out_h, channels = shape[0], g.out[0], shape[3]
    is_small = g.kernel[0] <= 3
    is_far = 4 * (math.prod(shape) + size) > _NEAR
    bands_alone = ceil_div(out_h * g.strides[0], _FAR_ROWS) if is_far and is_small else 1
    wanted = ceil_div(parts_for(work // 4, _UNITS), images)
    most = max(out_h // (_NEAR_ROWS if is_small else 2 * _NEAR_ROWS), min(2, out_h // g.kernel[0]))
    if shape[1] * shape[2] <= min(BLOCK_PIXELS, channels):
        most = 1
    bands = max(bands_alone, min(most, wanted))
    blocks = max(1, min(channels // _BLOCK, wanted // bands))
    channel_block = max(16, channels // blocks // 16 * 16)
    parts = parts_for(work // 4, images * bands * max(1, channels // channel_block))
    return ceil_div(out_h, bands), ceil_div(out_h, bands_alone), channel_block, parts
