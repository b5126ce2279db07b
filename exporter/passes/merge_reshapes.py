"""Merges consecutive nodes that only give the same elements another shape."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_rt.graph import Graph
from edge_rt.types import Dim
from exporter.passes._match import live, produced_by, replace

RESHAPES = ("Reshape", "Flatten", "Squeeze", "Unsqueeze")


def merge_reshapes(graph: Graph) -> int:
    """Replaces two consecutive Reshape, Flatten, Squeeze or Unsqueeze by one Reshape, or by none.

    1. Back to the shape of the first input: both go.
    2. Otherwise one Reshape to the second shape, with 0 for unknown sizes that the first input has at the same axis and
       -1 for one other.

    Not where a shape is not known up to such sizes. The first node stays where others use it.
    """
    changes = 0
    for node in live(graph):
        if node.op.name not in RESHAPES:
            continue
        first = produced_by(node.inputs[0], *RESHAPES)
        if first is None:
            continue
        x, target = first.inputs[0], node.output.type.shape
        if x is None or x.type.shape is None or target is None:
            continue
        if x.type.shape == target:
            if graph.is_output(node.output) and x.producer is None:
                continue
            replace(graph, node, x)
        else:
            shape = reshape_target(x.type.shape, target)
            if shape is None:
                continue
            constant = graph.constant(np.array(shape, np.int64), f"{node.name}.shape")
            replace(graph, node, graph.add("Reshape", x, constant, before=node, name=node.name))
        changes += 1
    return changes


def reshape_target(source: Sequence[Dim], wanted: Sequence[Dim]) -> list[int] | None:
    """The shape input by which a Reshape makes `wanted` of the shape `source`; None if that cannot be said."""
    return None if any(d == 0 for d in [*source, *wanted]) else in_numbers(source, wanted)


def in_numbers(source: Sequence[Dim], wanted: Sequence[Dim]) -> list[int] | None:
    """`wanted` as a Reshape of the shape `source` takes it: a symbolic size is 0 where the source has it on the same axis,
    else -1, which may stand once; None if it stands oftener."""
    target = []
    for axis, d in enumerate(wanted):
        if type(d) is int:
            target.append(d)
        else:
            target.append(0 if axis < len(source) and source[axis] == d else -1)
    return target if target.count(-1) <= 1 else None
