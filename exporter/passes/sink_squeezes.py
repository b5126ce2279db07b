"""Moves a Squeeze behind an elementwise node that its GEMM or convolution may take into its epilogue."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import integers, live, produced_by, replace
from exporter.passes.fuse_epilogues import BIAS
from exporter.passes.sink_transposes import BROADCASTING, ONE_INPUT


def sink_squeezes(graph: Graph) -> int:
    """op(Squeeze(x), v) -> Squeeze(op(x, Unsqueeze(v))) where x is the result of a GEMM or convolution of our own.

    These squeezes come from convolutions over one axis and from products with a vector. Not where the squeezed value is
    used elsewhere or is an output, where the axes are not known, or where the other operand has the higher rank.
    """
    changes = 0
    for node in live(graph):
        if node.op.name not in ONE_INPUT and node.op.name not in BROADCASTING:
            continue
        squeeze = next((s for s in (produced_by(v, "Squeeze") for v in node.inputs) if s is not None), None)
        if squeeze is None or not graph.has_one_use(squeeze.output):
            continue
        x = squeeze.inputs[0]
        axes = integers(squeeze.inputs[1]) if len(squeeze.inputs) > 1 else None
        rank = node.output.type.rank
        if x is None or axes is None or produced_by(x, *BIAS) is None or rank != squeeze.output.type.rank:
            continue
        inputs = list(node.inputs)
        for position, v in enumerate(inputs):
            if v is squeeze.output:
                inputs[position] = x
            elif v is not None and node.op.name in BROADCASTING:
                inputs[position] = _unsqueezed(graph, v, axes, x.type.rank or 0, node)
        made = graph.add(node.op, *inputs, attrs=node.attrs, before=node, name=node.name)
        replace(graph, node, graph.add("Squeeze", made, *squeeze.inputs[1:], before=node))
        changes += 1
    return changes


def _unsqueezed(graph: Graph, v: Value, axes: list[int], rank: int, before: Node) -> Value:
    """v with axes of size 1 where the squeezed tensor of this rank had them; a shorter v needs those only behind it."""
    own = v.type.rank
    assert own is not None
    squeezed = {a % rank for a in axes}
    kept = [axis for axis in range(rank) if axis not in squeezed]
    # Right-aligned: the operand has the last `own` kept axes, and counts new ones from the first of these.
    first = kept[len(kept) - own] if own else rank
    positions = [axis - first for axis in squeezed if axis > first]
    if not positions:
        return v
    if v.data is not None:
        return graph.constant(np.expand_dims(v.data, tuple(positions)), v.name)
    made: Value = graph.add("Unsqueeze", v, graph.constant(np.array(positions)), before=before)
    return made
