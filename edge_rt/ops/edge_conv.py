"""Convolutions over channels-last images [n, h, w, c], with weights in panels and an epilogue."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.dims import is_known
from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Int, Ints
from edge_rt.ops._panels import decode_panels
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
