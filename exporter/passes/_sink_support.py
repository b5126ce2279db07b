"""How transposes and the operands beside them are read while a transpose sinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import inverse, is_used, permutation, produced_by, prune, transpose
from exporter.passes.reshape_transposes import moves_no_elements

Perm = tuple[int, ...]


def source(value: Value | None) -> tuple[Value, Perm] | None:
    """(x, permutation) where the value is Transpose(x)."""
    node = produced_by(value, "Transpose")
    if node is None or node.output.type.rank is None:
        return None
    x = node.inputs[0]
    assert x is not None
    return x, permutation(node)


def remaining(perm: Perm, taken: Sequence[int]) -> Perm:
    """The permutation that is left of `perm` when the axes `taken` of its input are gone."""
    kept = [axis for axis in perm if axis not in taken]
    return tuple(axis - sum(t < axis for t in taken) for axis in kept)


def replace_all(graph: Graph, node: Node, made: Any, perm: Perm) -> None:
    """Replaces the outputs of a node by the transposed outputs of its successor."""
    values = made if isinstance(made, tuple) else (made,)
    for old, new in zip(node.outputs, values):
        if is_used(graph, old):
            graph.replace(old, transpose(graph, new, perm, node))
    prune(graph, [node])


def channels_to_front(perm: Perm) -> bool:
    """Whether the permutation makes channels-first of channels-last, and is not its own inverse."""
    return len(perm) > 3 and perm == (0, len(perm) - 1, *range(1, len(perm) - 1))


def data_operands(
    graph: Graph, node: Node, rank: int | None, same_rank: bool = False
) -> tuple[Callable[[], list[Value]], Perm] | None:
    """(function that gives the operands before their common transpose, its permutation).

    None where the inputs have no common one. The function adds the nodes that are needed in front of `node`.
    """
    found = next((s for s in map(source, node.inputs) if s is not None and len(s[1]) == rank), None)
    if found is None or rank is None:
        return None
    perm = found[1]
    # Two operands whose transposes move nothing could be exchanged for each other for ever.
    may_add = any(_moves_elements(v, perm) for v in node.inputs)
    makers: list[Callable[[], Value]] = []
    for v in node.inputs:
        maker = None if v is None else _before_transpose(graph, node, v, perm, same_rank, may_add)
        if maker is None:
            return None
        makers.append(maker)
    return (lambda: [make() for make in makers]), perm


def _moves_elements(value: Value | None, perm: Perm) -> bool:
    """Whether the value is transposed by `perm` and that moves elements."""
    own = source(value)
    return own is not None and own[1] == perm and not moves_no_elements(own[0].type.shape or (), perm)


def _before_transpose(
    graph: Graph, node: Node, v: Value, perm: Perm, same_rank: bool, may_add: bool
) -> Callable[[], Value] | None:
    own = source(v)
    if own is not None and own[1] == perm:
        x = own[0]
        return lambda: x
    shape = v.type.shape
    if shape is None or len(shape) > len(perm):
        return None
    if not same_rank and all(d == 1 for d in shape):
        return lambda: v
    padded = (1,) * (len(perm) - len(shape)) + shape
    back = inverse(perm)
    is_free = v.is_constant or (may_add and moves_no_elements(padded, back))
    if not is_free and not (channels_to_front(perm) and _has_transpose(v, back)):
        return None
    return lambda: transpose(graph, _unsqueezed(graph, v, len(perm), node), back, node)


def _has_transpose(v: Value, perm: Perm) -> bool:
    return any(user.op.name == "Transpose" and permutation(user) == perm for user, _ in v.uses)


def _unsqueezed(graph: Graph, v: Value, rank: int, before: Node) -> Value:
    """The value with axes of size 1 in front up to this rank."""
    missing = rank - len(v.type.shape or ())
    if not missing:
        return v
    if v.data is not None:
        return graph.constant(v.data.reshape((1,) * missing + v.data.shape), v.name)
    made: Value = graph.add("Unsqueeze", v, graph.constant(np.arange(missing)), before=before)
    return made
