"""Finds layer and root-mean-square normalisation in the nodes that frameworks write them with."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import (
    factors,
    input_at,
    integers,
    is_f32,
    is_square_of,
    live,
    produced_by,
    replace,
    scalar,
    sole_user,
    with_number,
)


def recognize_layer_norm(graph: Graph) -> int:
    """Replaces by one operator, with d = x - mean(x) and means over the last axes:

    1. d / sqrt(mean(d ** 2) + epsilon), then optionally * scale, + bias -> LayerNormalization.
    2. x / sqrt(mean(x ** 2) + epsilon), then optionally * scale -> RMSNormalization.

    The root also as Reciprocal(Sqrt) or Pow -0.5, d ** 2 also as d * d. Not where the means are not over the last axes
    or lose them, where a size of these axes is unknown and there is no scale, or for other dtypes than float32.
    Values in between that are used elsewhere stay.
    """
    changes = 0
    for node in live(graph):
        if node.op.name not in ("Div", "Mul") or not is_f32(*node.inputs):
            continue
        found = _normalized(node)
        shape = None if found is None else found[0].type.shape
        if found is None or shape is None:
            continue
        d, axis, epsilon = found
        x, sizes, rank = _centred(d, axis), shape[axis:], len(shape)
        root, scale, bias = _affine(graph, node, sizes, x is not None)
        if scale is None:
            if not all(type(s) is int for s in sizes):
                continue
            scale = graph.constant(np.ones(tuple(int(s) for s in sizes), np.float32), f"{node.name}.scale")
        if x is None:
            op, inputs = "RMSNormalization", [d, scale]
        else:
            op, inputs = "LayerNormalization", [x, scale] if bias is None else [x, scale, bias]
        made = graph.add(op, *inputs, axis=axis - rank, epsilon=epsilon, before=root, name=node.name)
        made = made[0] if isinstance(made, tuple) else made
        replace(graph, root, made)
        changes += 1
    return changes


def _normalized(node: Node) -> tuple[Value, int, float] | None:
    """(d, first axis, epsilon) where the node is d / sqrt(mean(d ** 2) + epsilon)."""
    if node.op.name == "Div":
        pairs = [(node.inputs[0], _root_of(node.inputs[1]))]
    else:
        a, b = factors(node.output) or (None, None)
        pairs = [(a, _inverse_root_of(b)), (b, _inverse_root_of(a))]
    for d, inside in pairs:
        shifted = with_number(inside, "Add")
        if d is None or shifted is None:
            continue
        mean = _mean_over_last(shifted[0])
        if mean is not None and is_square_of(mean[0], d) and shifted[1] >= 0:
            return d, mean[1], shifted[1]
    return None


def _root_of(value: Value | None) -> Value | None:
    node = produced_by(value, "Sqrt", "Pow")
    if node is None:
        return None
    if node.op.name == "Sqrt":
        return node.inputs[0]
    power = with_number(value, "Pow")
    return power[0] if power is not None and power[1] == 0.5 else None


def _inverse_root_of(value: Value | None) -> Value | None:
    node = produced_by(value, "Reciprocal", "Pow", "Div")
    if node is None:
        return None
    if node.op.name == "Reciprocal":
        return _root_of(node.inputs[0])
    if node.op.name == "Div":
        return _root_of(node.inputs[1]) if scalar(node.inputs[0]) == 1.0 else None
    power = with_number(value, "Pow")
    return power[0] if power is not None and power[1] == -0.5 else None


def _mean_over_last(value: Value | None) -> tuple[Value, int] | None:
    """(x, first axis) where the value is the mean of x over its last axes, which are kept."""
    node = produced_by(value, "ReduceMean")
    axes = None if node is None else integers(input_at(node, 1))
    if node is None or not axes or not node.attrs.keepdims:
        return None
    x = node.inputs[0]
    if x is None or x.type.rank is None:
        return None
    rank = x.type.rank
    ordered = sorted(a % rank for a in axes)
    return (x, ordered[0]) if ordered == list(range(ordered[0], rank)) else None


def _centred(d: Value, axis: int) -> Value | None:
    """x where d is x minus its mean over the axes from `axis` on."""
    node = produced_by(d, "Sub")
    mean = None if node is None else _mean_over_last(node.inputs[1])
    return mean[0] if node is not None and mean is not None and mean == (node.inputs[0], axis) else None


def _affine(
    graph: Graph, node: Node, sizes: tuple[object, ...], with_bias: bool
) -> tuple[Node, Value | None, Value | None]:
    """(last node, scale, bias) of the optional * scale + bias behind the normalised value."""
    scaled = sole_user(graph, node.output, "Mul")
    if scaled is None:
        return node, None, None
    scale = _other(scaled, node.output, sizes)
    if scale is None:
        return node, None, None
    shifted = sole_user(graph, scaled.output, "Add") if with_bias else None
    bias = None if shifted is None else _other(shifted, scaled.output, sizes)
    return (scaled, scale, None) if shifted is None or bias is None else (shifted, scale, bias)


def _other(node: Node, value: Value, sizes: tuple[object, ...]) -> Value | None:
    """The other operand, where it has the shape of the normalised axes."""
    other = next((v for v in node.inputs if v is not value), None)
    return other if other is not None and other.type.shape == sizes and is_f32(other) else None
