"""gather_one_hot_rows and compute_on_tables."""

from __future__ import annotations

import numpy as np
import pytest

from edge_rt.interpreter import evaluate
from edge_rt.types import DType
from exporter.passes.compute_on_tables import compute_on_tables
from exporter.passes.fold_constants import fold_constants
from exporter.passes.gather_one_hot_rows import gather_one_hot_rows
from tests.passes._support import Net, fires, ops, stays

CLASSES = 5


def one_hot(g, ids, classes=None, to=DType.FLOAT32):
    numbers = g.constant(np.arange(CLASSES, dtype=ids.type.dtype.numpy).reshape(1, 1, -1)) if classes is None else classes
    return g.add("Cast", g.add("Equal", g.add("Unsqueeze", ids, g.ints(-1)), numbers), to=to)


@pytest.mark.parametrize("dtype", [DType.INT32, DType.INT64])
def test_one_hot_rows_are_read(dtype):
    g = Net()
    g.output(g.add("MatMul", one_hot(g, g.x("n", 9, dtype=dtype)), g.w(CLASSES, 3)), "y")
    ids = np.arange(-2, 16).reshape(2, 9).astype(dtype.numpy)
    ids[0, 0] = np.iinfo(dtype.numpy).min
    want = evaluate(g, [ids])[0]
    assert gather_one_hot_rows(g) == 1
    g.retype()
    g.verify()
    assert ops(g)[-1] == "Gather"
    assert "MatMul" not in ops(g)
    np.testing.assert_array_equal(evaluate(g, [ids])[0], want)


def test_what_is_no_one_hot_product():
    g = Net()
    ids = g.x("n", 9, dtype=DType.INT64)
    g.output(g.add("MatMul", one_hot(g, ids), g.x(CLASSES, 3, name="w")), "a table that is not constant")
    g.output(g.add("MatMul", one_hot(g, ids), g.constant(np.full((CLASSES, 2), np.inf, np.float32))), "infinite")
    g.output(g.add("MatMul", one_hot(g, ids, g.ints(0, 1, 2, 4, 3)), g.w(CLASSES, 3)), "another order")
    g.output(g.add("MatMul", g.x("n", CLASSES, name="rows"), g.w(CLASSES, 3)), "any rows")
    floats = g.x("n", 9, name="f")
    g.output(g.add("MatMul", one_hot(g, floats), g.w(CLASSES, 3)), "ids that are no integers")
    stays(gather_one_hot_rows, g)


def test_elements_are_computed_on_the_table():
    g = Net()
    rows = g.add("Gather", g.w(4, 3), g.x("n", 2, dtype=DType.INT64), axis=0)
    shifted = g.add("Add", rows, g.w(3))
    scaled = g.add("Mul", g.w(1, 1, 3), shifted)
    halved = g.add("Div", scaled, g.number(2))
    g.output(g.add("Sub", g.number(1), g.add("Gelu", halved)), "y")

    def until_done(graph):
        changes = 0
        while compute_on_tables(graph):
            changes += 1
            fold_constants(graph)
        return changes

    fires(until_done, g, times=5)
    assert ops(g) == ["Gather"]


def test_what_is_not_computed_on_tables():
    g = Net()
    ids = g.x("n", 2, dtype=DType.INT64)

    def rows(axis=0):
        return g.add("Gather", g.w(4, 3), ids, axis=axis)

    shared = rows()
    g.output(g.add("Relu", shared), "used twice")
    g.output(shared, "rows")
    g.output(g.add("Relu", g.add("Gather", g.x(4, 3, name="t"), ids, axis=0)), "a table that is not constant")
    g.output(g.add("Relu", rows(axis=1)), "another axis")
    g.output(g.add("Add", rows(), g.w(2, 1)), "a constant along the ids")
    g.output(g.add("Add", rows(), g.w(1, 1, 1, 3)), "a constant with more axes")
    g.output(g.add("Add", rows(), g.x(3, name="b")), "an operand that is not constant")
    g.output(g.add("Cast", rows(), to=DType.FLOAT64), "other elements")
    half = g.add("Gather", g.constant(np.ones((4, 3), np.float16)), ids, axis=0)
    g.output(g.add("Relu", half), "a compressed table")
    stays(compute_on_tables, g)
