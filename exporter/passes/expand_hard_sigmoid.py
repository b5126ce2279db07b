"""HardSigmoid behind a product becomes a clamp, which the product does."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph, Value
from exporter.passes._match import constant_operand, is_f32, live, produced_by, replace


def expand_hard_sigmoid(graph: Graph) -> int:
    """HardSigmoid(x) -> Clip(x * alpha + beta, 0, 1), where the scale and the shift go into weights.

    1. x is a Conv with constant weights.
    2. x is a MatMul with constant weights, or one plus a constant.

    Not where x has other uses or is an output, or for other dtypes than float32.
    """
    changes = 0
    for node in live(graph):
        x = node.inputs[0] if node.op.name == "HardSigmoid" else None
        if x is None or not is_f32(x) or not _has_weights(graph, x):
            continue
        alpha, beta = (graph.constant(np.float32(c), node.name) for c in (node.attrs.alpha, node.attrs.beta))
        scaled = graph.add("Mul", x, alpha, before=node, name=node.name)
        shifted = graph.add("Add", scaled, beta, before=node, name=node.name)
        limits = (graph.constant(np.float32(c), node.name) for c in (0, 1))
        replace(graph, node, graph.add("Clip", shifted, *limits, before=node, name=node.name))
        changes += 1
    return changes


def _has_weights(graph: Graph, x: Value) -> bool:
    if not graph.has_one_use(x):
        return False
    added = produced_by(x, "Add")
    if added is not None:
        found = constant_operand(added)
        return found is not None and produced_by(found[0], "MatMul") is not None and _has_weights(graph, found[0])
    product = produced_by(x, "Conv", "MatMul")
    return product is not None and product.inputs[1] is not None and product.inputs[1].data is not None
