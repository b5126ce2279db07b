"""What random inputs are made of: integers that reach all of a model."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge_rt.graph import Graph, Value
from edge_rt.types import DType, TensorType
from exporter.verify import sample_inputs

TABLE = np.zeros((300, 4), np.float32)


def embedded(g: Graph, ids: Value) -> Value:
    return g.add("Gather", g.constant(TABLE), g.add("Cast", ids, to=DType.INT64), axis=0)


def spread(g: Graph, ids: Value) -> Value:
    return g.add("OneHot", ids, g.constant(np.int64(40)), g.constant(np.array([0, 1], np.float32)))


def compared(g: Graph, ids: Value) -> Value:
    column = g.add("Unsqueeze", ids, g.constant(np.array([2])))
    return g.add("Cast", g.add("Equal", column, g.constant(np.arange(257, dtype=np.int32))), to=DType.FLOAT32)


def padded(g: Graph, ids: Value) -> Value:
    """Compares with one number, which says nothing."""
    g.output(g.add("Equal", ids, g.constant(np.int32(1000))), "pads")
    return embedded(g, ids)


def masking(g: Graph, ids: Value) -> Value:
    g.output(g.add("Cast", ids, to=DType.FLOAT32), "mask")
    return g.add("Sub", g.add("Cast", ids, to=DType.FLOAT32), g.constant(np.float32(1)))


def embedded_and_added(g: Graph, ids: Value) -> Value:
    g.output(g.add("Add", ids, ids), "sum")
    return embedded(g, ids)


@pytest.mark.parametrize(
    ("use", "numbers"),
    [(embedded, 300), (spread, 40), (compared, 257), (padded, 300), (masking, 2), (embedded_and_added, 2)],
)
def test_integers_are_what_the_model_tells_apart(use: Callable[[Graph, Value], Value], numbers: int) -> None:
    g = Graph()
    g.output(use(g, g.input("ids", TensorType(DType.INT32, (8, 1000)))), "out")
    got = sample_inputs(g, size=1)["ids"]
    assert got.dtype == np.int32
    assert np.array_equal(np.unique(got), np.arange(numbers))
