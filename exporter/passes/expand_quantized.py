"""Writes quantised operators as real ones between DequantizeLinear and QuantizeLinear."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.types import DType
from exporter.passes._integer import is_scalar
from exporter.passes._match import contents, input_at, live, replace


def expand_quantized(graph: Graph) -> int:
    """So that one set of passes serves all ways to write a quantised model.

    1. QLinearConv -> DequantizeLinear of x, w and the bias, Conv, QuantizeLinear.
    2. QLinearMatMul -> DequantizeLinear of a and b, MatMul, QuantizeLinear.
    3. com.microsoft.DynamicQuantizeMatMul -> DynamicQuantizeLinear, com.microsoft.MatMulIntegerToFloat.

    Not where scales are not float32, 1 where scales or w are not constant, 2 where those of a or y are of several rows.
    """
    changes = 0
    for node in live(graph):
        rule = RULES.get(node.op.name)
        made = None if rule is None else rule(graph, node)
        if made is not None:
            replace(graph, node, made)
            changes += 1
    return changes


def _dequantized(
    graph: Graph, x: Value | None, scale: Value | None, zero: Value | None, before: Node, axis: int = 1
) -> Value:
    made: Value = graph.add("DequantizeLinear", x, scale, zero, axis=axis, before=before)
    return made


def _conv(graph: Graph, node: Node) -> Value | None:
    x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero = node.inputs[:8]
    bias, scales = input_at(node, 8), [contents(v) for v in (x_scale, w_scale, y_scale)]
    if w is None or w.data is None or any(s is None for s in scales) or not (is_scalar(x_scale) and is_scalar(y_scale)):
        return None
    real = None
    if bias is not None:
        with np.errstate(all="ignore"):
            product = scales[0] * scales[1]  # type: ignore[operator]
        step = graph.constant(np.asarray(product, np.float32), f"{node.name}.bias_scale")
        real = _dequantized(graph, bias, step, None, node, axis=0)
    image, weights = _dequantized(graph, x, x_scale, x_zero, node), _dequantized(graph, w, w_scale, w_zero, node, axis=0)
    y = graph.add("Conv", image, weights, real, attrs=node.attrs, before=node, name=node.name)
    made: Value = graph.add("QuantizeLinear", y, y_scale, y_zero, before=node)
    return made


def _matmul(graph: Graph, node: Node) -> Value | None:
    a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero = node.inputs
    if any(v is None or v.type.dtype is not DType.FLOAT32 for v in (a_scale, b_scale, y_scale)):
        return None
    if not is_scalar(a_scale) or not is_scalar(y_scale):
        return None
    if b is None or b.type.rank is None or (b_scale is not None and b_scale.type.rank not in (0, 1)):
        return None
    left = _dequantized(graph, a, a_scale, a_zero, node)
    right = _dequantized(graph, b, b_scale, b_zero, node, axis=max(b.type.rank - 1, 0))
    y = graph.add("MatMul", left, right, before=node, name=node.name)
    made: Value = graph.add("QuantizeLinear", y, y_scale, y_zero, before=node)
    return made


def _dynamic_matmul(graph: Graph, node: Node) -> Value:
    a, b, b_scale = node.inputs[:3]
    q, scale, zero = graph.add("DynamicQuantizeLinear", a, before=node)
    made: Value = graph.add(
        "com.microsoft.MatMulIntegerToFloat", q, b, scale, b_scale, zero, input_at(node, 3), input_at(node, 4), before=node,
        name=node.name,
    )  # fmt: skip
    return made


RULES = {
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    "com.microsoft.DynamicQuantizeMatMul": _dynamic_matmul,
}
