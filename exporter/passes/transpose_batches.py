"""Transposes a batch of matrices where it is, instead of as a longer batch with fewer axes."""

from __future__ import annotations

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import live, permutation, produced_by, replace, transpose


def transpose_batches(graph: Graph) -> int:
    """Reshape(Transpose(Reshape(x))) -> Transpose(x) where the first Reshape joins leading axes, the Transpose leaves
    the joined axis in front, and the second Reshape splits it again.

    Not where shapes are not known. The first two nodes stay where others use them.
    """
    changes = 0
    for node in live(graph):
        found = _batched(node)
        if found is not None:
            x, perm = found
            replace(graph, node, transpose(graph, x, perm, node))
            changes += 1
    return changes


def _batched(node: Node) -> tuple[Value, tuple[int, ...]] | None:
    """(x, permutation) of which the node's output is the transpose."""
    if node.op.name != "Reshape":
        return None
    middle = produced_by(node.inputs[0], "Transpose")
    first = None if middle is None else produced_by(middle.inputs[0], "Reshape")
    x = None if first is None else first.inputs[0]
    if middle is None or first is None or x is None:
        return None
    given, joined, wanted = x.type.shape, first.output.type.shape, node.output.type.shape
    if given is None or joined is None or wanted is None or len(given) != len(wanted) or len(given) <= len(joined):
        return None
    perm, batch = permutation(middle), len(given) - len(joined) + 1
    if perm[0] != 0 or given[batch:] != joined[1:]:
        return None
    own = (*range(batch), *(axis + batch - 1 for axis in perm[1:]))
    return (x, own) if wanted == tuple(given[axis] for axis in own) else None
