"""Computes once what is computed twice."""

from __future__ import annotations

from typing import Any

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import live, replace

MAX_COMPARED = 1024
"""Constants of at most this many bytes are equal if their contents are; larger ones only if they are the same value."""


def merge_common_subexpressions(graph: Graph) -> int:
    """Replaces a node by an earlier one with the same operator, attributes and inputs.

    Small constants count as the same input when dtype, shape and bytes are equal.
    Not where the operator is impure, and not where it holds a graph (graphs are compared by identity, and a shared one
    could not be rewritten for one of its users).
    """
    changes = 0
    seen: dict[tuple[Any, ...], Node] = {}
    for node in live(graph):
        if not node.op.is_pure or any(isinstance(v, Graph) for _, v in node.attrs):
            continue
        key = (node.op.name, node.attrs.key(), tuple(map(_identity, node.inputs)), len(node.outputs))
        first = seen.setdefault(key, node)
        if first is not node:
            replace(graph, node, *first.outputs)
            changes += 1
    return changes


def _identity(value: Value | None) -> Any:
    if value is not None and value.data is not None and value.data.nbytes <= MAX_COMPARED:
        return value.data.dtype.str, value.data.shape, value.data.tobytes()
    return None if value is None else id(value)
