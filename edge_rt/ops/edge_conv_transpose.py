"""Transposed convolutions over channels-last images [n, h, w, c], with weights in panels and an epilogue."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from edge_rt.dims import ceil_div, is_known
from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Ints
from edge_rt.ops._panels import WIDTH, unpack_panels
from edge_rt.ops._rules import shape_of, shown
from edge_rt.ops._spec import SUMS, Types, Values, define
from edge_rt.ops._windows import Geometry, per_axis
from edge_rt.ops.edge_conv import GroupedAttrs, check_groups, image
from edge_rt.ops.edge_gemm import finish, require

Array = np.ndarray[Any, Any]


class ConvTransposeAttrs(GroupedAttrs):
    output_padding = Ints(())


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
