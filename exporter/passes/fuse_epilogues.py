"""Moves what follows a GEMM or convolution into its epilogue: y = act(clamp(a @ b + bias + residual, lo, hi))."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.ops.edge_gemm import ACTIVATIONS
from exporter.passes._match import constant_operand, input_at, is_f32, live, replace, scalar, sole_user

INTEGER = ("edge.QGemm", "edge.QConv", "edge.QDepthwiseConv")
BIAS = {
    **dict.fromkeys(("edge.Gemm", "edge.Conv", "edge.DepthwiseConv", "edge.ConvTranspose"), 2), **dict.fromkeys(INTEGER, 6)
}  # fmt: skip
RESIDUAL = {**dict.fromkeys(("edge.Gemm", "edge.Conv", "edge.DepthwiseConv"), 3), **dict.fromkeys(INTEGER, 7)}
"""Position of the optional input."""


def fuse_epilogues(graph: Graph) -> int:
    """Fuses the only user of a GEMM or convolution into it; of an integer one, if it gives float32.

    1. Add or Sub of a constant per output channel, or of one number -> bias.
    2. Add of a tensor of the same shape -> residual (not edge.ConvTranspose, which has none).
    3. Relu, Clip with constant limits, and Max or Min with one constant number -> lo, hi.
    4. LeakyRelu, and other operators of ACTIVATIONS with their default attributes -> activation.

    The order is fixed, so 1 and 2 do not fire after a clamp, nor anything after an activation; 1 not after a residual
    (both are sums, but of another order of rounding than the program's). Not where the value in between is used
    elsewhere or is an output, or where the result has another shape.
    """
    changes = 0
    for node in live(graph):
        while node.op.name in BIAS and not node.attrs.activation:
            user = sole_user(graph, node.output)
            fused = None if user is None else _fuse(graph, node, user)
            if user is None or fused is None:
                break
            replace(graph, user, fused)
            assert fused.producer is not None
            node = fused.producer
            changes += 1
    return changes


def _fuse(graph: Graph, node: Node, user: Node) -> Value | None:
    if not is_f32(node.output) or user.output.type != node.output.type or not is_f32(*user.inputs):
        return None
    name = user.op.name
    unclamped = node.attrs.lo == -math.inf and node.attrs.hi == math.inf
    if name in ("Add", "Sub") and unclamped:
        return _fuse_sum(graph, node, user)
    clamp = limits(user)
    if clamp is not None:
        lo, hi = clamp
        clamped = {"lo": _clamp(node.attrs.lo, lo, hi), "hi": _clamp(node.attrs.hi, lo, hi)}
        return _rebuild(graph, node, user, list(node.inputs), clamped)
    if name == "LeakyRelu":
        return _rebuild(graph, node, user, list(node.inputs), {"activation": name, "alpha": user.attrs.alpha})
    if name in ACTIVATIONS and user.attrs == user.op.attrs() and len(user.inputs) == 1:
        return _rebuild(graph, node, user, list(node.inputs), {"activation": name})
    return None


def _fuse_sum(graph: Graph, node: Node, user: Node) -> Value | None:
    inputs = [input_at(node, i) for i in range(len(node.op.inputs))]
    residual = RESIDUAL.get(node.op.name)
    found = constant_operand(user)
    if found is not None and found[0] is node.output:
        bias = _bias(node, found[1], user)
        if bias is None or (residual is not None and inputs[residual] is not None):
            return None
        inputs[BIAS[node.op.name]] = graph.constant(bias, f"{node.name}.bias")
        return _rebuild(graph, node, user, inputs, {})
    other = next((v for v in user.inputs if v is not node.output), None)
    if user.op.name != "Add" or other is None or residual is None or other.type != node.output.type:
        return None
    if inputs[residual] is not None:
        return None
    inputs[residual] = other
    return _rebuild(graph, node, user, inputs, {})


def _bias(node: Node, c: Any, user: Node) -> Any:
    """The bias that includes the constant, or None where it is not one number per channel."""
    channels = node.output.type.shape[-1] if node.output.type.shape else None
    old = input_at(node, BIAS[node.op.name])
    if type(channels) is not int or c.size not in (1, channels) or (c.ndim and c.shape[-1] != c.size):
        return None
    if user.op.name == "Sub":
        if user.inputs[0] is not node.output:
            return None
        c = -c
    if old is not None and old.data is None:
        return None
    start = np.zeros(channels, np.float32) if old is None else old.data
    return (start + c.reshape(-1)).astype(np.float32)


def limits(user: Node) -> tuple[float, float] | None:
    """(lo, hi) where the node clamps its first input."""
    name = user.op.name
    if name == "Relu":
        return 0.0, math.inf
    if name == "Clip":
        low, high = input_at(user, 1), input_at(user, 2)
        lo = -math.inf if low is None else scalar(low)
        hi = math.inf if high is None else scalar(high)
        return None if lo is None or hi is None else (lo, hi)
    if name in ("Max", "Min") and len(user.inputs) == 2:
        found = constant_operand(user)
        limit = None if found is None or found[1].size != 1 else float(found[1].reshape(-1)[0])
        if limit is None or math.isnan(limit):
            return None
        return (limit, math.inf) if name == "Max" else (-math.inf, limit)
    return None


def _clamp(x: float, lo: float, hi: float) -> float:
    return min(max(x, lo), hi)


def _rebuild(
    graph: Graph, node: Node, user: Node, inputs: list[Value | None], changes: dict[str, Any]
) -> Value:
    attrs = node.attrs.replace(**changes) if changes else node.attrs
    made: Value = graph.add(node.op, *inputs, attrs=attrs, before=user, name=node.name)
    return made
