"""Attention in a plan: what it does not give out takes no memory."""

from __future__ import annotations

import numpy as np
import pytest

from edge_rt import native
from edge_rt.graph import Graph
from edge_rt.plan import Plan
from edge_rt.runner import Runner
from edge_rt.types import DType, TensorType
from tests.cases._case import normal

HEADS, LENGTH, SIZE = 8, 256, 4


def arena(outputs: int) -> int:
    """Bytes for an Attention of whose outputs the first few are given out."""
    graph = Graph()
    q, k, v = (graph.input(name, TensorType(DType.FLOAT32, (1, HEADS, LENGTH, SIZE))) for name in "qkv")
    for i, value in enumerate(graph.add("Attention", q, k, v)[:outputs]):
        graph.output(value, f"out{i}")
    library = native.library()
    runner = Runner(Plan(graph), library, native.team(library, 1))
    arrays = [normal(1, HEADS, LENGTH, SIZE, seed=i) for i in range(3)]
    runner.run(arrays)
    return int(runner.instance_for(arrays)[0].binding.arena)


def test_outputs_that_nobody_uses_take_no_memory() -> None:
    scores, tensor = 4 * HEADS * LENGTH * LENGTH, 4 * HEADS * LENGTH * SIZE
    assert arena(1) <= arena(4) - scores - 2 * tensor
    # Scores are computed a few heads at a time, and of keys and values there are panels.
    assert arena(1) < scores


@pytest.mark.parametrize("length", [1, 40])
def test_causal_queries_do_not_depend_on_later_keys(length: int) -> None:
    graph = Graph()
    q, k, v = (graph.input(name, TensorType(DType.FLOAT32, (1, 2, 50, 8))) for name in "qkv")
    graph.output(graph.add("Attention", q, k, v, is_causal=True)[0], "y")
    library = native.library()
    runner = Runner(Plan(graph), library, native.team(library, 1))
    arrays = [normal(1, 2, 50, 8, seed=i) for i in range(3)]
    before = runner.run(arrays)[0].copy()
    arrays[1][:, :, length:] = normal(1, 2, 50 - length, 8, seed=9)
    after = runner.run(arrays)[0]
    np.testing.assert_array_equal(after[:, :, :length], before[:, :, :length])
    assert not np.array_equal(after[:, :, length:], before[:, :, length:])
