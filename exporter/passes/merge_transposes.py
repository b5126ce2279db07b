"""Merges consecutive transposes."""

from __future__ import annotations

from edge_rt.graph import Graph
from exporter.passes._match import live, permutation, produced_by, replace, transpose


def merge_transposes(graph: Graph) -> int:
    """Transpose(Transpose(x)) -> one Transpose, or x where they undo each other.

    The first one stays where others use it. Not where they undo each other between an input and an output of the graph.
    """
    changes = 0
    for node in live(graph):
        if node.op.name != "Transpose":
            continue
        first = produced_by(node.inputs[0], "Transpose")
        if first is None or first.output.type.rank is None:
            continue
        x, inner, outer = first.inputs[0], permutation(first), permutation(node)
        assert x is not None
        merged = tuple(inner[axis] for axis in outer)
        if merged == tuple(range(len(merged))) and graph.is_output(node.output) and x.producer is None:
            continue
        replace(graph, node, transpose(graph, x, merged, node))
        changes += 1
    return changes
