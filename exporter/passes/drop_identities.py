"""Drops nodes that give back their input."""

from __future__ import annotations

import math
from collections.abc import Callable

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import contents, input_at, integers, is_used, live, permutation, produced_by, replace, scalar

ENDLESS = 10**9
"""Exporters write a number like this, or a larger one, for the end of an axis; no axis is as long."""


def drop_identities(graph: Graph) -> int:
    """Replaces the output of a node that changes nothing by its input.

    1. Identity; Cast to the same dtype; Concat, Sum, Max, Min and Mean of one input; Dropout that is not training and
       whose mask nobody reads.
    2. Reshape, Flatten, Expand, Squeeze and Unsqueeze to the same shape; Transpose that keeps the order of the axes.
    3. x + 0, x - 0, x * 1, x / 1, x ** 1 with a constant; And with true, Or with false.
    4. Pad by zero everywhere, Slice of everything, Tile by one, Clip without limits, Relu of a Relu.

    Not where the result has another type than the input (broadcasting against the constant, a size that is not known to
    be equal); not for x + 0 where the zero is not an exact, full constant; keeps one that joins an input, a variable or
    a constant of the graph to an output.
    """
    changes = 0
    for node in live(graph):
        rule = RULES.get(node.op.name)
        if rule is None:
            continue
        position = rule(graph, node)
        if position is None:
            continue
        source = node.inputs[position]
        if source is None or not (_same_type(source, node.output) or _takes_all(node)):
            continue
        if graph.is_output(node.output) and source.producer is None:
            continue
        replace(graph, node, source)
        changes += 1
    return changes


def _same_type(a: Value, b: Value) -> bool:
    return a.type.dtype is b.type.dtype and a.type.shape is not None and a.type.shape == b.type.shape


def _always(graph: Graph, node: Node) -> int | None:
    return 0


def _of_one(graph: Graph, node: Node) -> int | None:
    return 0 if len(node.inputs) == 1 else None


def _dropout(graph: Graph, node: Node) -> int | None:
    training = contents(input_at(node, 2))
    if input_at(node, 2) is not None and (training is None or bool(training.any())):
        return None
    mask_read = any(is_used(graph, v) for v in node.outputs[1:])
    return None if mask_read else 0


def _transpose(graph: Graph, node: Node) -> int | None:
    if node.output.type.rank is None:
        return None
    perm = permutation(node)
    return 0 if perm == tuple(sorted(perm)) else None


def _neutral(*sides: int, value: float) -> Callable[[Graph, Node], int | None]:
    """The rule of an operator for which `value` at one of the positions `sides` gives back the other operand."""

    def rule(graph: Graph, node: Node) -> int | None:
        for side in sides:
            if scalar(node.inputs[side]) == value:
                return 1 - side
        return None

    return rule


def _neutral_bool(value: bool) -> Callable[[Graph, Node], int | None]:
    def rule(graph: Graph, node: Node) -> int | None:
        for side in (0, 1):
            array = contents(node.inputs[side])
            if array is not None and array.size and bool((array == value).all()):
                return 1 - side
        return None

    return rule


def _pad(graph: Graph, node: Node) -> int | None:
    pads = integers(node.inputs[1])
    return 0 if pads is not None and not any(pads) else None


def _tile(graph: Graph, node: Node) -> int | None:
    repeats = integers(node.inputs[1])
    return 0 if repeats is not None and all(r == 1 for r in repeats) else None


def _slice(graph: Graph, node: Node) -> int | None:
    """Equal shapes are not enough: a negative step reverses."""
    steps = integers(input_at(node, 4))
    return 0 if input_at(node, 4) is None or (steps is not None and all(s > 0 for s in steps)) else None


def _takes_all(node: Node) -> bool:
    """Whether a Slice takes each axis from 0 in steps of 1 to its end, also where that size is not known."""
    x = node.inputs[0]
    if node.op.name != "Slice" or x is None or x.type.shape is None:
        return False
    starts, ends = integers(node.inputs[1]), integers(node.inputs[2])
    axes, steps = integers(input_at(node, 3)), integers(input_at(node, 4))
    if starts is None or ends is None or any(starts):
        return False
    if (input_at(node, 3) is not None and axes is None) or (input_at(node, 4) is not None and steps is None):
        return False
    sizes = [x.type.shape[axis] for axis in (range(len(ends)) if axes is None else axes)]
    reach = all(end >= ENDLESS or (type(size) is int and end >= size) for size, end in zip(sizes, ends))
    return reach and all(step == 1 for step in steps or [])


def _clip(graph: Graph, node: Node) -> int | None:
    lo, hi = input_at(node, 1), input_at(node, 2)
    unlimited_below = lo is None or scalar(lo) == -math.inf
    unlimited_above = hi is None or scalar(hi) == math.inf
    return 0 if unlimited_below and unlimited_above else None


def _relu(graph: Graph, node: Node) -> int | None:
    return 0 if produced_by(node.inputs[0], "Relu") is not None else None


RULES: dict[str, Callable[[Graph, Node], int | None]] = {
    "Identity": _always,
    "Cast": _always,
    "Reshape": _always,
    "Flatten": _always,
    "Squeeze": _always,
    "Unsqueeze": _always,
    "Expand": _always,
    "Concat": _of_one,
    "Sum": _of_one,
    "Max": _of_one,
    "Min": _of_one,
    "Mean": _of_one,
    "Dropout": _dropout,
    "Transpose": _transpose,
    "Add": _neutral(0, 1, value=0.0),
    "Sub": _neutral(1, value=0.0),
    "Mul": _neutral(0, 1, value=1.0),
    "Div": _neutral(1, value=1.0),
    "Pow": _neutral(1, value=1.0),
    "And": _neutral_bool(True),
    "Or": _neutral_bool(False),
    "Pad": _pad,
    "Tile": _tile,
    "Slice": _slice,
    "Clip": _clip,
    "Relu": _relu,
}
"""The input that a node of the operator gives back, or None; checked for equal types afterwards."""
