"""Writes a batch normalisation with fixed statistics as a multiplication and an addition, which other passes fold."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph
from exporter.passes._match import is_f32, live, replace


def expand_batch_norm(graph: Graph) -> int:
    """BatchNormalization(x, scale, B, mean, var) -> x * s + t with s = scale / sqrt(var + epsilon), t = B - mean * s.

    Computed in float64 and rounded once. Not where a parameter is not constant, in training mode (its statistics are
    outputs), where the rank of x is not known, or for other dtypes than float32.
    """
    changes = 0
    for node in live(graph):
        if node.op.name != "BatchNormalization" or node.attrs.training_mode:
            continue
        x, *parameters = node.inputs
        if x is None or x.type.rank is None or x.type.rank < 2 or not is_f32(*node.inputs):
            continue
        constants = [v.data.astype(np.float64) for v in parameters if v is not None and v.data is not None]
        if len(constants) != 4:
            continue
        scale, shift, mean, variance = constants
        factor = scale / np.sqrt(variance + node.attrs.epsilon)
        shape = (-1, *[1] * (x.type.rank - 2))
        s = graph.constant(factor.astype(np.float32).reshape(shape), f"{node.name}.scale")
        t = graph.constant((shift - mean * factor).astype(np.float32).reshape(shape), f"{node.name}.shift")
        scaled = graph.add("Mul", x, s, before=node, name=node.name)
        replace(graph, node, graph.add("Add", scaled, t, before=node, name=node.name))
        changes += 1
    return changes
