"""Products of one-hot rows with a table become reads of its rows."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.types import DType
from exporter.passes._match import contents, live, produced_by, replace

INDICES = frozenset({DType.INT32, DType.INT64})


def gather_one_hot_rows(graph: Graph) -> int:
    """MatMul(Cast(Equal(ids[..., 1], arange(K))), table[K, N]) -> Gather(table with a row of zeros, ids).

    Ids outside of [0, K) have no one in their row: they read the row of zeros. Not where the table is not constant, not of
    rank 2 and float32, or not finite (0 times infinity is NaN), nor where ids are not int32 or int64.
    """
    changes = 0
    for node in live(graph):
        table = node.inputs[1] if node.op.name == "MatMul" else None
        if table is None or table.data is None or table.data.ndim != 2 or table.type.dtype is not DType.FLOAT32:
            continue
        ids = _ids(node.inputs[0], len(table.data))
        if ids is None or not np.isfinite(table.data).all():
            continue
        count = len(table.data)
        rows = graph.constant(np.concatenate([table.data, np.zeros((1, table.data.shape[1]), np.float32)]), table.name)
        last = graph.constant(np.array([-1]))
        made = graph.add("Gather", rows, _limited(graph, graph.add("Squeeze", ids, last, before=node), count, node),
                         axis=0, before=node, name=node.name)  # fmt: skip
        replace(graph, node, made)
        changes += 1
    return changes


def _ids(value: Value | None, count: int) -> Value | None:
    """ids [..., 1], where the value is Cast(ids == 0 .. count - 1) along its last axis."""
    cast = produced_by(value, "Cast")
    equal = None if cast is None else produced_by(cast.inputs[0], "Equal")
    if equal is None or cast is None or cast.output.type.dtype is not DType.FLOAT32:
        return None
    for ids, classes in (equal.inputs, equal.inputs[::-1]):
        numbers = contents(classes)
        if ids is None or numbers is None or ids.is_constant or ids.type.dtype not in INDICES or not ids.type.shape:
            continue
        alike = numbers.shape == (*[1] * (numbers.ndim - 1), count) and numbers.ndim <= len(ids.type.shape)
        if alike and ids.type.shape[-1] == 1 and np.array_equal(numbers.ravel(), np.arange(count)):
            return ids
    return None


def _limited(graph: Graph, ids: Value, count: int, before: Node) -> Value:
    """The ids, with `count` in place of those that are not below it, and of negative ones."""
    zero, end = (graph.constant(np.array(n, ids.type.dtype.numpy)) for n in (0, count))
    above = graph.add("GreaterOrEqual", ids, zero, before=before)
    inside = graph.add("And", above, graph.add("Less", ids, end, before=before), before=before)
    made: Value = graph.add("Where", inside, ids, end, before=before)
    return made
