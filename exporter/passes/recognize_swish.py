"""Finds the sigmoid family: HardSigmoid, HardSwish, Swish, Softplus and Mish."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import (
    factors,
    flatten_product,
    input_at,
    is_close,
    is_f32,
    live,
    produced_by,
    replace,
    scalar,
    with_number,
)

SIXTH = 1 / 6


def recognize_swish(graph: Graph) -> int:
    """Replaces by one operator:

    1. clip(x + b, 0, m) / m -> HardSigmoid(x), alpha 1 / m, beta b / m.
    2. x * clip(x + 3, 0, 6) / 6, or x * HardSigmoid(x) with alpha 1/6 and beta 1/2 -> HardSwish(x).
    3. x * sigmoid(x), x * sigmoid(alpha * x) -> Swish(x).
    4. log(1 + exp(x)) -> Softplus(x); x * tanh(Softplus(x)) -> Mish(x).

    Not where the inner function (clip, sigmoid, tanh, exp) has other uses, and not for other dtypes than float32.
    """
    changes = 0
    for node in live(graph):
        if not is_f32(node.output):
            continue
        for rule in RULES.get(node.op.name, ()):
            made = rule(graph, node)
            if made is not None:
                replace(graph, node, made)
                changes += 1
                break
    return changes


def _clipped_sum(graph: Graph, value: Value | None) -> tuple[Value, float, float] | None:
    """(x, b, m) where the value is clip(x + b, 0, m)."""
    node = produced_by(value, "Clip")
    if node is None or not graph.has_one_use(node.output):
        return None
    m, shifted = scalar(input_at(node, 2)), with_number(node.inputs[0], "Add")
    if scalar(input_at(node, 1)) != 0.0 or m is None or not 0 < m < math.inf or shifted is None:
        return None
    return shifted[0], shifted[1], m


def _hard_sigmoid(graph: Graph, node: Node) -> Value | None:
    scaled = with_number(node.output, "Mul")
    found = None if scaled is None else _clipped_sum(graph, scaled[0])
    if scaled is None or found is None:
        return None
    x, b, m = found
    if not is_close(scaled[1], 1 / m):
        return None
    return _add(graph, node, "HardSigmoid", x, alpha=1 / m, beta=b / m)


def _hard_swish(graph: Graph, node: Node) -> Value | None:
    number, values = flatten_product(graph, node.output)
    if len(values) != 2:
        return None
    for x, gate in (values, values[::-1]):
        found = _clipped_sum(graph, gate)
        if found is not None and found == (x, 3.0, 6.0) and is_close(number, SIXTH):
            return _add(graph, node, "HardSwish", x)
        hard = produced_by(gate, "HardSigmoid")
        if hard is None or hard.inputs[0] is not x or number != 1.0 or not graph.has_one_use(gate):
            continue
        if is_close(hard.attrs.alpha, SIXTH) and is_close(hard.attrs.beta, 0.5):
            return _add(graph, node, "HardSwish", x)
    return None


def _swish(graph: Graph, node: Node) -> Value | None:
    for x, gate in _pairs(node):
        sigmoid = produced_by(gate, "Sigmoid")
        if sigmoid is None or not graph.has_one_use(gate):
            continue
        if sigmoid.inputs[0] is x:
            return _add(graph, node, "Swish", x)
        scaled = with_number(sigmoid.inputs[0], "Mul")
        if scaled is not None and scaled[0] is x:
            return _add(graph, node, "Swish", x, alpha=scaled[1])
    return None


def _mish(graph: Graph, node: Node) -> Value | None:
    for x, gate in _pairs(node):
        tanh = produced_by(gate, "Tanh")
        softplus = None if tanh is None else produced_by(tanh.inputs[0], "Softplus")
        if softplus is not None and softplus.inputs[0] is x and graph.has_one_use(gate):
            return _add(graph, node, "Mish", x)
    return None


def _softplus(graph: Graph, node: Node) -> Value | None:
    one = with_number(node.inputs[0], "Add")
    exp = None if one is None or one[1] != 1.0 else produced_by(one[0], "Exp")
    if exp is None or not graph.has_one_use(exp.output):
        return None
    return _add(graph, node, "Softplus", exp.inputs[0])


def _pairs(node: Node) -> list[tuple[Value, Value]]:
    found = factors(node.output)
    return [] if found is None else [found, (found[1], found[0])]


def _add(graph: Graph, node: Node, op: str, x: Value | None, **attributes: Any) -> Value:
    made: Value = graph.add(op, x, before=node, name=node.name, **attributes)
    return made


RULES: dict[str, tuple[Callable[[Graph, Node], Value | None], ...]] = {
    "Mul": (_hard_swish, _hard_sigmoid, _swish, _mish),
    "Div": (_hard_swish, _hard_sigmoid),
    "Log": (_softplus,),
}
