"""Layouts of recurrent operators: ours have the steps first; in layout 1 the batch is first."""

from __future__ import annotations

from collections.abc import Sequence

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import is_used, prune, transpose

SWAPPED = (1, 0, 2)
"""Between [batch, seq, ...] or [batch, dirs, ...] and our [seq, batch, ...], [dirs, batch, ...]."""


def steps_first(graph: Graph, node: Node, values: Sequence[Value | None]) -> list[Value | None]:
    """The node's inputs [batch, seq, ...] and states [batch, dirs, ...] in our layout; None where there is none."""
    if not node.attrs.layout:
        return list(values)
    return [None if v is None else transpose(graph, v, SWAPPED, node) for v in values]


def replace_steps(graph: Graph, node: Node, made: Sequence[Value]) -> None:
    """Puts our outputs Y [seq, dirs, batch, H] and states [dirs, batch, H] in the place of the node's, in its layout."""
    for position, (old, new) in enumerate(zip(node.outputs, made)):
        if is_used(graph, old):
            if node.attrs.layout:
                new = transpose(graph, new, (2, 0, 1, 3) if position == 0 else SWAPPED, node)
            graph.replace(old, new)
    prune(graph, [node])
