"""Convolutions become our own channels-last ones, with weights in panels."""

from __future__ import annotations

import math
from typing import Any

from edge_rt.errors import SymbolicDimError
from edge_rt.graph import Graph, Node, Value
from edge_rt.ops._windows import Geometry, geometry
from edge_rt.ops.conv import transpose_geometry
from exporter.passes._layout import (
    channels_first,
    channels_last,
    four,
    is_pointwise,
    packed,
    reshaped,
    two,
    window_attributes,
)  # fmt: skip
from exporter.passes._match import input_at, is_f32, live, replace, transpose


def channels_last_conv(graph: Graph) -> int:
    """Replaces Conv and ConvTranspose over one or two axes by nodes between transposes, which other passes cancel.

    1. Conv 1x1 with stride 1, no padding, one group -> edge.Gemm.
    2. Conv with as many groups as input and output channels -> edge.DepthwiseConv.
    3. Other Conv -> edge.Conv.
    4. ConvTranspose -> edge.ConvTranspose.

    Weights that are not constant are packed at run time. Not for other dtypes than float32, three or more axes, unknown
    rank, weights of unknown shape, or padding that depends on unknown sizes (auto_pad SAME with a stride).
    """
    changes = 0
    for node in live(graph):
        if node.op.name not in ("Conv", "ConvTranspose") or not is_f32(*node.inputs):
            continue
        x, w = node.inputs[:2]
        assert x is not None
        assert w is not None
        if x.type.rank not in (3, 4) or not w.type.is_static:
            continue
        g = conv_geometry(node, x, w)
        if g is None:
            continue
        image = channels_last(graph, x, node)
        y = (_conv if node.op.name == "Conv" else _conv_transpose)(graph, node, image, w, g)
        replace(graph, node, channels_first(graph, y, x.type.rank, node))
        changes += 1
    return changes


def conv_geometry(node: Node, x: Value, w: Value) -> Geometry | None:
    """Where the windows of a convolution lie, if that needs no unknown size and no negative padding."""
    assert x.type.shape is not None
    kernel = w.type.static_shape[2:]
    rule: Any = transpose_geometry if node.op.name == "ConvTranspose" else geometry
    try:
        g: Geometry = rule(node.attrs, x.type.shape[2:], kernel)
    except SymbolicDimError:
        return None
    return g if all(type(p) is int and p >= 0 for p in (*g.begin, *g.end)) else None


def _conv(graph: Graph, node: Node, image: Value, w: Value, g: Geometry) -> Value:
    n, depth, *kernel = w.type.static_shape
    group = node.attrs.group
    bias = input_at(node, 2)
    window = window_attributes(kernel, g)
    if group == n and depth == 1 and group > 1:
        taps = transpose(graph, reshaped(graph, w, (n, *two(kernel, 1)), node), (1, 2, 0), node)
        return _add(graph, "edge.DepthwiseConv", node, image, taps, bias, **window)
    rows = transpose(graph, w, (0, *range(2, 2 + len(kernel)), 1), node)
    if is_pointwise(kernel, group, g):
        panels = packed(graph, reshaped(graph, rows, (n, depth), node), node, transposed=True)
        return _add(graph, "edge.Gemm", node, image, panels, bias, n=n)
    rows = reshaped(graph, rows, (group, n // group, depth * math.prod(kernel)), node)
    panels = packed(graph, rows, node, transposed=True)
    return _add(graph, "edge.Conv", node, image, panels, bias, n=n, group=group, **window)


def _conv_transpose(graph: Graph, node: Node, image: Value, w: Value, g: Geometry) -> Value:
    c, depth, *kernel = w.type.static_shape
    group = node.attrs.group
    columns = reshaped(graph, w, (group, c // group, depth, math.prod(kernel)), node)
    columns = transpose(graph, columns, (0, 1, 3, 2), node)
    columns = reshaped(graph, columns, (group, c // group, math.prod(kernel) * depth), node)
    panels = packed(graph, columns, node)
    return _add(
        graph, "edge.ConvTranspose", node, image, panels, input_at(node, 2), n=depth * group, group=group,
        kernel=two(kernel, 1), strides=two(g.strides, 1), pads=four(g.begin, g.end), dilations=two(g.dilations, 1),
        output_padding=two(node.attrs.output_padding or (0,) * len(kernel), 0),
    )  # fmt: skip


def _add(graph: Graph, op: str, node: Node, *inputs: Value | None, **attributes: Any) -> Value:
    made: Value = graph.add(op, *inputs, name=node.name, before=node, **attributes)
    return made
