"""Convolutions, pools and resizing over three axes, by those over two: depth becomes part of the batch.

Everything here goes over channels-last volumes [n, d, h, w, c]; transposes around it are left to other passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.errors import SymbolicDimError
from edge_rt.graph import Graph, Node, Value
from edge_rt.ops._windows import Geometry, geometry
from edge_rt.ops.conv import transpose_geometry
from edge_rt.ops.pool import pool_geometry
from exporter.passes._match import contents, input_at, is_f32, is_used, live, prune, transpose

LAST, FIRST = (0, 2, 3, 4, 1), (0, 4, 1, 2, 3)


def expand_volumes(graph: Graph) -> int:
    """Replaces operators over [n, c, d, h, w] of float32.

    1. Conv -> Conv of images whose channels are those of all slices that a window sees; where channels are in groups, the
       sum of a Conv for each slice of the kernel.
    2. MaxPool, AveragePool -> one over height and width, then one over depth.
    3. ConvTranspose whose windows do not meet in depth -> ConvTranspose of images, an output for each slice of the kernel.
    4. Resize -> one of height and width, then one of depth.

    Not where sizes other than the batch are unknown, weights are computed, a MaxPool's indices used, or in 3 with groups.
    """
    changes = 0
    for node in live(graph):
        rule = RULES.get(node.op.name)
        x = node.inputs[0] if rule else None
        if rule is None or x is None or x.type.rank != 5 or not is_f32(x):
            continue
        if x.type.shape is None or not all(isinstance(d, int) and d for d in x.type.shape[1:]):
            continue
        if any(is_used(graph, v) for v in node.outputs[1:]):
            continue
        made = rule(_Volume(graph, node), node)
        if made is not None:
            graph.replace(node.outputs[0], transpose(graph, made, FIRST, node))
            prune(graph, [node])
            changes += 1
    return changes


class _Volume:
    """Adds nodes in front of one, and gives their first outputs."""

    def __init__(self, graph: Graph, node: Node) -> None:
        self.graph, self.node = graph, node

    def add(self, op: str, *inputs: Value | None, **attributes: Any) -> Value:
        made = self.graph.add(op, *inputs, before=self.node, name=self.node.name, **attributes)
        first: Value = made[0] if isinstance(made, tuple) else made
        return first

    def ints(self, *numbers: int) -> Value:
        return self.graph.constant(np.array(numbers, np.int64))

    def last(self) -> Value:
        x = self.node.inputs[0]
        assert x is not None
        return transpose(self.graph, x, LAST, self.node)

    def sizes(self, x: Value) -> tuple[int, ...]:
        """d, h, w, c of [n, d, h, w, c]."""
        assert x.type.shape is not None
        return tuple(int(d) for d in x.type.shape[1:])

    def shaped(self, x: Value, *shape: int) -> Value:
        return self.add("Reshape", x, self.ints(-1, *shape))

    def on_images(self, x: Value, op: str, *inputs: Value | None, **attributes: Any) -> Value:
        """An operator over [n * d, c, h, w], of and as [n, d, h, w, c]."""
        d, h, w, c = self.sizes(x)
        images = transpose(self.graph, self.shaped(x, h, w, c), (0, 3, 1, 2), self.node)
        made = transpose(self.graph, self.add(op, images, *inputs, **attributes), (0, 2, 3, 1), self.node)
        assert made.type.shape is not None
        return self.shaped(made, d, *(int(s) for s in made.type.shape[1:]))

    def on_depth(self, x: Value, op: str, *inputs: Value | None, **attributes: Any) -> Value:
        """An operator over [n, c, d, h * w], of and as [n, d, h, w, c]."""
        d, h, w, c = self.sizes(x)
        lines = transpose(self.graph, self.shaped(x, d, h * w, c), (0, 3, 1, 2), self.node)
        made = transpose(self.graph, self.add(op, lines, *inputs, **attributes), (0, 2, 3, 1), self.node)
        assert made.type.shape is not None
        return self.shaped(made, int(made.type.shape[1]), h, w, c)

    def slices(self, x: Value, g: Geometry) -> list[Value]:
        """For each slice of the kernel what its windows see of the padded depth."""
        if g.begin[0] or g.end[0]:
            x = self.add("Pad", x, self.ints(g.begin[0], g.end[0]), None, self.ints(1))
        reach = (g.out[0] - 1) * g.strides[0] + 1
        found = []
        for k in range(g.kernel[0]):
            start = k * g.dilations[0]
            if (start, reach, g.strides[0]) == (0, self.sizes(x)[0], 1):
                found.append(x)
            else:
                bounds = (start,), (start + reach,), (1,), (g.strides[0],)
                found.append(self.add("Slice", x, *(self.ints(*b) for b in bounds)))
        return found


def _flat(g: Geometry, axes: slice = slice(1, None)) -> dict[str, Any]:
    """Attributes of the windows over some axes."""
    return {
        "strides": g.strides[axes],
        "dilations": g.dilations[axes],
        "pads": (*g.begin[axes], *g.end[axes]),
        "kernel_shape": g.kernel[axes],
    }


def _conv(volume: _Volume, node: Node) -> Value | None:
    x, weights, bias = node.inputs[0], contents(node.inputs[1]), input_at(node, 2)
    if weights is None or x is None or x.type.shape is None:
        return None
    g, group = geometry(node.attrs, x.type.shape[2:], weights.shape[2:]), node.attrs.group
    parts = volume.slices(volume.last(), g)
    constant = volume.graph.constant
    if group == 1:
        joined = parts[0] if len(parts) == 1 else volume.add("Concat", *parts, axis=4)
        m, c, depth, *window = weights.shape
        flat = np.ascontiguousarray(weights.transpose(0, 2, 1, 3, 4)).reshape(m, depth * c, *window)
        return volume.on_images(joined, "Conv", constant(flat), bias, **_flat(g))
    y: Value | None = None
    for k, part in enumerate(parts):
        kernel = constant(np.ascontiguousarray(weights[:, :, k]))
        made = volume.on_images(part, "Conv", kernel, None if y is not None else bias, group=group, **_flat(g))
        y = made if y is None else volume.add("Add", y, made)
    return y


def _pool(volume: _Volume, node: Node) -> Value | None:
    x = node.inputs[0]
    assert x is not None
    assert x.type.shape is not None
    g = pool_geometry(node.attrs, x.type.shape[2:])
    more: dict[str, Any] = {"ceil_mode": node.attrs.ceil_mode and not node.attrs.auto_pad.startswith("SAME")}
    if node.op.name == "AveragePool":
        more["count_include_pad"] = node.attrs.count_include_pad
    y = volume.on_images(volume.last(), node.op.name, **_flat(g), **more)
    depth = {n: ((v[0], 0, v[1], 0) if n == "pads" else (v[0], 1)) for n, v in _flat(g, slice(0, 1)).items()}
    return y if g.kernel[0] == g.strides[0] == 1 else volume.on_depth(y, node.op.name, **depth, **more)


def _conv_transpose(volume: _Volume, node: Node) -> Value | None:
    x, weights, bias = node.inputs[0], contents(node.inputs[1]), input_at(node, 2)
    if weights is None or node.attrs.group != 1 or x is None or x.type.shape is None:
        return None
    given = contents(bias)
    if bias is not None and given is None:
        return None
    try:
        g = transpose_geometry(node.attrs, x.type.shape[2:], weights.shape[2:])
    except SymbolicDimError:
        return None
    d, depth = int(x.type.shape[2]), g.kernel[0]
    if depth != g.strides[0] or g.begin[0] or g.out[0] != d * depth or not all(type(p) is int for p in (*g.begin, *g.end)):
        return None
    c, m, _, *window = weights.shape
    flat = np.ascontiguousarray(weights.transpose(0, 2, 1, 3, 4)).reshape(c, depth * m, *window)
    tiled = None if given is None else volume.graph.constant(np.tile(given, depth))
    padding = [size - ((n - 1) * s - b - e + (k - 1) * t + 1) for size, n, s, b, e, k, t in zip(
        g.out[1:], x.type.shape[3:], g.strides[1:], g.begin[1:], g.end[1:], g.kernel[1:], g.dilations[1:]
    )]  # fmt: skip
    y = volume.on_images(
        volume.last(), "ConvTranspose", volume.graph.constant(flat), tiled, output_padding=tuple(padding), **_flat(g)
    )
    _, h, w, _ = volume.sizes(y)
    apart = transpose(volume.graph, volume.shaped(y, d, h, w, depth, m), (0, 1, 4, 2, 3, 5), node)
    return volume.shaped(apart, d * depth, h, w, m)


def _resize(volume: _Volume, node: Node) -> Value | None:
    attrs, x = node.attrs, node.inputs[0]
    if attrs.coordinate_transformation_mode == "tf_crop_and_resize" or attrs.keep_aspect_ratio_policy != "stretch":
        return None
    found = [contents(input_at(node, i)) for i in (2, 3)]
    position = next((i for i, v in enumerate(found) if v is not None and v.size), None)
    if position is None or x is None or x.type.shape is None:
        return None
    given = found[position]
    assert given is not None
    axes = [a % 5 for a in attrs.axes] if attrs.axes is not None else list(range(5))
    neutral: Sequence[Any] = [1.0] * 5 if position == 0 else x.type.shape
    wanted = list(neutral)
    for axis, v in zip(axes, given.tolist()):
        wanted[axis] = v
    if wanted[:2] != list(neutral[:2]):
        return None
    same = {n: v for n, v in attrs if n != "axes"}

    def inputs(values: Sequence[Any]) -> tuple[Value | None, ...]:
        array = volume.graph.constant(np.array(values, np.float32 if position == 0 else np.int64))
        return (None, array) if position == 0 else (None, None, array)

    y = volume.on_images(volume.last(), "Resize", *inputs(wanted[3:]), axes=(2, 3), **same)
    return volume.on_depth(y, "Resize", *inputs(wanted[2:3]), axes=(2,), **same)


RULES = {
    "Conv": _conv,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "ConvTranspose": _conv_transpose,
    "Resize": _resize,
}
