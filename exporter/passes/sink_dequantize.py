"""Moves DequantizeLinear behind what only moves elements, so that integers are moved."""

from __future__ import annotations

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import contents, input_at, inverse, is_used, live, permutation, prune, scalar
from exporter.passes._quantized import Quantised, dequantised, quantised, zero_point

MOVES = frozenset({
    "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "Pad", "Reshape", "Slice", "SpaceToDepth", "Split",
    "Squeeze", "Tile", "Transpose", "Unsqueeze",
})  # fmt: skip
"""Operators that give elements of their first input, in the same order of size."""


def sink_dequantize(graph: Graph) -> int:
    """op(DequantizeLinear(q)) -> DequantizeLinear(op(q)).

    1. Operators of MOVES, and Concat of parts with equal scales and zero points.
    2. Transpose where there is a scale per index of an axis: the axis is renamed.

    Not for scales that are not constant, nor otherwise where there are several; not a MaxPool whose indices are used, or of
    a scale that is not positive, nor a Pad with anything but 0.
    """
    changes = 0
    for node in live(graph):
        if node.op.name in MOVES or node.op.name == "Concat":
            changes += _sink(graph, node)
    return changes


def _sink(graph: Graph, node: Node) -> bool:
    data = node.inputs if node.op.name == "Concat" else node.inputs[:1]
    parts = [quantised(v) for v in data]
    first = parts[0]
    if first is None:
        return False
    if first.scale.size > 1:
        return node.op.name == "Transpose" and _transpose_by_channel(graph, node, first)
    if any(p is None or not p.is_uniform or not p.equals(first) for p in parts) or not _moves_only(graph, node, first):
        return False
    inputs: list[Value | None] = [*(p.q for p in parts if p is not None), *node.inputs[len(parts) :]]
    if node.op.name == "Pad":
        inputs = [inputs[0], node.inputs[1], zero_point(graph, first), input_at(node, 3)]
    made = graph.add(node.op, *inputs, attrs=node.attrs, before=node, name=node.name)
    for old, new in zip(node.outputs, made if isinstance(made, tuple) else (made,)):
        if is_used(graph, old):
            graph.replace(old, dequantised(graph, new, first, node))
    prune(graph, [node])
    return True


def _moves_only(graph: Graph, node: Node, x: Quantised) -> bool:
    if node.op.name == "MaxPool":
        return bool(x.scale[0] > 0) and not any(is_used(graph, v) for v in node.outputs[1:])
    if node.op.name == "Pad" and node.attrs.mode == "constant":
        return input_at(node, 2) is None or scalar(node.inputs[2]) == 0.0
    return True


def _transpose_by_channel(graph: Graph, node: Node, x: Quantised) -> bool:
    decode = node.inputs[0].producer  # type: ignore[union-attr]
    if decode is None or contents(decode.inputs[1]) is None or node.output.type.rank is None:
        return False
    moved = graph.add("Transpose", x.q, attrs=node.attrs, before=node, name=node.name)
    attrs = decode.attrs.replace(axis=inverse(permutation(node))[x.axis])
    made = graph.add("DequantizeLinear", moved, *decode.inputs[1:], attrs=attrs, before=node)
    graph.replace(node.output, made)
    prune(graph, [node])
    return True
