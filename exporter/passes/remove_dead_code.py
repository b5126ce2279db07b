"""Removes what nothing needs."""

from __future__ import annotations

from edge_rt.graph import Graph
from exporter.passes._match import prune


def remove_dead_code(graph: Graph) -> int:
    """Removes nodes none of whose outputs is used, the users before the producers.

    Not a node that has one used output among several. Inputs of the graph stay: they are its public interface.
    """
    return prune(graph, list(graph.nodes))
