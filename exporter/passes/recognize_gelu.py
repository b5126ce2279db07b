"""Finds the Gaussian error linear unit in the nodes that frameworks write it with."""

from __future__ import annotations

import math

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import flatten_product, is_close, is_f32, live, produced_by, replace, with_number


def recognize_gelu(graph: Graph) -> int:
    """Replaces by Gelu(x):

    1. 0.5 * x * (1 + erf(x / sqrt(2))).
    2. 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3))), approximate="tanh"; x ** 3 also as x * x * x,
       with the number anywhere among them.
    3. com.microsoft.Gelu.

    The three factors in any order. Not where erf or tanh have other uses, where a constant differs by more than 1e-5 of
    it, or for other dtypes than float32.
    """
    changes = 0
    for node in live(graph):
        if node.op.name == "com.microsoft.Gelu":
            replace(graph, node, graph.add("Gelu", node.inputs[0], before=node, name=node.name))
            changes += 1
        elif node.op.name in ("Mul", "Div") and is_f32(node.output):
            changes += _replace_product(graph, node)
    return changes


def _replace_product(graph: Graph, node: Node) -> bool:
    number, values = flatten_product(graph, node.output)
    if len(values) != 2 or not is_close(number, 0.5):
        return False
    for x, gate in (values, values[::-1]):
        kind = _gate(graph, gate, x)
        if kind is not None:
            replace(graph, node, graph.add("Gelu", x, approximate=kind, before=node, name=node.name))
            return True
    return False


def _gate(graph: Graph, gate: Value, x: Value) -> str | None:
    """Which Gelu has this value as its factor 1 + ... beside x; None if neither."""
    one = with_number(gate, "Add")
    if one is None or one[1] != 1.0 or not graph.has_one_use(one[0]):
        return None
    function = produced_by(one[0], "Erf", "Tanh")
    argument = None if function is None else with_number(function.inputs[0], "Mul")
    if function is None or argument is None:
        return None
    inner, c = argument
    if function.op.name == "Erf":
        return "none" if inner is x and is_close(c, math.sqrt(0.5)) else None
    return "tanh" if is_close(c, math.sqrt(2 / math.pi)) and _is_cubic(graph, inner, x) else None


def _is_cubic(graph: Graph, value: Value, x: Value) -> bool:
    """Whether the value is x + 0.044715 * x ** 3."""
    node = produced_by(value, "Add")
    if node is None or x not in node.inputs:
        return False
    other = node.inputs[1] if node.inputs[0] is x else node.inputs[0]
    number, values = flatten_product(graph, other, 3) if other is not None else (0.0, [])
    if not is_close(number, 0.044715):
        return False
    return values == [x, x, x] or (len(values) == 1 and with_number(values[0], "Pow") == (x, 3.0))
