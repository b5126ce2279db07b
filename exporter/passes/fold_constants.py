"""Computes at export what does not depend on the inputs."""

from __future__ import annotations

import numpy as np

from edge_rt.errors import DataError
from edge_rt.graph import Graph, Node
from edge_rt.interpreter import run_node
from exporter.passes._match import Array, contents, is_used, live, prune

MAX_GROWTH = 1 << 20
"""Bytes that a folded result may take even if its inputs are smaller."""

ALWAYS = frozenset({"edge.PackPanels"})
"""Operators whose result is how weights are stored, so that folding them stores nothing twice."""


QUANTISED = frozenset({"DequantizeLinear"})
"""What stands behind quantised weights."""


def fold_but_quantised(graph: Graph) -> int:
    """fold_constants without DequantizeLinear: the passes for quantised models look for the integers in front of it."""
    return _fold(graph, QUANTISED)


def fold_constants(graph: Graph) -> int:
    """Replaces values whose contents are fixed by constants.

    1. Outputs whose contents inference already found (shape arithmetic, sizes of static tensors).
    2. Outputs of nodes all of whose inputs are constant: computed by the operator's reference.

    Not where the operator is impure, where it holds a graph, where the results would take more than MAX_GROWTH bytes
    and have more than twice the elements of its inputs (an Expand or a Tile is better done at run time), or where
    computing it finds data out of range: that error belongs to the run that reaches it.
    """
    return _fold(graph, frozenset())


def _fold(graph: Graph, but: frozenset[str]) -> int:
    changes = 0
    for node in live(graph):
        if not node.op.is_pure or node.op.name in but:
            continue
        found = [contents(v) for v in node.outputs]
        if any(c is None and is_used(graph, v) for c, v in zip(found, node.outputs)):
            if not _is_foldable(node):
                continue
            try:
                found = run_node(node, [None if v is None else v.data for v in node.inputs])
            except DataError:
                continue
            if not _is_worth_it(node, found):
                continue
        for value, data in zip(node.outputs, found):
            if data is not None and is_used(graph, value):
                graph.replace(value, graph.constant(np.ascontiguousarray(data).reshape(data.shape), value.name))
        prune(graph, [node])
        changes += 1
    return changes


def _is_foldable(node: Node) -> bool:
    if not node.op.foldable or any(isinstance(v, Graph) for _, v in node.attrs):
        return False
    return bool(node.inputs) and all(v is None or v.is_constant for v in node.inputs)


def _is_worth_it(node: Node, results: list[Array | None]) -> bool:
    if node.op.name in ALWAYS or sum(r.nbytes for r in results if r is not None) <= MAX_GROWTH:
        return True
    given = sum(v.data.size for v in node.inputs if v is not None and v.data is not None)
    return sum(r.size for r in results if r is not None) <= 2 * given
