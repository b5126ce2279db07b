from __future__ import annotations

import pytest

from exporter.passes.fuse_epilogues import fuse_epilogues
from exporter.passes.sink_squeezes import sink_squeezes
from tests.passes._support import Net, fires, ops, stays


def squeezed(g: Net, name="x"):
    """f32[n, t, 8] from a convolution over one axis."""
    y = g.add("edge.Conv", g.x("n", 1, "t", 4, name=name), g.w(1, 1, 12, 16), n=8, kernel=(1, 3), pads=(0, 1, 0, 1))
    return g.add("Squeeze", y, g.ints(1))


SINK = {
    "relu": lambda g, y: g.add("Relu", y),
    "clip": lambda g, y: g.add("Clip", y, g.number(0)),
    "bias": lambda g, y: g.add("Add", y, g.w(8)),
    "a constant of full rank": lambda g, y: g.add("Mul", g.w(1, 1, 8), y),
    "a number": lambda g, y: g.add("Mul", y, g.number(2)),
    "a tensor": lambda g, y: g.add("Add", y, g.x("n", "t", 8, name="z")),
    "a lower rank": lambda g, y: g.add("Add", y, g.x("t", 8, name="z")),
}


@pytest.mark.parametrize("name", SINK)
def test_sinks(name):
    g = Net()
    g.output(SINK[name](g, squeezed(g)), "y")
    fires(sink_squeezes, g, times=1)
    assert ops(g)[-1] == "Squeeze"


def test_two_convolutions():
    g = Net()
    g.output(g.add("Add", squeezed(g), squeezed(g, "z")), "y")
    fires(sink_squeezes, g, times=1)
    assert ops(g)[-2:] == ["Add", "Squeeze"]


def test_a_product_with_a_vector():
    g = Net()
    column = g.add("Squeeze", g.add("edge.Gemm", g.x("n", 8), g.w(1, 8, 16), n=1), g.ints(-1))
    g.output(g.add("Sigmoid", g.add("Add", column, g.w(1))), "y")
    fires(lambda graph: sum(run(graph) for run in (sink_squeezes, fuse_epilogues) * 2), g, times=4)
    assert ops(g) == ["edge.Gemm", "Squeeze"]


def test_stays():
    g = Net()
    used = squeezed(g)
    g.output(g.add("Relu", used), "a")
    g.output(used, "b")
    g.output(g.add("Relu", g.add("Squeeze", g.x("n", 1, 8, name="z"), g.ints(1))), "c")
    g.output(g.add("Add", squeezed(g, "w"), g.x(2, "n", "t", 8, name="v")), "d")
    g.output(g.add("Softmax", squeezed(g, "u")), "e")
    stays(sink_squeezes, g)
