"""LSTM and GRU become our own, with weights in panels."""

from __future__ import annotations

from typing import Any

from edge_rt.graph import Graph, Node
from exporter.passes._layout import packed, reshaped
from exporter.passes._match import input_at, is_f32, live
from exporter.passes._recurrent import replace_steps, steps_first

KINDS: dict[str, tuple[str, int, tuple[str, ...]]] = {
    "LSTM": ("edge.Lstm", 4, ("sigmoid", "tanh", "tanh")),
    "GRU": ("edge.Gru", 3, ("sigmoid", "tanh")),
}
"""Operator -> (ours, gates, default activations of a direction)."""



def pack_recurrent(graph: Graph) -> int:
    """LSTM(x, W, R, B, ...) -> edge.Lstm(x, panels of W, panels of R, B, ...), GRU -> edge.Gru.

    With layout 1 between transposes. Weights that are not constant are packed at run time. Not for other dtypes than
    float32, other activations than the default ones, peepholes, or weights of unknown shape.
    """
    changes = 0
    for node in live(graph):
        if node.op.name in KINDS and _fits(node):
            _replace(graph, node)
            changes += 1
    return changes


def _fits(node: Node) -> bool:
    _, _, defaults = KINDS[node.op.name]
    x, w, r = node.inputs[:3]
    attrs = node.attrs
    given = [name.lower() for name in attrs.activations]
    directions = 2 if attrs.direction == "bidirectional" else 1
    return (
        is_f32(x, w, r)
        and w is not None
        and r is not None
        and w.type.is_static
        and r.type.is_static
        and input_at(node, 7) is None
        and (not given or given == [*defaults] * directions)
        and not attrs.activation_alpha
        and not attrs.activation_beta
    )


def _replace(graph: Graph, node: Node) -> None:
    ours, gates, _ = KINDS[node.op.name]
    x, w, r = node.inputs[:3]
    assert x is not None
    assert w is not None
    assert r is not None
    directions, _, hidden = r.type.static_shape
    bias, lengths, *states = (input_at(node, i) for i in range(3, 7 if node.op.name == "LSTM" else 6))
    x, *states = steps_first(graph, node, [x, *states])
    if bias is not None:
        bias = reshaped(graph, bias, (directions, 2, gates * hidden), node)
    panels = [packed(graph, v, node, transposed=True) for v in (w, r)]
    kept = ("direction", "clip", "input_forget", "linear_before_reset")
    attributes: dict[str, Any] = {n: v for n, v in node.attrs if n in kept}
    made = graph.add(
        ours, x, *panels, bias, lengths, *states, hidden_size=hidden, before=node, name=node.name, **attributes
    )
    replace_steps(graph, node, made)
