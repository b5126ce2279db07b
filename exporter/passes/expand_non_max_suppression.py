"""Selects boxes into a tensor of fixed size first, which machine code can do, and then takes what was selected."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph
from exporter.passes._match import input_at, live, replace


def expand_non_max_suppression(graph: Graph) -> int:
    """NonMaxSuppression(...) -> Slice(selected, 0, count) of edge.SelectBoxes(...).

    Not without a limit (nothing is selected then), nor for unknown ranks.
    """
    changes = 0
    for node in live(graph):
        if node.op.name != "NonMaxSuppression":
            continue
        limit = input_at(node, 2)
        if limit is None or any(v is not None and v.type.rank is None for v in node.inputs):
            continue
        one = graph.constant(np.array([1]))
        rest = [None if v is None else graph.add("Reshape", v, one, before=node) for v in node.inputs[3:]]
        limit = graph.add("Reshape", limit, one, before=node)
        selected, count = graph.add(
            "edge.SelectBoxes", *node.inputs[:2], limit, *rest, attrs=node.attrs, before=node, name=node.name
        )
        replace(graph, node, graph.add("Slice", selected, graph.constant(np.array([0])), count, before=node, name=node.name))
        changes += 1
    return changes
