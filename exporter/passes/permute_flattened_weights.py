"""Multiplies channels-last features directly, by giving the rows of the weights their order."""

from __future__ import annotations

import numpy as np

from edge_rt.dims import product
from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import Array, live, permutation, produced_by, replace
from exporter.passes.merge_reshapes import RESHAPES, reshape_target


def permute_flattened_weights(graph: Graph) -> int:
    """MatMul(Reshape(Transpose(x)), w) -> MatMul(Reshape(x), w with permuted rows).

    Where the Reshape joins exactly the axes that the transpose moves into the last axis, whose size is known. Not where
    w is not constant or has not two axes, where the transpose moves other axes too, or where the reshaped value has
    other uses (they would need it in both orders).
    """
    changes = 0
    for node in live(graph):
        if node.op.name != "MatMul":
            continue
        a, w = node.inputs
        if a is None or w is None or w.data is None or w.data.ndim != 2 or not graph.has_one_use(a):
            continue
        reshape = produced_by(a, *RESHAPES)
        moved = produced_by(reshape.inputs[0], "Transpose") if reshape is not None else None
        if moved is not None and _rewrite(graph, node, a, w.data, moved):
            changes += 1
    return changes


def _rewrite(graph: Graph, node: Node, a: Value, w: Array, moved: Node) -> bool:
    x, shape = moved.inputs[0], moved.output.type.shape
    if x is None or shape is None or a.type.shape is None or x.type.shape is None:
        return False
    perm = permutation(moved)
    first = next((i for i, axis in enumerate(perm) if i != axis), len(perm))
    joined = shape[first:]
    if not joined or not all(type(d) is int for d in joined) or product(joined) != a.type.shape[-1]:
        return False
    target = reshape_target(x.type.shape, a.type.shape)
    if target is None:
        return False
    sizes = [int(d) for d in joined]
    order = [axis - first for axis in perm[first:]]
    rows = w.reshape(*sizes, w.shape[1]).transpose(*np.argsort(order), len(order)).reshape(w.shape)
    flat = graph.add("Reshape", x, graph.constant(np.array(target, np.int64)), before=node)
    weights = graph.constant(np.ascontiguousarray(rows), f"{node.name}.weight")
    replace(graph, node, graph.add("MatMul", flat, weights, before=node, name=node.name))
    return True
