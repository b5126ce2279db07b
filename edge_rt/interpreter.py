"""Runs a graph node by node with the NumPy references: the "reference" backend, the constant folder and the test oracle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.errors import DataError
from edge_rt.graph import Graph, Node, Value

Array = np.ndarray[Any, Any]


def evaluate(graph: Graph, inputs: Sequence[Array], state: dict[str, Array] | None = None) -> list[Array]:
    """Outputs of the graph for arrays of its inputs, in order.

    state: contents of the graph's variables by name (their initial ones, if absent); updated in place on success.
    Raises DataError that names the node where an operator finds contents out of range.
    """
    known: dict[int, Array] = {id(v): x for v, x in zip(graph.inputs, inputs, strict=True)}
    for variable in graph.variables:
        known[id(variable.value)] = (state or {}).get(variable.name, variable.initial)

    def read(value: Value) -> Array:
        return value.data if value.data is not None else known[id(value)]

    remaining = {id(v): len(v.uses) for n in graph.nodes for v in n.outputs}
    kept = {id(v) for v in graph.outputs} | {id(s.update) for s in graph.variables}
    for node in graph.nodes:
        results = run_node(node, [None if v is None else read(v) for v in node.inputs])
        for value, result in zip(node.outputs, results):
            if result is not None:
                known[id(value)] = result
        for v in node.inputs:
            if v is not None and id(v) in remaining:
                remaining[id(v)] -= 1
                if not remaining[id(v)] and id(v) not in kept:
                    known.pop(id(v), None)
    outputs = [read(v) for v in graph.outputs]
    if state is not None:
        state.update({s.name: read(s.update) for s in graph.variables if s.update is not None})
    return outputs


def run_node(node: Node, inputs: Sequence[Array | None]) -> list[Array | None]:
    """Outputs of one node by its reference. Raises DataError that names the node."""
    try:
        with np.errstate(all="ignore"):
            return node.op.evaluate(node.attrs, *inputs)
    except DataError as error:
        raise DataError(f"{node.where}: {error}") from None
