"""Runs passes: each is a function `Graph -> number of changes`, and leaves a graph that verifies and computes the same.

A pipeline is a sequence of stages; a stage is a sequence of passes that are repeated until none of them finds anything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge_rt.errors import GraphError
from edge_rt.graph import Graph
from edge_rt.types import TensorType

Pass = Callable[[Graph], int]
Stage = Sequence[Pass]

MAX_ROUNDS = 60
"""Repetitions of a stage after which two of its passes must be undoing each other's work."""


def run_pipeline(graph: Graph, pipeline: Sequence[Stage]) -> list[tuple[str, int]]:
    """Applies the stages to the graph and, before each stage, to the graphs inside it (If, Loop, Scan).

    Returns (pass, number of its changes) of the passes that changed something, in the order of their first change.
    The same graph always gives the same result. Raises GraphError that names the pass after which the graph does not
    verify, or whose changes do not end.
    """
    counts: dict[str, int] = {}
    graph.verify()
    for stage in pipeline:
        _run_stage(graph, stage, counts)
    return list(counts.items())


def _run_stage(graph: Graph, stage: Stage, counts: dict[str, int]) -> None:
    for _ in range(MAX_ROUNDS):
        inner_changes = sum(_run_inner(inner, stage, counts) for _, _, inner in list(graph.subgraphs()))
        if inner_changes:
            graph.retype()
        changed = [p.__name__ for p in stage if _run_pass(graph, p, counts)]
        if not changed:
            return
    names = ", ".join(changed)
    raise GraphError(f"graph '{graph.name}': after {MAX_ROUNDS} rounds these passes still change it: {names}")


def _run_inner(graph: Graph, stage: Stage, counts: dict[str, int]) -> int:
    own: dict[str, int] = {}
    _run_stage(graph, stage, own)
    for name, count in own.items():
        counts[name] = counts.get(name, 0) + count
    return sum(own.values())


def _run_pass(graph: Graph, function: Pass, counts: dict[str, int]) -> int:
    before = [v.type for v in graph.outputs]
    try:
        changes = function(graph)
        if not changes:
            return 0
        graph.retype()
        graph.verify()
        for name, value, old in zip(graph.output_names, graph.outputs, before, strict=True):
            _check_agrees(name, old, value.type)
    except GraphError as error:
        raise GraphError(f"pass {function.__name__}, graph '{graph.name}': {error}") from error
    counts[function.__name__] = counts.get(function.__name__, 0) + changes
    return changes


def _check_agrees(name: str, old: TensorType, new: TensorType) -> None:
    """A pass may find a size that was not known; it must not change one that was."""
    same = old.dtype is new.dtype
    if same and old.shape is not None and new.shape is not None:
        same = len(old.shape) == len(new.shape)
        same = same and all(a == b for a, b in zip(old.shape, new.shape) if type(a) is int and type(b) is int)
    if not same:
        raise GraphError(f"output '{name}' must stay {old}, got {new}")
