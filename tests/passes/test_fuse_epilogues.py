from __future__ import annotations

import math

import numpy as np
import pytest

from edge_rt.graph import Value
from exporter.passes.fuse_epilogues import fuse_epilogues
from tests.passes._quantised import QNet
from tests.passes._support import Net, fires, ops, stays

WINDOW = {"kernel": (3, 3), "pads": (1, 1, 1, 1)}
LINEAR = {
    "edge.Gemm": lambda g, x: g.add("edge.Gemm", x, g.w(1, 8, 16), n=8),
    "edge.Conv": lambda g, x: g.add("edge.Conv", x, g.w(1, 1, 72, 16), n=8, **WINDOW),
    "edge.DepthwiseConv": lambda g, x: g.add("edge.DepthwiseConv", x, g.w(3, 3, 8), g.w(8), **WINDOW),
    "edge.ConvTranspose": lambda g, x: g.add("edge.ConvTranspose", x, g.w(1, 1, 8, 16), n=8, kernel=(1, 1)),
}


def image(g: Net, name="x") -> Value:
    return g.x("n", 4, 5, 8, name=name)


@pytest.mark.parametrize("op", LINEAR)
def test_bias_clamp_and_activation(op):
    g = Net()
    y = g.add("Add", g.w(8), LINEAR[op](g, image(g)))
    y = g.add("Sub", y, g.w(1, 1, 1, 8))
    y = g.add("Clip", g.add("Relu", y), g.number(-3), g.number(0.5))
    g.output(g.add("Sigmoid", y), "y")
    fires(fuse_epilogues, g, times=5)
    assert ops(g) == [op]
    attrs = g.nodes[0].attrs
    assert (attrs.lo, attrs.hi, attrs.activation) == (0.0, 0.5, "Sigmoid")


@pytest.mark.parametrize("op", LINEAR)
def test_the_slope_of_leaky_relu(op):
    g = Net()
    g.output(g.add("LeakyRelu", LINEAR[op](g, image(g)), alpha=0.3), "y")
    fires(fuse_epilogues, g, times=1)
    assert ops(g) == [op]
    attrs = g.nodes[0].attrs
    assert (attrs.activation, attrs.alpha) == ("LeakyRelu", pytest.approx(0.3))


@pytest.mark.parametrize("op", ["edge.Gemm", "edge.Conv", "edge.DepthwiseConv"])
def test_residual(op):
    g = Net()
    x = image(g)
    y = g.add("Add", x, g.add("Add", LINEAR[op](g, x), g.w(8)))
    g.output(g.add("Relu", y), "y")
    fires(fuse_epilogues, g, times=3)
    assert ops(g) == [op]
    assert g.nodes[0].inputs[3] is x


def test_a_residual_that_is_computed_later():
    g = Net()
    x = image(g)
    first = LINEAR["edge.Conv"](g, x)
    second = g.add("Exp", x)
    g.output(g.add("Add", first, second), "y")
    fires(fuse_epilogues, g, times=1)
    assert ops(g) == ["Exp", "edge.Conv"]


def test_two_convolutions_that_are_added():
    g = Net()
    x = image(g)
    g.output(g.add("Relu", g.add("Add", LINEAR["edge.Conv"](g, x), LINEAR["edge.Gemm"](g, x))), "y")
    fires(fuse_epilogues, g, times=2)
    assert ops(g) == ["edge.Gemm", "edge.Conv"]


@pytest.mark.parametrize("limits", [(1.0, 2.0), (-2.0, -1.0), (2.0, 1.0)])
def test_clamps_in_a_row(limits):
    g = Net()
    y = g.add("Relu", LINEAR["edge.Gemm"](g, image(g)))
    y = g.add("Clip", y, g.number(limits[0]), g.number(limits[1]))
    y = g.add("Min", g.add("Max", g.number(0.25), y), g.number(1.5))
    g.output(y, "y")
    fires(fuse_epilogues, g, times=4)
    assert ops(g) == ["edge.Gemm"]


def test_one_number_and_reverse_subtraction():
    g = Net()
    y = g.add("Add", LINEAR["edge.Gemm"](g, image(g)), g.number(3))
    g.output(g.add("Sub", g.number(3), y), "y")
    fires(fuse_epilogues, g, times=1)
    assert ops(g) == ["edge.Gemm", "Sub"]


