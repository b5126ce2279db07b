"""Folds multiplications and additions of one number per channel into the weights next to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import constant_operand, input_at, is_f32, live, produced_by, replace, sole_user

Array = np.ndarray[Any, Any]
LINEAR = ("Conv", "ConvTranspose", "MatMul")


def fold_scale_and_shift(graph: Graph) -> int:
    """Folds Mul, Div, Add and Sub with a constant into a Conv, ConvTranspose or MatMul with constant weights.

    1. After it: conv(x) * s -> conv with w * s, b * s; conv(x) + t -> conv with b + t. (MatMul has no bias: only * s.)
    2. Before it: conv(x * s) -> conv with w * s over the input channels; conv(x + t) -> conv(x) with b + w t, where the
       convolution does not pad (padding adds zeros after the shift). matmul(x + t) -> matmul(x) + t w.
    3. Behind what stands for the bias of a MatMul: (matmul(x) + t) * s -> matmul(x) * s + t * s, to go on with 1.

    Computed in float64 and rounded once. Not where the constant varies along any axis but the channel or makes the
    result larger, where the value in between is used elsewhere or is an output, for a constant divided by a
    convolution, where the constant or its reciprocal is not finite, where the weights are not constant or also used
    elsewhere, or for other dtypes than float32.
    """
    changes = 0
    for node in live(graph):
        if node.op.name not in ("Mul", "Div", "Add", "Sub") or not is_f32(*node.inputs):
            continue
        found = constant_operand(node)
        if found is None or found[0].is_constant:
            continue
        x, c = found
        constant_first = node.inputs[1] is x
        if constant_first and node.op.name == "Div":
            continue
        rules = (_fold_after, _fold_before, _swap_with_bias)
        changes += any(rule(graph, node, x, c, constant_first) for rule in rules)
    return changes


def _affine(name: str, c: Array, constant_first: bool) -> tuple[Array | float, Array | float]:
    """(s, t) with node(x) = x * s + t."""
    c = c.astype(np.float64)
    if name == "Mul":
        return c, 0.0
    if name == "Div":
        with np.errstate(divide="ignore"):
            return 1.0 / c, 0.0
    if name == "Add":
        return 1.0, c
    return (-1.0, c) if constant_first else (1.0, -c)


def _fold_after(graph: Graph, node: Node, x: Value, c: Array, constant_first: bool) -> bool:
    linear = x.producer
    if linear is None or not graph.has_one_use(x) or not _has_own_weights(linear) or node.output.type != x.type:
        return False
    weights = linear.inputs[1]
    assert weights is not None
    assert weights.data is not None
    outputs = _channels_out(linear, weights.data)
    vector = _per_channel(c, x.type.rank, 1 if linear.op.name != "MatMul" else -1, outputs)
    if vector is None:
        return False
    s, t = (np.broadcast_to(part, outputs) for part in _affine(node.op.name, vector, constant_first))
    if not np.isfinite(s).all() or not np.isfinite(t).all():
        return False
    if linear.op.name == "MatMul":
        if node.op.name not in ("Mul", "Div"):
            return False
        new = _with_weights(graph, linear, weights.data * s, None, node)
    else:
        scaled = _times_outputs(linear, weights.data, s)
        new = _with_weights(graph, linear, scaled, _bias(linear, outputs) * s + t, node)
    replace(graph, node, new)
    return True


def _fold_before(graph: Graph, node: Node, x: Value, c: Array, constant_first: bool) -> bool:
    linear = sole_user(graph, node.output, *LINEAR)
    if linear is None or not _has_own_weights(linear) or linear.inputs[0] is not node.output:
        return False
    if node.output.type != x.type:
        return False
    weights = linear.inputs[1]
    assert weights is not None
    assert weights.data is not None
    w = weights.data.astype(np.float64)
    inputs = _channels_in(linear, w)
    vector = _per_channel(c, x.type.rank, 1 if linear.op.name != "MatMul" else -1, inputs)
    if vector is None:
        return False
    s, t = (np.broadcast_to(part, inputs) for part in _affine(node.op.name, vector, constant_first))
    if not np.isfinite(s).all() or not np.isfinite(t).all():
        return False
    if t.any() and not _ignores_borders(linear):
        return False
    if linear.op.name == "MatMul":
        new = _with_weights(graph, linear, w * s[:, None], None, linear, x)
        if t.any():
            shift = graph.constant((t @ w).astype(np.float32), f"{linear.name}.bias")
            new = graph.add("Add", new, shift, before=linear, name=linear.name)
    else:
        outputs = _channels_out(linear, w)
        scaled = _times_inputs(linear, w, s)
        bias = _bias(linear, outputs) if t.any() or input_at(linear, 2) is not None else None
        if bias is not None and t.any():
            shifted = _times_inputs(linear, w, t)
            bias = bias + shifted.reshape(outputs, -1).sum(axis=1)
        new = _with_weights(graph, linear, scaled, bias, linear, x)
    replace(graph, linear, new)
    return True


def _swap_with_bias(graph: Graph, node: Node, x: Value, c: Array, constant_first: bool) -> bool:
    added = produced_by(x, "Add")
    found = None if added is None else constant_operand(added)
    if found is None or node.op.name not in ("Mul", "Div") or not graph.has_one_use(x):
        return False
    y, bias = found
    product = produced_by(y, "MatMul")
    if product is None or not graph.has_one_use(y) or not _has_own_weights(product):
        return False
    outputs = product.inputs[1].data.shape[1]  # type: ignore[union-attr]
    s, t = (_per_channel(v, y.type.rank, -1, outputs) for v in (c, bias))
    if s is None or t is None or not y.type == x.type == node.output.type:
        return False
    scale = np.asarray(_affine(node.op.name, s, constant_first)[0])
    if not np.isfinite(scale).all():
        return False
    scaled = graph.add(node.op, y, graph.constant(s, f"{node.name}.scale"), before=node, name=node.name)
    shift = graph.constant((t * scale).astype(np.float32), f"{product.name}.bias")
    replace(graph, node, graph.add("Add", scaled, shift, before=node, name=product.name))
    return True


def _has_own_weights(node: Node) -> bool:
    if node.op.name not in LINEAR or not is_f32(*node.inputs):
        return False
    weights, bias = node.inputs[1], input_at(node, 2)
    if weights is None or weights.data is None or len(weights.uses) > 1 or (bias is not None and bias.data is None):
        return False
    return weights.data.ndim == 2 if node.op.name == "MatMul" else weights.data.ndim >= 3


def _ignores_borders(node: Node) -> bool:
    """Whether each output sees only the input's own elements, and every weight once."""
    if node.op.name == "MatMul":
        return True
    return node.op.name == "Conv" and node.attrs.auto_pad in ("NOTSET", "VALID") and not any(node.attrs.pads)


