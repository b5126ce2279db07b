"""Makes a Reshape, which costs nothing, of a transpose that moves no elements."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph
from exporter.passes._match import live, permutation, replace
from exporter.passes.merge_reshapes import reshape_target


def reshape_transposes(graph: Graph) -> int:
    """Transpose(x) -> Reshape(x) where only axes of size 1 change their place.

    Not where an axis that moves may have another size, or where the shape cannot be written down (see reshape_target).
    """
    changes = 0
    for node in live(graph):
        if node.op.name != "Transpose":
            continue
        x, shape = node.inputs[0], node.output.type.shape
        if x is None or x.type.shape is None or shape is None or not moves_no_elements(x.type.shape, permutation(node)):
            continue
        target = reshape_target(x.type.shape, shape)
        if target is None:
            continue
        constant = graph.constant(np.array(target, np.int64), f"{node.name}.shape")
        replace(graph, node, graph.add("Reshape", x, constant, before=node, name=node.name))
        changes += 1
    return changes


def moves_no_elements(shape: tuple[object, ...], perm: tuple[int, ...]) -> bool:
    """Whether a transpose keeps the order of all axes whose size is not 1."""
    kept = [axis for axis in perm if shape[axis] != 1]
    return kept == sorted(kept)
