from __future__ import annotations

import numpy as np
import pytest

from edge_rt.types import DType
from exporter.passes.tabulate_quantized import tabulate_quantized
from tests.passes._quantised import QNet, fires_within
from tests.passes._support import ops, stays


@pytest.mark.parametrize("dtype", [DType.UINT8, DType.INT8])
@pytest.mark.parametrize("op", ["Sigmoid", "HardSwish", "LeakyRelu", "Tanh", "Relu"])
def test_functions(op, dtype):
    g = QNet()
    g.output(g.whole(g.add(op, g.real(g.bytes(2, "n", dtype=dtype))), 0.01, dtype=dtype), "y")
    fires_within(0, tabulate_quantized, g, n=200)
    assert ops(g) == ["edge.Lookup"]


def test_chains_with_numbers():
    g = QNet()
    x = g.real(g.bytes(3, 100))
    y = g.add("Mul", x, g.add("Clip", g.add("Add", x, g.number(3.0)), g.number(0.0), g.number(6.0)))
    y = g.add("Div", y, g.real(g.constant(np.array([100], np.uint8)), 0.06, 0))
    g.output(g.whole(y, 0.03), "y")
    fires_within(0, tabulate_quantized, g)
    assert ops(g) == ["edge.Lookup"]


def test_tables_in_a_row():
    g = QNet()
    x = g.real(g.bytes(3, 100))
    y = g.add("Mul", x, g.real(g.whole(g.add("Sigmoid", x), 1 / 256, 0), 1 / 256, 0))
    g.output(g.whole(y, 0.02), "y")
    fires_within(0, tabulate_quantized, g, times=2)
    assert ops(g) == ["edge.Lookup"]


def test_other_scales_are_a_table_and_the_same_nothing():
    g = QNet()
    g.output(g.whole(g.real(g.bytes(3, 100), 0.02), 0.03), "y")
    fires_within(0, tabulate_quantized, g)
    assert ops(g) == ["edge.Lookup"]
    g = QNet()
    y = g.add("Reshape", g.bytes(3, 100), g.ints(300))
    g.output(g.whole(g.real(y, 0.02, 7), 0.02, 7), "y")
    fires_within(0, tabulate_quantized, g)
    assert ops(g) == ["Reshape"]


def test_stays():
    g = QNet()
    g.output(g.whole(g.add("Add", g.real(g.bytes(3, 4)), g.real(g.bytes(3, 4)))), "two tensors")
    stays(tabulate_quantized, g)
    g = QNet()
    g.output(g.whole(g.add("Add", g.real(g.bytes(3, 4)), g.w(4))), "other numbers for each column")
    stays(tabulate_quantized, g)
    g = QNet()
    g.output(g.whole(g.add("Sigmoid", g.x(3, 4))), "real input")
    stays(tabulate_quantized, g)
    g = QNet()
    g.output(g.whole(g.add("Sigmoid", g.real(g.bytes(3, 4), g.scales(4), np.zeros(4)))), "scales of columns")
    stays(tabulate_quantized, g)
    g = QNet()
    g.output(g.whole(g.add("Softmax", g.real(g.bytes(3, 4)))), "not of single elements")
    stays(tabulate_quantized, g)
    g = QNet()
    g.output(g.whole(g.add("Add", g.real(g.bytes(4)), g.constant(np.ones((1, 1), np.float32)))), "another rank")
    stays(tabulate_quantized, g)
