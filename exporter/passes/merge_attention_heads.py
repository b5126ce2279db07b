"""Lets Attention read and write the heads of a token beside each other, as products before and after it have them."""

from __future__ import annotations

from edge_rt.graph import Graph
from exporter.passes._layout import reshaped
from exporter.passes._match import is_used, live, replace, transpose
from exporter.passes._sink_support import source

HEADS_FIRST = (0, 2, 1, 3)


def merge_attention_heads(graph: Graph) -> int:
    """Attention(Transpose(q), Transpose(k), Transpose(v)) -> Transpose(Attention(q, k, v)) for q, k and v
    [batch, length, heads, size], which Attention takes as [batch, length, heads * size].

    Not where one of the three is not such a transpose, where the number or the size of its heads is not known, where
    there is a past, or where another output than Y is used.
    """
    changes = 0
    for node in live(graph):
        if node.op.name != "Attention" or len(node.inputs) > 4:
            continue
        if any(is_used(graph, v) for v in node.outputs[1:]):
            continue
        found = [s[0] for s in map(source, node.inputs[:3]) if s is not None and s[1] == HEADS_FIRST]
        if len(found) < 3:
            continue
        sizes = [tuple(d for d in v.type.shape[2:] if isinstance(d, int)) for v in found if v.type.shape is not None]
        if any(len(size) < 2 for size in sizes):
            continue
        (heads, _), (kv_heads, _), (_, width) = sizes
        merged = [reshaped(graph, v, [0, 0, h * d], node) for v, (h, d) in zip(found, sizes)]
        attrs = node.attrs.replace(q_num_heads=heads, kv_num_heads=kv_heads)
        y, *_ = graph.add("Attention", *merged, *node.inputs[3:], attrs=attrs, before=node, name=node.name)
        split = reshaped(graph, y, [0, 0, heads, width], node)
        replace(graph, node, transpose(graph, split, HEADS_FIRST, node))
        changes += 1
    return changes
