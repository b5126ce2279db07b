"""Resizing of images becomes our own channels-last one."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.ops.edge_pool import EdgeResizeAttrs
from edge_rt.ops.resize import resized_axes, taps
from edge_rt.types import DType
from exporter.passes._layout import channels_first, channels_last, two
from exporter.passes._match import contents, input_at, is_f32, live, replace

BYTES = (DType.INT8, DType.UINT8)
SHARES = 64
"""Eight bits times weights of as many parts on each axis fit the 24 bits of a float32."""


def channels_last_resize(graph: Graph) -> int:
    """Replaces Resize over the last one or two axes of [n, c, h, w] or [n, c, w] by edge.Resize between transposes.

    Sizes that only a call tells become its second input. Bytes become float32 on the way in, and bytes again, where sums are
    exact. Not for other dtypes than float32 (nearest: int8 and uint8; linear: these, with weights that are multiples of
    1 / SHARES) or other ranks, where scales are not known at export, where batch or channels change or may do so, with a
    region of interest (tf_crop_and_resize), or where several axes keep their aspect ratio.
    """
    changes = 0
    for node in live(graph):
        if node.op.name != "Resize":
            continue
        x = node.inputs[0]
        if x is None or x.type.rank not in (3, 4):
            continue
        is_mixed = not is_f32(x) and node.attrs.mode != "nearest"
        if not is_f32(x) and (x.type.dtype not in BYTES or (is_mixed and not _is_exact(node, x))):
            continue
        attributes = _attributes(node)
        if attributes is None:
            continue
        sizes = None if attributes.keys() & {"sizes", "scales"} else _sizes(graph, node)
        image = graph.add("Cast", x, to=DType.FLOAT32, before=node) if is_mixed else x
        y = graph.add("edge.Resize", channels_last(graph, image, node), sizes, before=node, name=node.name, **attributes)
        y = channels_first(graph, y, x.type.rank, node)
        replace(graph, node, graph.add("Cast", y, to=x.type.dtype, before=node) if is_mixed else y)
        changes += 1
    return changes


def _is_exact(node: Node, x: Value) -> bool:
    """Whether a linear Resize of bytes, of known size, sums without rounding in float32, in any order."""
    scales, sizes = (contents(input_at(node, position)) for position in (2, 3))
    is_told = [v is not None and v.size > 0 for v in (scales, sizes)]
    if node.attrs.mode != "linear" or not x.type.is_static or is_told[0] == is_told[1] or 0 in x.type.static_shape:
        return False
    if node.attrs.coordinate_transformation_mode == "tf_crop_and_resize":
        return False
    given = [v if told else None for v, told in zip((scales, sizes), is_told)]
    axes = resized_axes(node.attrs, x.type.static_shape, None, *given)
    return all(not (taps(node.attrs, a)[1] * SHARES % 1).any() for a in axes)


def _attributes(node: Node) -> dict[str, Any] | None:
    attrs = node.attrs
    if attrs.coordinate_transformation_mode == "tf_crop_and_resize" or attrs.keep_aspect_ratio_policy != "stretch":
        return None
    same = {n: v for n, v in attrs if n in EdgeResizeAttrs.fields}
    scales, sizes = (_spatial(node, position) for position in (2, 3))
    if scales is None and sizes is None and _has_open_sizes(node):
        return same
    if (scales is None) == (sizes is None):
        return None
    if scales is not None:
        return {**same, "scales": tuple(float(s) for s in two(scales, 1))}
    return {**same, "sizes": tuple(int(s) for s in two(sizes or [], 1))}


def _has_open_sizes(node: Node) -> bool:
    """Whether sizes come from elsewhere, of an image with two spatial axes of which batch and channels stay as they are."""
    x, y, sizes = node.inputs[0], node.output, input_at(node, 3)
    if x is None or sizes is None or input_at(node, 2) is not None or contents(sizes) is not None:
        return False
    if x.type.shape is None or y.type.shape is None or len(x.type.shape) != 4:
        return False
    axes = node.attrs.axes
    return x.type.shape[:2] == y.type.shape[:2] and (axes is None or [a % 4 for a in axes] in ([2, 3], [0, 1, 2, 3]))


def _sizes(graph: Graph, node: Node) -> Value | None:
    """The input `sizes` of the two spatial axes."""
    sizes, axes = node.inputs[3], node.attrs.axes
    if axes is not None and len(axes) == 2:
        return sizes
    start, end = (graph.constant(np.array([at])) for at in (2, 4))
    made: Value = graph.add("Slice", sizes, start, end, before=node)
    return made


def _spatial(node: Node, position: int) -> list[Any] | None:
    """Scales (input 2) or sizes (input 3) of the spatial axes; None where absent, unknown, or not 1 for other axes."""
    given, x = contents(input_at(node, position)), node.inputs[0]
    if given is None or given.size == 0 or x is None or x.type.shape is None:
        return None
    rank = len(x.type.shape)
    axes = [a % rank for a in node.attrs.axes] if node.attrs.axes is not None else list(range(rank))
    neutral: list[Any] = [1.0] * rank if position == 2 else list(x.type.shape)
    wanted = list(neutral)
    for axis, v in zip(axes, given.tolist()):
        wanted[axis] = v
    if wanted[:2] != neutral[:2] or not all(isinstance(v, (int, float)) for v in wanted[2:]):
        return None
    return wanted[2:]
