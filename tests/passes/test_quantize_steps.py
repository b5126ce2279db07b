from __future__ import annotations

import numpy as np
import pytest

from edge_rt.types import DType
from exporter.passes.quantize_steps import quantize_steps
from tests.passes._quantised import QNet, fires_within
from tests.passes._support import node, ops, stays


@pytest.mark.parametrize("dtype", [DType.UINT8, DType.INT8])
@pytest.mark.parametrize(("op", "ours"), [("Add", "edge.QAdd"), ("Sub", "edge.QAdd"), ("Mul", "edge.QMul")])
def test_two_tensors(op, ours, dtype):
    g = QNet()
    a, b = g.real(g.bytes(2, 3, 50, dtype=dtype), 0.02), g.real(g.bytes(3, 1), 0.03)
    g.output(g.whole(g.add(op, a, b), 0.05, dtype=dtype), "y")
    fires_within(1, quantize_steps, g)
    assert ops(g)[-1] == ours


def test_clamps():
    g = QNet()
    y = g.add("Relu", g.add("Add", g.real(g.bytes(2, 60)), g.real(g.bytes(2, 60), 0.05)))
    g.output(g.whole(y, 0.05, 10), "y")
    fires_within(1, quantize_steps, g)
    assert node(g, "edge.QAdd").attrs.lo == 10.0


@pytest.mark.parametrize(
    ("op", "more", "attributes"),
    [
        ("GlobalAveragePool", [], {}),
        ("AveragePool", [], {"kernel_shape": (5, 7)}),
        ("ReduceMean", [[2, 3]], {"keepdims": True}),
        ("ReduceMean", [[-1, -2]], {"keepdims": False}),
    ],
)
def test_means(op, more, attributes):
    g = QNet()
    x = g.real(g.bytes(2, 9, 5, 7))
    g.output(g.whole(g.add(op, x, *(g.ints(*values) for values in more), **attributes), 0.003), "y")
    fires_within(1, quantize_steps, g)
    assert "edge.QMean" in ops(g)


def test_concat_of_other_scales():
    g = QNet()
    parts = [g.real(g.bytes(2, 30), scale) for scale in (0.02, 0.05)]
    g.output(g.whole(g.add("Concat", *parts, axis=1), 0.05), "y")
    fires_within(0, quantize_steps, g)
    assert ops(g)[-1] == "Concat"
    assert ops(g).count("QuantizeLinear") == 1


def test_stays():
    g = QNet()
    g.output(g.add("Add", g.real(g.bytes(3, 4)), g.real(g.bytes(3, 4))), "real result")
    stays(quantize_steps, g)
    g = QNet()
    g.output(g.whole(g.add("Add", g.real(g.bytes(3, 4)), g.w(4))), "a real operand")
    stays(quantize_steps, g)
    g = QNet()
    y = g.add("Add", g.real(g.bytes(3, 4)), g.real(g.bytes(3, 4)))
    g.output(g.whole(y), "whole")
    g.output(y, "used otherwise, too")
    stays(quantize_steps, g)
    g = QNet()
    g.output(g.whole(g.add("AveragePool", g.real(g.bytes(1, 4, 6, 6)), kernel_shape=(3, 3))), "windows")
    stays(quantize_steps, g)
    g = QNet()
    g.output(g.whole(g.add("ReduceMean", g.real(g.bytes(1, 4, 6, 6)), g.ints(1, 2))), "other axes")
    stays(quantize_steps, g)
    g = QNet()
    g.output(g.whole(g.add("Add", g.real(g.bytes(3, 4)), g.real(g.bytes(3, 4), g.scales(4), np.zeros(4)))), "many scales")
    stays(quantize_steps, g)
