"""Reads means, variances and what is made of them, as frameworks write them: by ReduceMean, or by sums times 1 / n;
with reduced axes kept or put back by Reshape or Unsqueeze."""

from __future__ import annotations

from typing import NamedTuple

from edge_rt.graph import Node, Value
from exporter.passes._match import input_at, integers, is_close, is_square_of, produced_by, scalar, with_number


class Mean(NamedTuple):
    """The mean of x over these axes, which are kept as axes of size 1 or gone."""

    x: Value
    axes: tuple[int, ...]


class Deviation(NamedTuple):
    """1 / sqrt(variance of x over these axes + epsilon)."""

    x: Value
    axes: tuple[int, ...]
    epsilon: float


def mean_of(value: Value | None) -> Mean | None:
    value = _behind_kept_axes(value)
    node = produced_by(value, "ReduceMean")
    if node is not None:
        return _reduction(node)
    scaled = with_number(value, "Mul")
    node = None if scaled is None else produced_by(_behind_kept_axes(scaled[0]), "ReduceSum")
    found = None if node is None else _reduction(node)
    if scaled is None or found is None or found.x.type.shape is None:
        return None
    count = 1
    for axis in found.axes:
        size = found.x.type.shape[axis]
        if type(size) is not int:
            return None
        count *= size
    return found if count and is_close(scaled[1], 1 / count) else None


def _behind_kept_axes(value: Value | None) -> Value | None:
    """The value before a Reshape or Unsqueeze that only puts reduced axes back, with size 1."""
    node = produced_by(value, "Reshape", "Unsqueeze")
    inner = None if node is None else node.inputs[0]
    if value is None or inner is None or inner.type.shape is None or value.type.shape is None:
        return value
    sizes, kept = ([d for d in v.type.shape or () if d != 1] for v in (inner, value))
    return inner if sizes == kept and len(value.type.shape) > len(inner.type.shape) else value


def _reduction(node: Node) -> Mean | None:
    x, axes = node.inputs[0], integers(input_at(node, 1))
    if x is None or x.type.rank is None or not axes:
        return None
    return Mean(x, tuple(sorted(a % x.type.rank for a in axes)))


def is_mean(value: Value | None, x: Value, axes: tuple[int, ...]) -> bool:
    return mean_of(value) == (x, axes)


def centred(value: Value | None, axes: tuple[int, ...]) -> Value | None:
    """x where the value is x - mean of x over these axes."""
    node = produced_by(value, "Sub")
    x = None if node is None else node.inputs[0]
    return x if node is not None and x is not None and is_mean(node.inputs[1], x, axes) else None


def variance_of(value: Value | None) -> Mean | None:
    """x and axes, where the value is mean((x - mean(x)) ** 2), or mean(x ** 2) - mean(x) ** 2, at least 0."""
    value = _behind_kept_axes(value)
    mean = mean_of(value)
    if mean is not None:
        d = _square_root_of(mean.x)
        x = None if d is None else centred(d, mean.axes)
        return None if x is None else Mean(x, mean.axes)
    node = produced_by(value, "Max", "Relu", "Clip", "Sub")
    if node is None:
        return None
    if node.op.name != "Sub":
        inner = _clamped_at_zero(node)
        return None if inner is None else variance_of(inner)
    squares = mean_of(node.inputs[0])
    x = None if squares is None else _square_root_of(squares.x)
    root = _square_root_of(node.inputs[1])
    if squares is None or x is None or root is None or not is_mean(root, x, squares.axes):
        return None
    return Mean(x, squares.axes)


def _clamped_at_zero(node: Node) -> Value | None:
    """x where the node is max(x, 0)."""
    x = node.inputs[0]
    if node.op.name == "Relu":
        return x
    if node.op.name == "Clip":
        return x if scalar(input_at(node, 1)) == 0.0 and input_at(node, 2) is None else None
    if len(node.inputs) != 2:
        return None
    for one, other in ((x, node.inputs[1]), (node.inputs[1], x)):
        if one is not None and one.type == node.output.type and scalar(other) == 0.0:
            return one
    return None


def _square_root_of(value: Value | None) -> Value | None:
    """x where the value is x ** 2."""
    node = produced_by(value, "Mul", "Pow")
    x = None if node is None else node.inputs[0]
    return x if x is not None and is_square_of(value, x) else None


def deviation_of(value: Value | None) -> Deviation | None:
    """Reads 1 / sqrt(variance + epsilon)."""
    value = _behind_kept_axes(value)
    node = produced_by(value, "Reciprocal", "Pow", "Div")
    if node is None:
        return None
    if node.op.name == "Pow":
        power = with_number(value, "Pow")
        inside = power[0] if power is not None and power[1] == -0.5 else None
    elif node.op.name == "Div":
        inside = under_root(node.inputs[1]) if scalar(node.inputs[0]) == 1.0 else None
    else:
        inside = under_root(node.inputs[0])
    return shifted_variance(inside)


def under_root(value: Value | None) -> Value | None:
    """x where the value is sqrt(x)."""
    value = _behind_kept_axes(value)
    node = produced_by(value, "Sqrt", "Pow")
    if node is None or node.op.name == "Sqrt":
        return None if node is None else node.inputs[0]
    power = with_number(value, "Pow")
    return power[0] if power is not None and power[1] == 0.5 else None


def shifted_variance(value: Value | None) -> Deviation | None:
    """Reads variance + epsilon."""
    shifted = with_number(_behind_kept_axes(value), "Add")
    variance = None if shifted is None or shifted[1] < 0 else variance_of(shifted[0])
    return None if variance is None or shifted is None else Deviation(variance.x, variance.axes, shifted[1])
