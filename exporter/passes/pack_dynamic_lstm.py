"""LSTMs with quantised weights become our own, with weights in panels."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.ops._panels import as_int8, pack_q_panels
from edge_rt.ops.edge_dynamic_lstm import GATES
from edge_rt.ops.edge_gemm import WIDTH
from exporter.passes._match import Array, input_at, live
from exporter.passes._recurrent import replace_steps, steps_first

FIXED = (1, 2, 3, 8, 9, 10, 11)
"""Inputs that must be constant: W, R, B and the scales and zero points of W and R."""


def pack_dynamic_lstm(graph: Graph) -> int:
    """com.microsoft.DynamicQuantizeLSTM(x, W, R, B, ...) -> edge.DynamicLstm with panels of W and R.

    With layout 1 between transposes. Not for weights, bias, scales or zero points that are not constant, other activations
    than the default ones, or peepholes.
    """
    changes = 0
    for node in live(graph):
        if node.op.name == "com.microsoft.DynamicQuantizeLSTM" and _fits(node):
            _replace(graph, node)
            changes += 1
    return changes


def _fits(node: Node) -> bool:
    attrs, r = node.attrs, node.inputs[2]
    names = [name.lower() for name in attrs.activations]
    fixed = [input_at(node, i) for i in FIXED]
    return (
        r is not None
        and all(v is None or v.data is not None for v in fixed)
        and input_at(node, 7) is None
        and (not names or names == ["sigmoid", "tanh", "tanh"] * (len(names) // 3))
        and not attrs.activation_alpha
        and not attrs.activation_beta
    )


def _weights(graph: Graph, w: Value, scale: Value, zero: Value) -> list[Value]:
    """Panels, and per column scales, zero points and sums over k of weight - zero point, of weights [dirs, k, 4H]."""
    assert w.data is not None
    assert scale.data is not None
    assert zero.data is not None
    stored = as_int8(w.data)
    dirs, k, n = stored.shape
    flip = 0 if w.data.dtype == np.int8 else 128
    zeros = np.broadcast_to(zero.data.reshape(dirs, -1).astype(np.int32) - flip, (dirs, n))
    scales = np.broadcast_to(scale.data.reshape(dirs, -1), (dirs, n))
    sums = stored.sum(axis=1, dtype=np.int32) - k * zeros
    made = (
        ("panels", pack_q_panels(stored)), ("scale", _columns(scales)), ("zero", _columns(zeros)), ("sums", _columns(sums)),
    )  # fmt: skip
    return [graph.constant(data, f"{w.name}.{what}") for what, data in made]


def _columns(x: Array) -> Array:
    """x [dirs, 4H] with zeros up to the end of the last panel."""
    return np.pad(x, ((0, 0), (0, -x.shape[1] % WIDTH)))


def _replace(graph: Graph, node: Node) -> None:
    x, w, r, bias, lengths, h0, c0 = (input_at(node, i) for i in range(7))
    w_scale, w_zero, r_scale, r_zero = node.inputs[8:12]
    assert x is not None
    weights = [_weights(graph, *part) for part in ((w, w_scale, w_zero), (r, r_scale, r_zero))]  # type: ignore[arg-type]
    if bias is not None:
        assert bias.data is not None
        dirs = len(bias.data)
        bias = graph.constant(_columns(bias.data.reshape(dirs, 2, -1).sum(axis=1)), f"{bias.name}.sum")
    x, *states = steps_first(graph, node, [x, h0, c0])
    hidden = (r.data.shape[2] if r is not None and r.data is not None else 0) // GATES
    attributes: dict[str, Any] = {n: v for n, v in node.attrs if n in ("direction", "clip", "input_forget")}
    made = graph.add(
        "edge.DynamicLstm", x, *weights[0], *weights[1], bias, lengths, *states, hidden_size=hidden, before=node,
        name=node.name, **attributes,
    )  # fmt: skip
    replace_steps(graph, node, made)