STAY = {
    "bias after a clamp": lambda g, y, x: g.add("Add", g.add("edge.Gemm", x, g.w(1, 8, 16), n=8, lo=0.0), g.w(8)),
    "residual after a clamp": lambda g, y, x: g.add("Add", g.add("edge.Gemm", x, g.w(1, 8, 16), n=8, hi=6.0), x),
    "anything after an activation": lambda g, y, x: g.add(
        "Relu", g.add("edge.Gemm", x, g.w(1, 8, 16), n=8, activation="Tanh")
    ),
    "activation with attributes": lambda g, y, x: g.add("Elu", y, alpha=0.3),
    "tanh form": lambda g, y, x: g.add("Gelu", y, approximate="tanh"),
    "constant along another axis": lambda g, y, x: g.add("Add", y, g.w(5, 1)),
    "number per channel of another axis": lambda g, y, x: g.add("Add", y, g.w(8, 1, 1, 1)),
    "broadcasting residual": lambda g, y, x: g.add("Add", y, g.x(8, name="z")),
    "residual of another size": lambda g, y, x: g.add("Add", y, g.x("m", 4, 5, 8, name="z")),
    "product": lambda g, y, x: g.add("Mul", y, g.w(8)),
    "computed limits": lambda g, y, x: g.add("Clip", y, g.x(name="limit")),
    "limit per channel": lambda g, y, x: g.add("Max", y, g.w(8)),
    "limit that is no number": lambda g, y, x: g.add("Max", y, g.number(math.nan)),
    "residual of a transposed convolution": lambda g, y, x: g.add("Add", LINEAR["edge.ConvTranspose"](g, x), x),
    "subtracted residual": lambda g, y, x: g.add("Sub", y, x),
}


@pytest.mark.parametrize("name", STAY)
def test_stays(name):
    g = Net()
    x = image(g)
    g.output(STAY[name](g, LINEAR["edge.Gemm"](g, x), x), "y")
    stays(fuse_epilogues, g)


def test_stays_where_the_value_in_between_is_used_or_given_out():
    g = Net()
    y = LINEAR["edge.Gemm"](g, image(g))
    g.output(g.add("Relu", y), "a")
    g.output(y, "b")
    z = LINEAR["edge.Conv"](g, image(g, "z"))
    g.output(g.add("Mul", g.add("Relu", z), g.add("Sigmoid", z)), "c")
    twice = LINEAR["edge.Conv"](g, image(g, "w"))
    g.output(g.add("Add", twice, twice), "d")
    stays(fuse_epilogues, g)


def test_a_bias_that_is_computed_stays():
    g = Net()
    y = g.add("edge.Gemm", g.x("n", 8), g.w(1, 8, 16), g.x(8, name="bias"), n=8)
    g.output(g.add("Add", y, g.w(8)), "y")
    stays(fuse_epilogues, g)


def test_a_bias_after_a_residual_stays():
    g = Net()
    x = g.x("n", 8)
    y = g.add("edge.Gemm", x, g.w(1, 8, 16), None, x, n=8)
    g.output(g.add("Add", y, g.constant(np.ones(8, np.float32))), "y")
    stays(fuse_epilogues, g)


def integer_product(g: QNet, output="float32"):
    """A GEMM of 8-bit numbers that gives real ones, or their sums."""
    scale = g.constant(g.scales(8)) if output == "float32" else None
    panels, sums = g.add("edge.PackQPanels", g.stored(8, 8))
    zero = g.constant(np.array([2], np.int32))
    return g.add(
        "edge.QGemm", g.bytes(3, 8), panels, sums, None, None, scale, None, None, zero, n=8, k=8, output=output
    )


def test_integer_products_that_give_real_numbers():
    g = QNet()
    y = g.add("Add", g.add("Add", integer_product(g), g.w(8)), g.x(3, 8, name="residual"))
    g.output(g.add("HardSwish", g.add("Relu", y)), "y")
    fires(fuse_epilogues, g, times=4)
    assert ops(g) == ["edge.PackQPanels", "edge.QGemm"]


def test_integer_products_that_give_integers_stay():
    g = QNet()
    g.output(g.add("Relu", integer_product(g, "int32")), "y")
    stays(fuse_epilogues, g)
