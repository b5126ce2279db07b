"""Finds the Gaussian error linear unit in the nodes that frameworks write it with."""

from __future__ import annotations

import math

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import factors, is_close, is_f32, is_square_of, live, produced_by, replace, with_number


def recognize_gelu(graph: Graph) -> int:
    """Replaces by Gelu(x):

    1. 0.5 * x * (1 + erf(x / sqrt(2))).
    2. 0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x ** 3))), approximate="tanh"; x ** 3 also as x * x * x.
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


def flatten_product(graph: Graph, value: Value) -> tuple[float, list[Value]]:
    """(c, values) where the value is c times the product of at most two others, through inner products of one use."""
    number, pending = 1.0, [value]
    values: list[Value] = []
    while pending:
        v = pending.pop()
        scaled = with_number(v, "Mul")
        product = factors(v)
        inner = v is value or graph.has_one_use(v)
        if inner and scaled is not None:
            number *= scaled[1]
            pending.append(scaled[0])
        elif inner and product is not None and len(pending) + len(values) < 2:
            pending += product
        else:
            values.append(v)
    return number, values


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
    return "tanh" if is_close(c, math.sqrt(2 / math.pi)) and _is_cubic(inner, x) else None


def _is_cubic(value: Value, x: Value) -> bool:
    """Whether the value is x + 0.044715 * x ** 3."""
    node = produced_by(value, "Add")
    if node is None or x not in node.inputs:
        return False
    other = node.inputs[1] if node.inputs[0] is x else node.inputs[0]
    scaled = with_number(other, "Mul")
    if scaled is None or not is_close(scaled[1], 0.044715):
        return False
    cube = produced_by(scaled[0], "Pow", "Mul")
    if cube is None:
        return False
    if cube.op.name == "Pow":
        power = with_number(scaled[0], "Pow")
        return power is not None and power[0] is x and power[1] == 3.0
    return x in cube.inputs and any(v is not x and is_square_of(v, x) for v in cube.inputs)
