"""Writes global pools as reductions, which know no layout."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph
from exporter.passes._match import live, replace

REDUCTIONS = {"GlobalAveragePool": "ReduceMean", "GlobalMaxPool": "ReduceMax"}


def expand_global_pool(graph: Graph) -> int:
    """GlobalAveragePool(x) -> ReduceMean(x, spatial axes, keepdims), GlobalMaxPool(x) -> ReduceMax.

    Not where the rank is unknown.
    """
    changes = 0
    for node in live(graph):
        x = node.inputs[0] if node.op.name in REDUCTIONS else None
        if x is None or x.type.rank is None:
            continue
        axes = graph.constant(np.arange(2, x.type.rank))
        replace(graph, node, graph.add(REDUCTIONS[node.op.name], x, axes, keepdims=True, before=node, name=node.name))
        changes += 1
    return changes
