"""Writes Gemm as MatMul and Add, so that other passes know one matrix product only."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import input_at, is_f32, live, replace, transpose


def expand_gemm(graph: Graph) -> int:
    """Gemm(a, b, c) -> MatMul(a', b' * alpha) + beta * c, where a' and b' are transposed as the attributes say.

    A constant b is multiplied by alpha at export. Not for other dtypes than float32, which Gemm's reference computes.
    """
    changes = 0
    for node in live(graph):
        if node.op.name != "Gemm" or not is_f32(*node.inputs):
            continue
        a, b = node.inputs[:2]
        c = input_at(node, 2)
        assert a is not None
        assert b is not None
        swap = (1, 0)
        if node.attrs.transA:
            a = transpose(graph, a, swap, node)
        if node.attrs.transB:
            b = transpose(graph, b, swap, node)
        y = graph.add("MatMul", a, _scaled(graph, b, node.attrs.alpha, node), before=node, name=node.name)
        if c is not None and node.attrs.beta != 0.0:
            y = graph.add("Add", y, _scaled(graph, c, node.attrs.beta, node), before=node, name=node.name)
        replace(graph, node, y)
        changes += 1
    return changes


def _scaled(graph: Graph, value: Value, factor: float, before: Node) -> Value:
    if factor == 1.0:
        return value
    if value.data is not None:
        return graph.constant(value.data * np.float32(factor), value.name)
    made: Value = graph.add("Mul", value, graph.constant(np.float32(factor)), before=before)
    return made
