"""Sums, products, means and concatenations of quantised tensors become steps on 8-bit numbers."""

from __future__ import annotations

import math
from typing import Any

from edge_rt.graph import Graph, Node, Value
from exporter.passes._layout import channels_first, channels_last
from exporter.passes._match import integers, live, prune
from exporter.passes._quantized import Quantised, Rounding, dequantised, quantised, rounding_behind


def quantize_steps(graph: Graph) -> int:
    """Replaces operators between DequantizeLinear and QuantizeLinear (behind Relu and Clip, too).

    1. Add, Sub -> edge.QAdd; Mul -> edge.QMul, of two tensors that may broadcast.
    2. GlobalAveragePool, and AveragePool or ReduceMean over all of an image -> edge.QMean, between transposes.
    3. Concat of parts with other scales than the result: each is quantised anew, by a table.

    The result differs by at most a step: it is rounded once, where the operators round in between. Not where a scale or zero
    point is not constant or not one for all, a scale is not finite, or the result has other uses than the QuantizeLinear.
    """
    changes = 0
    for node in live(graph):
        rule = RULES.get(node.op.name)
        if rule is None:
            continue
        parts = [quantised(v) for v in (node.inputs if node.op.name in ("Concat", *BINARY) else node.inputs[:1])]
        uniform = [p for p in parts if p is not None and p.is_uniform]
        rounding = rounding_behind(graph, node.output) if len(uniform) == len(parts) else None
        made = None if rounding is None else rule(graph, node, uniform, rounding)
        if rounding is None or made is None:
            continue
        graph.replace(rounding.q, made)
        prune(graph, [rounding.node])
        changes += 1
    return changes


def _result(rounding: Rounding) -> dict[str, Any]:
    return {"output": rounding.dtype, "y_zero": int(rounding.zero[0]), "lo": rounding.lo, "hi": rounding.hi}


def _binary(graph: Graph, node: Node, parts: list[Quantised], rounding: Rounding) -> Value | None:
    a, b = parts
    if a.q.type.shape is None or b.q.type.shape is None:
        return None
    zeros: dict[str, Any] = {"a_zero": int(a.zero[0]), "b_zero": int(b.zero[0])}
    scales: dict[str, Any]
    op, scales = "edge.QAdd", {"a_scale": _ratio(a, rounding), "b_scale": _ratio(b, rounding)}
    if node.op.name == "Sub":
        scales["b_scale"] = -scales["b_scale"]
    elif node.op.name == "Mul":
        op, scales = "edge.QMul", {"scale": float(a.scale[0] * b.scale[0] / rounding.scale[0])}
    if not all(map(math.isfinite, scales.values())):
        return None
    made: Value = graph.add(op, a.q, b.q, name=node.name, before=node, **zeros, **scales, **_result(rounding))
    return made


def _ratio(of: Quantised, rounding: Rounding) -> float:
    return float(of.scale[0] / rounding.scale[0])


def _mean(graph: Graph, node: Node, parts: list[Quantised], rounding: Rounding) -> Value | None:
    (x,) = parts
    shape = x.q.type.shape
    if shape is None or len(shape) != 4 or not _takes_image(node, shape):
        return None
    image = channels_last(graph, x.q, node)
    y = graph.add(
        "edge.QMean", image, x_zero=int(x.zero[0]), scale=_ratio(x, rounding), name=node.name, before=node,
        **_result(rounding),
    )  # fmt: skip
    y = channels_first(graph, y, 4, node)
    if node.op.name == "ReduceMean" and not node.attrs.keepdims:
        y = graph.add("Squeeze", y, node.inputs[1], before=node)
    made: Value = y
    return made


def _takes_image(node: Node, shape: Any) -> bool:
    """Whether each result is the mean of all of a channel."""
    if node.op.name == "AveragePool":
        sizes = shape[2:]
        return tuple(node.attrs.kernel_shape) == sizes and not any(node.attrs.pads) and node.attrs.auto_pad == "NOTSET"
    if node.op.name == "ReduceMean":
        axes = integers(node.inputs[1]) if len(node.inputs) > 1 else None
        return axes is not None and sorted(a % 4 for a in axes) == [2, 3]
    return True


def _concat(graph: Graph, node: Node, parts: list[Quantised], rounding: Rounding) -> Value | None:
    if math.isfinite(rounding.lo) or math.isfinite(rounding.hi):
        return None
    scale, zero = rounding.node.inputs[1:3] if len(rounding.node.inputs) > 2 else (rounding.node.inputs[1], None)
    moved = []
    for p in parts:
        q = p.q
        if not p.equals(rounding):
            real = dequantised(graph, q, p, node)
            q = graph.add("QuantizeLinear", real, scale, zero, attrs=rounding.node.attrs, before=node)
        moved.append(q)
    made: Value = graph.add("Concat", *moved, axis=node.attrs.axis, name=node.name, before=node)
    return made


BINARY = ("Add", "Sub", "Mul")
RULES: dict[str, Any] = {
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(("GlobalAveragePool", "AveragePool", "ReduceMean"), _mean),
    "Concat": _concat,
}
