"""Pools become our own channels-last ones."""

from __future__ import annotations

from typing import Any

from edge_rt.errors import SymbolicDimError
from edge_rt.graph import Graph, Node, Value
from edge_rt.ops.pool import pool_geometry
from exporter.passes._integer import is_bytes
from exporter.passes._layout import channels_first, channels_last, four, two
from exporter.passes._match import is_f32, is_used, live, prune


def channels_last_pool(graph: Graph) -> int:
    """Replaces MaxPool and AveragePool over one or two axes by edge.MaxPool and edge.AveragePool between transposes.

    Not for other dtypes than float32 (and int8 and uint8 for MaxPool), three or more axes, unknown rank, a MaxPool whose
    indices are used, or padding that depends on unknown sizes (auto_pad SAME with a stride).
    """
    changes = 0
    for node in live(graph):
        x = node.inputs[0] if node.op.name in ("MaxPool", "AveragePool") else None
        if x is None or x.type.rank not in (3, 4) or not (is_f32(x) or (node.op.name == "MaxPool" and is_bytes(x))):
            continue
        if any(is_used(graph, v) for v in node.outputs[1:]):
            continue
        attributes = _window(node, x)
        if attributes is None:
            continue
        if node.op.name == "AveragePool":
            attributes["count_include_pad"] = node.attrs.count_include_pad
        y = graph.add(f"edge.{node.op.name}", channels_last(graph, x, node), name=node.name, before=node, **attributes)
        graph.replace(node.outputs[0], channels_first(graph, y, x.type.rank, node))
        prune(graph, [node])
        changes += 1
    return changes


def _window(node: Node, x: Value) -> dict[str, Any] | None:
    assert x.type.shape is not None
    try:
        g = pool_geometry(node.attrs, x.type.shape[2:])
    except SymbolicDimError:
        return None
    if not all(type(p) is int and p >= 0 for p in (*g.begin, *g.end)):
        return None
    return {
        "kernel": two(g.kernel, 1),
        "strides": two(g.strides, 1),
        "pads": four(g.begin, g.end),
        "dilations": two(g.dilations, 1),
        "ceil_mode": node.attrs.ceil_mode and not node.attrs.auto_pad.startswith("SAME"),
    }
