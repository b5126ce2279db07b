"""Matrix products become our own GEMM, with the right operand in panels."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph, Node, Value
from exporter.passes._layout import packed
from exporter.passes._match import is_f32, live, permutation, produced_by, replace


def pack_matmul(graph: Graph) -> int:
    """MatMul(a, b) -> edge.Gemm(a, edge.PackPanels(b)); constant b are packed at export, by constant folding.

    1. b of rank 2, for all rows of a.
    2. b of rank 3 or more, batches of a of rank 2 or more.
    3. b with swapped last axes: packed from the untransposed tensor.
    4. b of rank 1: as one column.

    Not for other dtypes than float32, or where the number of columns is not known at export (MatMul packs such operands
    itself when sizes are known).
    """
    changes = 0
    for node in live(graph):
        if node.op.name != "MatMul" or not is_f32(*node.inputs):
            continue
        a, b = node.inputs
        assert a is not None
        assert b is not None
        if not a.type.rank or not b.type.shape:
            continue
        n = b.type.shape[-1] if len(b.type.shape) > 1 else 1
        if type(n) is not int or n == 0 or (len(b.type.shape) > 2 and a.type.rank < 2):
            continue
        if len(b.type.shape) == 1:
            column = graph.add("Unsqueeze", b, graph.constant(np.array([1])), before=node)
            y = _gemm(graph, node, a, column, 1)
            y = graph.add("Squeeze", y, graph.constant(np.array([-1])), before=node)
        else:
            y = _gemm(graph, node, a, b, n)
        replace(graph, node, y)
        changes += 1
    return changes


def _gemm(graph: Graph, node: Node, a: Value, b: Value, n: int) -> Value:
    swapped = _untransposed(b)
    source = b if swapped is None else swapped
    panels = packed(graph, source, node, transposed=swapped is not None)
    made: Value = graph.add("edge.Gemm", a, panels, n=n, before=node, name=node.name)
    return made


def _untransposed(b: Value) -> Value | None:
    """x where b is x with its last two axes swapped."""
    node = produced_by(b, "Transpose")
    if node is None or b.type.rank is None:
        return None
    axes = list(range(b.type.rank))
    axes[-2:] = axes[:-3:-1]
    return node.inputs[0] if list(permutation(node)) == axes else None
