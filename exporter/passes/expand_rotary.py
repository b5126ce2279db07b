"""Rotary embeddings as the products and sums that they are."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import input_at, is_f32, live, replace


def expand_rotary(graph: Graph) -> int:
    """RotaryEmbedding(x, cos, sin, positions) -> Concat(a * cos - b * sin, a * sin + b * cos) of halves a, b of x's rows.

    Interleaved, a and b are its even and odd places. Not for other dtypes than float32, or heads of unknown size.
    """
    changes = 0
    for node in live(graph):
        if node.op.name != "RotaryEmbedding" or not is_f32(*node.inputs[:3]):
            continue
        made = _expanded(graph, node)
        if made is not None:
            replace(graph, node, made)
            changes += 1
    return changes


def _expanded(graph: Graph, node: Node) -> Value | None:
    x, cos, sin = node.inputs[:3]
    assert x is not None
    assert cos is not None
    assert sin is not None
    if x.type.shape is None or not isinstance(x.type.shape[-1], int) or cos.type.rank is None or sin.type.rank is None:
        return None
    attrs, is_merged, size = node.attrs, x.type.rank == 3, x.type.shape[-1]
    if is_merged:
        if not attrs.num_heads:
            return None
        size //= attrs.num_heads

    def add(op: str, *inputs: Value | None, **attributes: Any) -> Value:
        made: Value = graph.add(op, *inputs, before=node, **attributes)
        return made

    def ints(*numbers: int) -> Value:
        return graph.constant(np.array(numbers))

    def sliced(v: Value, start: int, end: int, step: int = 1) -> Value:
        return add("Slice", v, ints(start), ints(end), ints(-1), ints(step))

    positions = input_at(node, 3)
    if positions is not None:
        cos, sin = add("Gather", cos, positions), add("Gather", sin, positions)
    heads = ints(2 if is_merged else 1)
    cos, sin = add("Unsqueeze", cos, heads), add("Unsqueeze", sin, heads)
    y = add("Reshape", x, ints(0, 0, attrs.num_heads, size)) if is_merged else x
    turned = attrs.rotary_embedding_dim or size
    rest = sliced(y, turned, size) if turned < size else None
    if attrs.interleaved:
        a, b = sliced(y, 0, turned, 2), sliced(y, 1, turned, 2)
    else:
        a, b = sliced(y, 0, turned // 2), sliced(y, turned // 2, turned)
    parts = [
        add("Sub", add("Mul", a, cos), add("Mul", b, sin)),
        add("Add", add("Mul", a, sin), add("Mul", b, cos)),
    ]
    if attrs.interleaved:
        pairs = add("Concat", *(add("Unsqueeze", p, ints(-1)) for p in parts), axis=-1)
        parts = [add("Reshape", pairs, ints(0, 0, 0, turned))]
    joined = add("Concat", *parts, *([] if rest is None else [rest]), axis=-1, name=node.name)
    return add("Reshape", joined, ints(0, 0, attrs.num_heads * size), name=node.name) if is_merged else joined
