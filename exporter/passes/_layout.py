"""Layouts: channels first [n, c, h, w] (or [n, c, w]) and last [n, h, w, c], other shapes, panels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.ops._windows import Geometry
from exporter.passes._match import transpose

TO_LAST = (0, 2, 3, 1)
TO_FIRST = (0, 3, 1, 2)


def channels_last(graph: Graph, x: Value, before: Node) -> Value:
    """x: T[n, c, h, w], or T[n, c, w] which gets h = 1 -> T[n, h, w, c]."""
    if x.type.rank == 3:
        x = graph.add("Unsqueeze", x, graph.constant(np.array([2])), before=before)
    return transpose(graph, x, TO_LAST, before)


def channels_first(graph: Graph, y: Value, rank: int, before: Node) -> Value:
    """y: T[n, h, w, c] -> T[n, c, h, w], or for rank 3 T[n, c, w] (h must be 1)."""
    y = transpose(graph, y, TO_FIRST, before)
    if rank == 3:
        y = graph.add("Squeeze", y, graph.constant(np.array([2])), before=before)
    return y


def two(values: Sequence[int], filler: int) -> tuple[int, ...]:
    """Numbers per spatial axis as those of h and w."""
    return (filler, *values) if len(values) == 1 else tuple(values)


def four(begin: Sequence[int], end: Sequence[int]) -> tuple[int, ...]:
    """Padding per spatial axis as (top, left, bottom, right)."""
    return (*two(begin, 0), *two(end, 0))


def window_attributes(kernel: Sequence[int], g: Geometry) -> dict[str, Any]:
    """The attributes of our convolutions over one or two axes; g: as for its axes."""
    return {
        "kernel": two(kernel, 1),
        "strides": two(g.strides, 1),
        "pads": four(g.begin, g.end),
        "dilations": two(g.dilations, 1),
    }


def is_pointwise(kernel: Sequence[int], group: int, g: Geometry) -> bool:
    """Whether a convolution is a product of matrices: 1x1 with stride 1, no padding, one group."""
    return math.prod(kernel) == 1 and group == 1 and set(g.strides) == {1} and not any((*g.begin, *g.end))


def reshaped(graph: Graph, value: Value, shape: Sequence[int], before: Node) -> Value:
    """The value with another shape, in which 0 keeps the size of the same axis; a constant for a constant."""
    if value.data is not None:
        sizes = [d or value.data.shape[axis] for axis, d in enumerate(shape)]
        return graph.constant(value.data.reshape(sizes), value.name)
    made: Value = graph.add("Reshape", value, graph.constant(np.array(shape, np.int64)), before=before)
    return made


def packed(graph: Graph, matrices: Value, before: Node, transposed: bool = False) -> Value:
    """The panels of matrices T[..., K, N] (transposed: [..., N, K]), named after them."""
    name = f"{matrices.name}.panels"
    made: Value = graph.add("edge.PackPanels", matrices, transposed=transposed, before=before, name=name)
    return made
