from __future__ import annotations

import numpy as np
import pytest

from edge_rt.graph import Value
from exporter.passes.recognize_softmax import recognize_softmax
from tests.passes._support import Net, fires, node, ops, stays


def parts(g: Net, x: Value, axis: int = -1) -> tuple[Value, Value]:
    """exp(x - max(x)) and its sum."""
    e = g.add("Exp", g.add("Sub", x, g.add("ReduceMax", x, g.ints(axis))))
    return e, g.add("ReduceSum", e, g.ints(axis))


@pytest.mark.parametrize("axis", [-1, 1])
def test_softmax(axis):
    g = Net()
    g.output(g.add("Div", *parts(g, g.x("n", 3, 8), axis)), "y")
    fires(recognize_softmax, g, times=1)
    assert ops(g) == ["Softmax"]
    assert node(g, "Softmax").attrs.axis == axis % 3


def test_softmax_by_a_reciprocal():
    g = Net()
    e, total = parts(g, g.x("n", 8))
    g.output(g.add("Mul", g.add("Reciprocal", total), e), "y")
    fires(recognize_softmax, g, times=1)
    assert ops(g) == ["Softmax"]


def test_softmax_whose_reductions_lose_the_axis():
    g = Net()
    x = g.x("n", 8)
    highest = g.add("Max", g.number(-np.inf), g.add("ReduceMax", x, g.ints(1), keepdims=False))
    e = g.add("Exp", g.add("Sub", x, g.add("Reshape", highest, g.ints(0, 1))))
    total = g.add("Unsqueeze", g.add("ReduceSum", e, g.ints(-1), keepdims=False), g.ints(1))
    g.output(g.add("Div", e, total), "y")
    fires(recognize_softmax, g, times=1)
    assert ops(g) == ["Softmax"]


def test_what_is_not_softmax():
    g = Net()
    x = g.x(4, 4)
    e, total = parts(g, x)
    g.output(g.add("Div", e, total), "e is used")
    g.output(e, "e")
    e, total = parts(g, x, 0)
    g.output(g.add("Div", e, g.add("ReduceSum", e, g.ints(1))), "two axes")
    e, total = parts(g, x)
    g.output(g.add("Div", total, e), "upside down")
    e, total = parts(g, x)
    g.output(g.add("Div", e, g.add("Reshape", total, g.ints(1, 4))), "turned")
    e = g.add("Exp", g.add("Sub", x, g.add("Max", g.number(0), g.add("ReduceMax", x, g.ints(1)))))
    g.output(g.add("Div", e, g.add("ReduceSum", e, g.ints(1))), "another shift")
    z = g.x(4, 4, name="z")
    e = g.add("Exp", g.add("Sub", x, g.add("ReduceMax", z, g.ints(1))))
    g.output(g.add("Div", e, g.add("ReduceSum", e, g.ints(1))), "the maximum of something else")
    stays(recognize_softmax, g)
