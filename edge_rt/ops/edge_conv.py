"""Convolutions over channels-last images [n, h, w, c], with weights in panels and an epilogue."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from edge_rt.dims import ceil_div, is_known
from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Int, Ints
from edge_rt.ops._panels import WIDTH, decode_panels, unpack_panels
from edge_rt.ops._rules import shape_of, shown
from edge_rt.ops._spec import SUMS, Types, Values, define, unchanged
from edge_rt.ops._windows import Geometry, padded, per_axis, taps, windows_over
from edge_rt.ops.edge_gemm import PANELS, EpilogueAttrs, check_epilogue, finish, require, require_panels

Array = np.ndarray[Any, Any]


class WindowEpilogueAttrs(EpilogueAttrs):
    """kernel: (h, w); pads: top, left, bottom, right. Empty stands for ones, or zeros for pads."""

    kernel = Ints()
    strides = Ints(())
    pads = Ints(())
    dilations = Ints(())


class GroupedAttrs(WindowEpilogueAttrs):
    n = Int()
    group = Int(1)


class ConvAttrs(GroupedAttrs):
    """block: how many k share a scale, where panels are integers; 0 for all."""

    block = Int(0)


class ConvTransposeAttrs(GroupedAttrs):
    output_padding = Ints(())


def window_geometry(attrs: Any, sizes: Any, ceil_mode: bool = False) -> Geometry:
    """Where the windows lie on an image of (h, w). Raises GraphError if the attributes do not fit."""
    per_axis("kernel", attrs.kernel or (0,), 2)
    return windows_over(sizes, attrs.kernel, attrs.strides, attrs.dilations, attrs.pads, ceil_mode=ceil_mode)


def image(types: Types) -> tuple[Any, ...]:
    """The shape of x. Raises GraphError unless its rank is 4."""
    shape = shape_of(types, 0)
    if len(shape) != 4:
        raise GraphError(f"x must be [n, h, w, c], got {shown(shape)}")
    return shape


def check_groups(attrs: GroupedAttrs, c: Any) -> Any:
    """Input channels of a group. Raises GraphError unless `group` divides the channels."""
    if attrs.group < 1 or attrs.n % attrs.group or (is_known(c) and c % attrs.group):
        raise GraphError(f"group must divide n = {attrs.n} and the {c} channels of x, got {attrs.group}")
    return c // attrs.group


def _patches(x: Array, g: Geometry) -> Any:
    """What each tap of the kernel sees of x, [n, oh, ow, c]."""
    for seen in taps(padded(x.transpose(0, 3, 1, 2), g, 0), g):
        yield seen.transpose(0, 2, 3, 1)


def _conv_shapes(attrs: ConvAttrs, types: Types, values: Values) -> Any:
    n, h, w, c = image(types)
    g = window_geometry(attrs, (h, w))
    channels = check_groups(attrs, c)
    kernel = g.kernel[0] * g.kernel[1]
    require_panels(types, [attrs.group], attrs.n // attrs.group, kernel * channels, attrs.block)
    y = [n, *g.out, attrs.n]
    check_epilogue(types, 2, attrs.n, y)
    return [y]


def _conv(
    attrs: ConvAttrs, x: Array, panels: Array, bias: Array | None = None, residual: Array | None = None,
    scale: Array | None = None, zero: Array | None = None,
) -> Array:  # fmt: skip
    g = window_geometry(attrs, x.shape[1:3])
    group, channels = attrs.group, x.shape[3] // attrs.group
    k = g.kernel[0] * g.kernel[1] * channels
    weights = decode_panels(panels, k, attrs.n // group, scale, zero, attrs.block).astype(x.dtype, copy=False)
    y = np.zeros((group, x.shape[0], *g.out, attrs.n // group), x.dtype)
    for tap, seen in enumerate(_patches(x, g)):
        grouped = np.moveaxis(seen.reshape(*seen.shape[:3], group, channels), 3, 0)
        y += np.matmul(grouped, weights[:, None, None, tap * channels : (tap + 1) * channels])
    return finish(attrs, np.moveaxis(y, 0, 3).reshape(*y.shape[1:4], attrs.n), bias, residual)


CONV = define(
    "edge.Conv",
    "x:float32 panels:P bias:float32? residual:float32? scale:float32? zero:int8? -> y:float32", since=2, P=PANELS,
    attrs=ConvAttrs, shapes=_conv_shapes, reference=_conv, accuracy=SUMS, upgrades={1: unchanged},
)  # fmt: skip


def _depthwise_shapes(attrs: WindowEpilogueAttrs, types: Types, values: Values) -> Any:
    n, h, w, c = image(types)
    g = window_geometry(attrs, (h, w))
    require("w", shape_of(types, 1), [*g.kernel, c])
    y = [n, *g.out, c]
    if len(types) > 2 and types[2] is not None:
        require("bias", shape_of(types, 2), [c])
    if len(types) > 3 and types[3] is not None:
        require("residual", shape_of(types, 3), y)
    return [y]


def _depthwise(
    attrs: WindowEpilogueAttrs, x: Array, w: Array, bias: Array | None = None, residual: Array | None = None
) -> Array:
    g = window_geometry(attrs, x.shape[1:3])
    y = np.zeros((x.shape[0], *g.out, x.shape[3]), x.dtype)
    for weight, seen in zip(w.reshape(-1, w.shape[2]), _patches(x, g)):
        y += seen * weight
    return finish(attrs, y, bias, residual)


DEPTHWISE_CONV = define(
    "edge.DepthwiseConv", "x:float32 w:float32 bias:float32? residual:float32? -> y:float32", attrs=WindowEpilogueAttrs,
    shapes=_depthwise_shapes, reference=_depthwise, accuracy=SUMS,
)  # fmt: skip


def transpose_geometry(attrs: ConvTransposeAttrs, sizes: Any) -> Geometry:
    """The windows of the convolution that this one transposes; `out` is (h, w) of the result."""
    per_axis("kernel", attrs.kernel or (0,), 2)
    strides, dilations = per_axis("strides", attrs.strides, 2), per_axis("dilations", attrs.dilations, 2)
    pads = per_axis("pads", attrs.pads, 4, default=0, least=0)
    more = per_axis("output_padding", attrs.output_padding, 2, default=0, least=0)
    out = tuple(
        (sizes[i] - 1) * strides[i] + (attrs.kernel[i] - 1) * dilations[i] + 1 + more[i] - pads[i] - pads[2 + i]
        for i in range(2)
    )
    if any(is_known(d) and d < 0 for d in out):
        raise GraphError(f"pads {shown(pads)} must leave something of the result, which would be {shown(out)}")
    return Geometry(tuple(attrs.kernel), strides, dilations, pads[:2], pads[2:], out)


def _transpose_shapes(attrs: ConvTransposeAttrs, types: Types, values: Values) -> Any:
    n, h, w, c = image(types)
    g = transpose_geometry(attrs, (h, w))
    channels = check_groups(attrs, c)
    columns = g.kernel[0] * g.kernel[1] * attrs.n // attrs.group
    require("panels", shape_of(types, 1), [attrs.group, ceil_div(columns, WIDTH), channels, WIDTH])
    if len(types) > 2 and types[2] is not None:
        require("bias", shape_of(types, 2), [attrs.n])
    return [[n, *g.out, attrs.n]]


def _conv_transpose(attrs: ConvTransposeAttrs, x: Array, panels: Array, bias: Array | None = None) -> Array:
    g = transpose_geometry(attrs, x.shape[1:3])
    (n, h, w, c), group, columns = x.shape, attrs.group, attrs.n // attrs.group
    weights = unpack_panels(panels, g.kernel[0] * g.kernel[1] * columns)
    grouped = np.moveaxis(x.reshape(n, h, w, group, c // group), 3, 0)
    products = np.matmul(grouped, weights[:, None, None]).reshape(group, n, h, w, *g.kernel, columns)
    reach = [(s - 1) * g.strides[i] + (g.kernel[i] - 1) * g.dilations[i] + 1 for i, s in enumerate((h, w))]
    size = [max(r, b + o) for r, b, o in zip(reach, g.begin, g.out)]
    y = np.zeros((n, *size, group, columns), x.dtype)
    for ky, kx in itertools.product(range(g.kernel[0]), range(g.kernel[1])):
        rows, cols = (
            slice(k * g.dilations[i], k * g.dilations[i] + (s - 1) * g.strides[i] + 1, g.strides[i])
            for i, (k, s) in enumerate(((ky, h), (kx, w)))
        )
        y[:, rows, cols] += np.moveaxis(products[:, :, :, :, ky, kx], 0, 3)
    y = y[:, g.begin[0] : g.begin[0] + g.out[0], g.begin[1] : g.begin[1] + g.out[1]]
    return finish(attrs, y.reshape(n, *g.out, attrs.n), bias, None)


CONV_TRANSPOSE = define(
    "edge.ConvTranspose", "x:float32 panels:float32 bias:float32? -> y:float32", attrs=ConvTransposeAttrs,
    shapes=_transpose_shapes, reference=_conv_transpose, accuracy=SUMS,
)  # fmt: skip