def _per_channel(c: Array, rank: int | None, axis: int, channels: int) -> Array | None:
    """The constant as one number per channel, or None where it varies along other axes of a tensor of this rank."""
    if rank is None or c.ndim > rank:
        return None
    shape = (1,) * (rank - c.ndim) + c.shape
    axis %= rank
    if any(d != 1 for i, d in enumerate(shape) if i != axis) or shape[axis] not in (1, channels):
        return None
    return np.broadcast_to(c.reshape(-1), channels)


def _channels_out(node: Node, w: Array) -> int:
    if node.op.name == "MatMul":
        return int(w.shape[1])
    return int(w.shape[0] if node.op.name == "Conv" else w.shape[1] * node.attrs.group)


def _channels_in(node: Node, w: Array) -> int:
    return int(w.shape[1] * node.attrs.group if node.op.name == "Conv" else w.shape[0])


def _bias(node: Node, channels: int) -> Array:
    bias = input_at(node, 2)
    return np.zeros(channels) if bias is None or bias.data is None else bias.data.astype(np.float64)


def _times_outputs(node: Node, w: Array, s: Array) -> Array:
    """Weights of a Conv [N, c/g, ...] or ConvTranspose [c, N/g, ...] times a number per output channel."""
    return _times(w, s, None if node.op.name == "Conv" else node.attrs.group)


def _times_inputs(node: Node, w: Array, s: Array) -> Array:
    """Weights of a Conv [N, c/g, ...] or ConvTranspose [c, N/g, ...] times a number per input channel."""
    return _times(w, s, None if node.op.name == "ConvTranspose" else node.attrs.group)


def _times(w: Array, s: Array, group: int | None) -> Array:
    """w times a number for each place on its first axis; of so many groups: for each place on the second, group by group."""
    kernel = (1,) * (w.ndim - 2)
    if group is None:
        return w * s.reshape(-1, 1, *kernel)
    grouped = w.reshape(group, -1, *w.shape[1:]) * s.reshape(group, 1, -1, *kernel)
    return np.asarray(grouped).reshape(w.shape)


def _with_weights(
    graph: Graph, node: Node, weights: Array, bias: Array | None, before: Node, x: Value | None = None
) -> Value:
    """The same operator with other weights (and another input)."""
    inputs = [x or node.inputs[0], graph.constant(weights.astype(np.float32), f"{node.name}.weight")]
    if bias is not None:
        inputs.append(graph.constant(bias.astype(np.float32), f"{node.name}.bias"))
    made: Value = graph.add(node.op, *inputs, attrs=node.attrs, before=before, name=node.name)
    return made
