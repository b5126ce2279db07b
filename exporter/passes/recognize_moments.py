"""Finds layer and instance normalisation in means and variances, in the arrangements of TensorFlow, Keras and JAX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Union

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.types import Dim
from exporter.passes._match import factors, is_f32, is_used, produced_by, replace
from exporter.passes._moments import Deviation, centred, deviation_of, is_mean, shifted_variance, under_root

Array = np.ndarray[Any, Any]
Factor = Union[Value, Deviation]


class Normalization(NamedTuple):
    """(x - mean) / sqrt(variance + epsilon) * scale + bias; scale and bias are constants, or None."""

    deviation: Deviation
    scale: Value | None
    bias: Value | None


def recognize_moments(graph: Graph) -> int:
    """Replaces, with r = 1 / sqrt(variance(x) + epsilon), in any order of factors, with scale and bias or without,

    1. (x - mean(x)) * (r * scale) + bias
    2. (x - mean(x)) / sqrt(variance(x) + epsilon) * scale + bias
    3. x * (r * scale) + (bias - mean(x) * (r * scale))

    by LayerNormalization where the last axes are normalised and scale and bias go along these, and by
    InstanceNormalization where the axes behind the second are and they go along the second. The variance is a mean of
    squared distances, or mean(x ** 2) - mean(x) ** 2, clamped at 0 or not; see `_moments` for the forms of means.
    Not where other axes are normalised (transposes cost as much as is won), where scale or bias are not constant, where
    sizes they go along are unknown, or for other dtypes than float32. Values in between that are used elsewhere stay.
    """
    changes = 0
    for node in reversed(list(graph.nodes)):
        if node.op.name not in ("Add", "Sub", "Mul", "Div") or not is_f32(*node.inputs):
            continue
        if not is_used(graph, node.output):
            continue
        found = _shared_factor(node) or _shifted(node) or _scaled(node.output, None)
        if found is not None and _write(graph, node, found):
            changes += 1
    return changes


# ---- reading ---------------------------------------------------------------------------------------------------------


def _shifted(node: Node) -> Normalization | None:
    """Forms 1 and 2 with a bias."""
    if node.op.name != "Add":
        return None
    for value, bias in (node.inputs, node.inputs[::-1]):
        if value is not None and bias is not None and bias.is_constant:
            return _scaled(value, bias)
    return None


def _scaled(value: Value, bias: Value | None) -> Normalization | None:
    """Forms 1 and 2 before the bias."""
    parts = _product(value)
    deviation = next((p for p in parts if isinstance(p, Deviation)), None)
    values = [p for p in parts if isinstance(p, Value)]
    if deviation is None or len(parts) != len(values) + 1:
        return None
    rest = [v for v in values if centred(v, deviation.axes) is not deviation.x]
    return _checked(deviation, rest, bias) if len(rest) == len(values) - 1 else None


def _shared_factor(node: Node) -> Normalization | None:
    """Form 3."""
    if node.op.name not in ("Add", "Sub"):
        return None
    for first, second in (node.inputs, node.inputs[::-1]) if node.op.name == "Add" else (node.inputs,):
        product = factors(first)
        if product is None:
            continue
        if node.op.name == "Add":
            difference = produced_by(second, "Sub")
            bias, shift = (None, None) if difference is None else difference.inputs
        else:
            bias, shift = None, second
        for x, factor in (product, product[::-1]):
            found = _with_factor(x, factor, shift, bias, needs_bias=node.op.name == "Add")
            if found is not None:
                return found
    return None


def _with_factor(x: Value, factor: Value, shift: Value | None, bias: Value | None, needs_bias: bool) -> Normalization | None:
    """x * factor + (bias - shift), where shift is mean(x) * factor."""
    parts = _product(factor)
    deviation = next((p for p in parts if isinstance(p, Deviation)), None)
    pair = factors(shift)
    if deviation is None or deviation.x is not x or pair is None or (needs_bias and (bias is None or not bias.is_constant)):
        return None
    mean = next((v for v, other in (pair, pair[::-1]) if other is factor), None)
    values = [p for p in parts if isinstance(p, Value)]
    if len(parts) != len(values) + 1 or not is_mean(mean, x, deviation.axes):
        return None
    return _checked(deviation, values, bias)


def _checked(deviation: Deviation, scales: list[Value], bias: Value | None) -> Normalization | None:
    if len(scales) > 1 or any(not s.is_constant for s in scales):
        return None
    return Normalization(deviation, scales[0] if scales else None, bias)


def _product(value: Value, most: int = 3) -> list[Factor]:
    """The factors of a product, with 1 / sqrt(...) as a Deviation; at most so many."""
    deviation = deviation_of(value)
    if deviation is not None:
        return [deviation]
    pair = factors(value)
    if pair is not None and most > 1:
        left = _product(pair[0], most - 1)
        return left + _product(pair[1], most - len(left))
    quotient = produced_by(value, "Div")
    if quotient is not None and most > 1 and quotient.inputs[0] is not None:
        divisor = shifted_variance(under_root(quotient.inputs[1]))
        if divisor is not None:
            return [*_product(quotient.inputs[0], most - 1), divisor]
    return [value]


# ---- writing ---------------------------------------------------------------------------------------------------------


def _write(graph: Graph, node: Node, found: Normalization) -> bool:
    """Replaces the node, if an operator fits."""
    x, axes, epsilon = found.deviation
    shape = x.type.shape
    if shape is None or node.output.type.rank != len(shape):
        return False
    rank = len(shape)
    given = [v.data for v in (found.scale, found.bias) if v is not None and v.data is not None]
    along = {a for data in given for a in _axes_along(data, rank)}
    if axes == tuple(range(rank - len(axes), rank)) and along <= set(axes):
        op, own = "LayerNormalization", axes
    elif rank > 2 and axes == tuple(range(2, rank)) and along == {1}:
        op, own = "InstanceNormalization", (1,)
    else:
        return False
    sizes = [shape[a] for a in own]
    scale, bias = (_spread(v, neutral, own, sizes, rank) for v, neutral in ((found.scale, 1.0), (found.bias, 0.0)))
    if scale is None or bias is None:
        return False
    arrays = [graph.constant(array, f"{node.name}.{name}") for name, array in (("scale", scale), ("bias", bias))]
    attributes: dict[str, Any] = {"axis": -len(axes)} if op == "LayerNormalization" else {}
    made = graph.add(op, x, *arrays, epsilon=epsilon, before=node, name=node.name, **attributes)
    replace(graph, node, made[0] if isinstance(made, tuple) else made)
    return True


def _spread(
    value: Value | None, neutral: float, axes: tuple[int, ...], sizes: Sequence[Dim], rank: int
) -> Array | None:
    """A constant that goes along no other axes than these, as an array of their sizes; None where they are unknown."""
    known = [d for d in sizes if isinstance(d, int)]
    data = np.full((), neutral, np.float32) if value is None or value.data is None else value.data
    padded = data.reshape((1,) * (rank - data.ndim) + data.shape)
    own = padded.reshape([padded.shape[a] for a in axes])
    if len(known) != len(sizes) or any(d not in (1, size) for d, size in zip(own.shape, known)):
        return None
    return np.ascontiguousarray(np.broadcast_to(own, known))


def _axes_along(data: Array, rank: int) -> list[int]:
    """Axes of a tensor of this rank that the array, broadcast to it, is not alike along."""
    return [a + rank - data.ndim for a, d in enumerate(data.shape) if d != 1]
