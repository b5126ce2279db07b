"""Finds the softmax in the maximum, exponentials and sum that frameworks write it with."""

from __future__ import annotations

import math

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import input_at, integers, is_f32, live, produced_by, replace, scalar


def recognize_softmax(graph: Graph) -> int:
    """e / sum(e) with e = exp(x - max(x)), both over the same axis -> Softmax(x).

    The quotient also as e * Reciprocal(sum); an axis may be lost and given back by a Reshape; the maximum may be joined
    with -inf. Not where sum or maximum are over several axes or of another shape than x with 1 at the axis, where e is
    used elsewhere, or for other dtypes than float32.
    """
    changes = 0
    for node in live(graph):
        found = _quotient(node)
        if found is None or not is_f32(node.output):
            continue
        e, total = found
        power = produced_by(e, "Exp")
        shifted = None if power is None else produced_by(power.inputs[0], "Sub")
        if shifted is None or graph.is_output(e) or len(e.uses) != 2:
            continue
        x = shifted.inputs[0]
        axis = _reduced_axis(total, "ReduceSum", e)
        if x is None or axis is None or _reduced_axis(shifted.inputs[1], "ReduceMax", x) != axis:
            continue
        if x.type.shape != node.output.type.shape:
            continue
        replace(graph, node, graph.add("Softmax", x, axis=axis, before=node, name=node.name))
        changes += 1
    return changes


def _quotient(node: Node) -> tuple[Value, Value] | None:
    """(a, b) where the node is a / b."""
    if node.op.name not in ("Div", "Mul"):
        return None
    a, b = node.inputs
    if node.op.name == "Div":
        return None if a is None or b is None else (a, b)
    for one, other in ((a, b), (b, a)):
        inverse = produced_by(other, "Reciprocal")
        if one is not None and inverse is not None and inverse.inputs[0] is not None:
            return one, inverse.inputs[0]
    return None


def _reduced_axis(value: Value | None, op: str, x: Value) -> int | None:
    """The axis over which the value is the reduction of x; it must be there, with size 1."""
    if value is None or value.type.shape is None or x.type.shape is None:
        return None
    shape, rank = value.type.shape, len(x.type.shape)
    while True:
        reshape, joined = produced_by(value, "Reshape", "Unsqueeze"), produced_by(value, "Max")
        if reshape is not None:
            value = reshape.inputs[0]
        elif joined is not None and len(joined.inputs) == 2 and -math.inf in map(scalar, joined.inputs):
            value = joined.inputs[int(scalar(joined.inputs[0]) == -math.inf)]
        else:
            break
    node = produced_by(value, op)
    axes = None if node is None else integers(input_at(node, 1))
    if node is None or node.inputs[0] is not x or axes is None or len(axes) != 1:
        return None
    axis = axes[0] % rank
    return axis if shape == (*x.type.shape[:axis], 1, *x.type.shape[axis + 1 :]) else None
