"""Gives inner graphs only what they need, and constants as constants."""

from __future__ import annotations

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import live


def narrow_captures(graph: Graph) -> int:
    """Rewrites what the graphs of If, Loop and Scan capture.

    1. A captured constant becomes a constant of the inner graphs.
    2. A capture that no inner graph uses is dropped.

    Not for inputs that are no captures (a Loop's carried values), and not where an inner graph gives a capture out
    unchanged, unless it is constant.
    """
    changes = 0
    for node in live(graph):
        bodies = [v for _, v in node.attrs if isinstance(v, Graph)]
        if not bodies or not all(len(b.inputs) >= _captures(node) for b in bodies):
            continue
        for from_end in range(_captures(node), 0, -1):
            changes += _narrow(graph, node, bodies, len(node.inputs) - from_end, from_end)
    return changes


def _captures(node: Node) -> int:
    """How many of the node's last inputs are captures."""
    if node.op.name == "If":
        return len(node.inputs) - 1
    if node.op.name == "Loop":
        return len(node.inputs) - 2 - int(node.attrs.carried)
    if node.op.name == "Scan":
        return len(node.inputs) - int(node.attrs.carried) - int(node.attrs.num_scan_inputs)
    return 0


def _narrow(graph: Graph, node: Node, bodies: list[Graph], position: int, from_end: int) -> int:
    outer = node.inputs[position]
    inner = [body.inputs[-from_end] for body in bodies]
    if outer is not None and outer.data is not None:
        for body, value in zip(bodies, inner):
            body.replace(value, body.constant(outer.data, outer.name))
            body.retype()
    elif any(v.uses or body.is_output(v) for body, v in zip(bodies, inner)):
        return 0
    for body in bodies:
        del body.inputs[-from_end]
    _drop_input(node, position, outer)
    return 1


def _drop_input(node: Node, position: int, value: Value | None) -> None:
    """Removes one input; the later ones move up, and so do their uses."""
    for index, v in enumerate(node.inputs):
        if v is not None and index >= position:
            v.uses.remove((node, index))
            if index > position:
                v.uses.append((node, index - 1))
    node.inputs = node.inputs[:position] + node.inputs[position + 1 :]
