"""Writes com.microsoft's FusedMatMul and FusedConv, which ONNX Runtime's optimiser makes, as what they were made of."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.ops import get
from edge_rt.ops.linalg import operand_axes
from exporter.passes._match import input_at, is_f32, live, replace, transpose

PLAIN = ("Relu", "Sigmoid", "Tanh")


def expand_fused(graph: Graph) -> int:
    """FusedMatMul -> MatMul(a', b') * alpha, of operands with their axes in another order; FusedConv -> act(Conv + Z).

    Not for other dtypes than float32, operands of unknown rank, or activations that only the record's reference computes.
    """
    changes = 0
    for node in live(graph):
        if not is_f32(*node.inputs):
            continue
        made = None
        if node.op.name == "com.microsoft.FusedMatMul":
            made = _matmul(graph, node)
        elif node.op.name == "com.microsoft.FusedConv":
            made = _conv(graph, node)
        if made is not None:
            replace(graph, node, made)
            changes += 1
    return changes


def _matmul(graph: Graph, node: Node) -> Value | None:
    a, b = node.inputs
    if a is None or b is None or a.type.rank is None or b.type.rank is None:
        return None
    attrs = node.attrs
    left = transpose(graph, a, tuple(operand_axes(a.type.rank, attrs.transA, attrs.transBatchA)), node)
    right = transpose(graph, b, tuple(operand_axes(b.type.rank, attrs.transB, attrs.transBatchB)), node)
    y: Value = graph.add("MatMul", left, right, before=node, name=node.name)
    if attrs.alpha != 1.0:
        y = graph.add("Mul", y, graph.constant(np.float32(attrs.alpha)), before=node, name=node.name)
    return y


def _conv(graph: Graph, node: Node) -> Value | None:
    kind, given = node.attrs.activation, node.attrs.activation_params
    counts = {"": 0, "Clip": 2, "LeakyRelu": 1, "HardSigmoid": 2, **dict.fromkeys(PLAIN, 0)}
    if counts.get(kind) != len(given):
        return None
    fields = {name: getattr(node.attrs, name) for name in get("Conv").attrs.fields}
    y: Value = graph.add("Conv", *node.inputs[:3], before=node, name=node.name, **fields)
    z = input_at(node, 3)
    if z is not None:
        y = graph.add("Add", y, z, before=node, name=node.name)
    if kind == "Clip":
        y = graph.add("Clip", y, *(graph.constant(np.float32(g)) for g in given), before=node, name=node.name)
    elif kind:
        parameters = dict(zip(("alpha", "beta"), given))
        y = graph.add(kind, y, before=node, name=node.name, **parameters)
    return y
