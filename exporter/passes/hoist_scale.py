"""Moves a scale up to the weights that it can be folded into."""

from __future__ import annotations

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import constant_operand, is_f32, live, produced_by, replace, with_number
from exporter.passes.merge_reshapes import RESHAPES

MOVES = (*RESHAPES, "Transpose")


def hoist_scale(graph: Graph) -> int:
    """x * c, with one number c, becomes a product right behind the weights that x comes from.

    1. Through Reshape, Flatten, Squeeze, Unsqueeze and Transpose.
    2. Through the product of two computed matrices, to the left one: (q k) * c -> (q * c) k.

    Only where that ends at a Conv, a ConvTranspose, or a MatMul (and the constant added to it) with constant weights,
    for fold_scale_and_shift to fold it. Not where a value in between is used elsewhere or is an output, for other
    dtypes than float32, or where there is nothing in between.
    """
    changes = 0
    for node in live(graph):
        if node.op.name not in ("Mul", "Div") or not is_f32(node.output):
            continue
        found = with_number(node.output, "Mul")
        if found is None:
            continue
        x, _ = found
        path = _path(graph, x)
        if not path:
            continue
        source = path[-1].inputs[0]
        constant = next(v for v in node.inputs if v is not None and v is not x)
        if source is None or constant.data is None:
            continue
        # A vector of equal numbers counts as one number, but fits only the shape here.
        number = graph.constant(constant.data.reshape(-1)[0], constant.name)
        scaled = graph.add(node.op, source, number, before=path[-1], name=node.name)
        graph.set_input(path[-1], 0, scaled)
        replace(graph, node, x)
        changes += 1
    return changes


def _path(graph: Graph, value: Value) -> list[Node]:
    """The nodes between the value and the weights, from the last to the first; none where they lead elsewhere."""
    path: list[Node] = []
    while graph.has_one_use(value) and value.producer is not None:
        node = value.producer
        if _is_weighted(node):
            return path
        if node.op.name not in MOVES and not (node.op.name == "MatMul" and node.inputs[0] is not node.inputs[1]):
            return []
        if node.inputs[0] is None:
            return []
        path.append(node)
        value = node.inputs[0]
    return []


def _is_weighted(node: Node) -> bool:
    """Whether fold_scale_and_shift can fold a product into the node, or into the node behind it."""
    if node.op.name == "Add":
        found = constant_operand(node)
        product = None if found is None else produced_by(found[0], "MatMul")
        return product is not None and _is_weighted(product)
    if node.op.name not in ("Conv", "ConvTranspose", "MatMul"):
        return False
    weights = node.inputs[1]
    return weights is not None and weights.data is not None and len(weights.uses) == 1
