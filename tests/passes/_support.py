"""Graphs for pass tests, and the two questions each asks: does it fire and compute the same, or does it stay away?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edge_rt.dims import symbol
from edge_rt.graph import Graph, Value
from edge_rt.interpreter import evaluate
from edge_rt.types import Dim, DType, TensorType
from tests.cases._case import normal

TOLERANCE = 2e-6
"""Of the largest magnitude: passes may change the order of roundings, nothing else."""


class Net(Graph):
    """A graph with short ways to say inputs and constants. Sizes may be names."""

    def __init__(self) -> None:
        super().__init__("test")
        self.seed = 0

    def x(self, *shape: int | str, name: str = "x", dtype: DType = DType.FLOAT32) -> Value:
        dims: list[Dim] = [symbol(d) if isinstance(d, str) else d for d in shape]
        return self.input(name, TensorType(dtype, dims))

    def w(self, *shape: int, positive: bool = False) -> Value:
        """A float32 constant of random numbers."""
        self.seed += 1
        data = normal(*shape, seed=self.seed, scale=0.5)
        return self.constant(np.abs(data) + 0.5 if positive else data)

    def number(self, value: float) -> Value:
        return self.constant(np.float32(value))

    def ints(self, *values: int) -> Value:
        return self.constant(np.array(values, np.int64))


def ops(graph: Graph) -> list[str]:
    """Names of the operators, in order."""
    return [n.op.name for n in graph.nodes]


def node(graph: Graph, op: str) -> Any:
    """The only node of this operator."""
    (found,) = [n for n in graph.nodes if n.op.name == op]
    return found


def samples(graph: Graph, **sizes: int) -> list[Any]:
    """Random contents for the inputs; sizes of symbolic axes by name (3, if not given)."""
    arrays = []
    for i, v in enumerate(graph.inputs):
        assert v.type.shape is not None
        shape = [d if isinstance(d, int) else sizes.get(str(d), 3) for d in v.type.shape]
        rng = np.random.default_rng(100 + i)
        if v.type.dtype.is_float:
            arrays.append(rng.standard_normal(shape).astype(v.type.dtype.numpy))
        else:
            arrays.append(rng.integers(0, 2, shape).astype(v.type.dtype.numpy))
    return arrays


def fires(run: Callable[[Graph], int], graph: Graph, times: int | None = None, **sizes: int) -> None:
    """Asserts that the pass changes the graph (so often), that it verifies and computes the same afterwards."""
    inputs = samples(graph, **sizes)
    graph.verify()
    expected = evaluate(graph, inputs)
    changes = run(graph)
    assert changes > 0 if times is None else changes == times
    graph.retype()
    graph.verify()
    for got, want in zip(evaluate(graph, inputs), expected, strict=True):
        assert_close(got, want)


def stays(run: Callable[[Graph], int], graph: Graph) -> None:
    """Asserts that the pass leaves the graph alone."""
    graph.verify()
    before = str(graph)
    assert run(graph) == 0
    assert str(graph) == before
    graph.verify()


def assert_close(got: Any, want: Any) -> None:
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    if want.dtype.kind != "f":
        assert np.array_equal(got, want)
    elif want.size:
        assert np.max(np.abs(got - want)) <= TOLERANCE * max(1.0, float(np.max(np.abs(want))))
