"""recognize_gelu, recognize_swish, recognize_layer_norm."""

from __future__ import annotations

import math

import pytest

from exporter.passes.recognize_gelu import recognize_gelu
from exporter.passes.recognize_layer_norm import recognize_layer_norm
from exporter.passes.recognize_swish import recognize_swish
from tests.passes._support import Net, fires, node, ops, stays

ROOT = math.sqrt(2)


def erf(g, x):
    return g.add("Add", g.add("Erf", g.add("Div", x, g.number(ROOT))), g.number(1))


def tanh(g, x, cube=None, term=None):
    if term is None:
        term = g.add("Mul", g.number(0.044715), g.add("Pow", x, g.number(3)) if cube is None else cube)
    inner = g.add("Add", x, term)
    return g.add("Add", g.number(1), g.add("Tanh", g.add("Mul", inner, g.number(math.sqrt(2 / math.pi)))))


def nested(g, x):
    return g.add("Mul", x, g.add("Mul", x, g.add("Mul", g.number(0.044715), x)))


GELU = {
    "half last": lambda g, x: g.add("Mul", g.add("Mul", x, erf(g, x)), g.number(0.5)),
    "half first": lambda g, x: g.add("Mul", g.add("Mul", x, g.number(0.5)), erf(g, x)),
    "half of the gate": lambda g, x: g.add("Mul", x, g.add("Mul", g.number(0.5), erf(g, x))),
    "halved": lambda g, x: g.add("Div", g.add("Mul", erf(g, x), x), g.number(2)),
    "tanh": lambda g, x: g.add("Mul", g.add("Mul", x, g.number(0.5)), tanh(g, x)),
    "tanh of products": lambda g, x: g.add(
        "Mul", g.number(0.5), g.add("Mul", x, tanh(g, x, g.add("Mul", g.add("Mul", x, x), x)))
    ),
    "tanh of nested products": lambda g, x: g.add("Mul", x, g.add("Mul", g.number(0.5), tanh(g, x, term=nested(g, x)))),
    "com.microsoft": lambda g, x: g.add("com.microsoft.Gelu", x),
}


@pytest.mark.parametrize("name", GELU)
def test_gelu(name):
    g = Net()
    g.output(GELU[name](g, g.x("n", 7)), "y")
    fires(recognize_gelu, g, times=1)
    assert ops(g) == ["Gelu"]
    assert g.nodes[0].attrs.approximate == ("tanh" if "tanh" in name else "none")


def test_what_is_not_gelu():
    g = Net()
    x, z = g.x(7), g.x(7, name="z")
    g.output(g.add("Mul", g.add("Mul", z, erf(g, x)), g.number(0.5)), "other factor")
    g.output(g.add("Mul", x, erf(g, x)), "no half")
    g.output(g.add("Mul", g.add("Mul", x, g.number(0.5)), g.add("Erf", g.add("Div", x, g.number(ROOT)))), "no one")
    shared = g.add("Erf", g.add("Div", x, g.number(ROOT)))
    g.output(g.add("Mul", g.add("Mul", x, g.add("Add", shared, g.number(1))), g.number(0.5)), "erf is used")
    g.output(shared, "erf")
    g.output(g.add("Mul", g.add("Mul", x, g.number(0.5)), tanh(g, x, g.add("Pow", x, g.number(2)))), "square")
    stays(recognize_gelu, g)


def clipped(g, x, shift=3.0, top=6.0):
    return g.add("Clip", g.add("Add", x, g.number(shift)), g.number(0), g.number(top))


def softplus(g, x):
    return g.add("Log", g.add("Add", g.add("Exp", x), g.number(1)))


SWISH = {
    "HardSigmoid": [
        lambda g, x: g.add("Div", clipped(g, x), g.number(6)),
        lambda g, x: g.add("Mul", g.number(0.25), clipped(g, x, 1.0, 4.0)),
    ],
    "HardSwish": [
        lambda g, x: g.add("Div", g.add("Mul", x, clipped(g, x)), g.number(6)),
        lambda g, x: g.add("Mul", g.add("Div", clipped(g, x), g.number(6)), x),
        lambda g, x: g.add("Mul", x, g.add("HardSigmoid", x, alpha=1 / 6, beta=0.5)),
    ],
    "Swish": [
        lambda g, x: g.add("Mul", x, g.add("Sigmoid", x)),
        lambda g, x: g.add("Mul", g.add("Sigmoid", g.add("Mul", x, g.number(1.702))), x),
    ],
    "Softplus": [softplus],
    "Mish": [lambda g, x: g.add("Mul", x, g.add("Tanh", g.add("Softplus", x)))],
}


@pytest.mark.parametrize(("op", "build"), [(op, build) for op, builds in SWISH.items() for build in builds])
def test_swish(op, build):
    g = Net()
    g.output(build(g, g.x("n", 7)), "y")
    fires(lambda graph: recognize_swish(graph) + recognize_swish(graph), g)
    assert ops(g) == [op]


def test_mish_from_its_parts():
    g = Net()
    x = g.x(7)
    g.output(g.add("Mul", x, g.add("Tanh", softplus(g, x))), "y")
    fires(recognize_swish, g, times=2)
    assert ops(g) == ["Mish"]


def test_what_is_not_swish():
    g = Net()
    x, z = g.x(7), g.x(7, name="z")
    g.output(g.add("Div", clipped(g, x), g.number(5)), "another divisor")
    g.output(g.add("Mul", x, g.add("Sigmoid", z)), "another factor")
    used = g.add("Sigmoid", x)
    g.output(g.add("Mul", x, used), "sigmoid is used")
    g.output(used, "sigmoid")
    g.output(g.add("Log", g.add("Add", g.add("Exp", x), g.number(2))), "another shift")
    low = g.add("Clip", g.add("Add", x, g.number(3)), g.number(-1), g.number(6))
    g.output(g.add("Div", low, g.number(6)), "another limit")
    g.output(g.add("Mul", x, g.add("HardSigmoid", x)), "another slope")
    stays(recognize_swish, g)


def centred(g, x, axes=(-1,)):
    return g.add("Sub", x, g.add("ReduceMean", x, g.ints(*axes)))


def root(g, d, axes=(-1,), square="pow"):
    squares = g.add("Pow", d, g.number(2)) if square == "pow" else g.add("Mul", d, d)
    return g.add("Sqrt", g.add("Add", g.add("ReduceMean", squares, g.ints(*axes)), g.number(1e-5)))


def affine(g, y, *shape):
    return g.add("Add", g.add("Mul", g.w(*shape), y), g.w(*shape))




def layer_norm(g, x, axes=(-1,), square="pow"):
    d = centred(g, x, axes)
    return g.add("Div", d, root(g, d, axes, square))


@pytest.mark.parametrize("square", ["pow", "mul"])
def test_layer_norm(square):
    g = Net()
    g.output(affine(g, layer_norm(g, g.x("n", 3, 8), square=square), 8), "y")
    fires(recognize_layer_norm, g, times=1)
    assert ops(g) == ["LayerNormalization"]
    assert g.nodes[0].attrs.axis == -1


def test_layer_norm_over_two_axes_by_a_reciprocal():
    g = Net()
    d = centred(g, g.x("n", 3, 8), (1, 2))
    y = g.add("Mul", d, g.add("Reciprocal", root(g, d, (1, 2))))
    g.output(affine(g, y, 3, 8), "y")
    fires(recognize_layer_norm, g, times=1)
    assert node(g, "LayerNormalization").attrs.axis == -2


def test_layer_norm_without_scale_or_bias():
    g = Net()
    g.output(layer_norm(g, g.x("n", 8)), "a")
    g.output(g.add("Mul", layer_norm(g, g.x("n", 8, name="z")), g.w(8)), "b")
    fires(recognize_layer_norm, g, times=2)
    assert ops(g) == ["LayerNormalization", "LayerNormalization"]


def test_rms_norm():
    g = Net()
    x = g.x("n", 8)
    g.output(g.add("Mul", g.w(8), g.add("Div", x, root(g, x))), "y")
    fires(recognize_layer_norm, g, times=1)
    assert ops(g) == ["RMSNormalization"]


def test_layer_norm_whose_result_is_used_twice_leaves_the_affine_part():
    g = Net()
    y = layer_norm(g, g.x("n", 8))
    g.output(affine(g, y, 8), "y")
    g.output(y, "normalized")
    fires(recognize_layer_norm, g, times=1)
    assert ops(g) == ["LayerNormalization", "Mul", "Add"]


def test_what_is_not_layer_norm():
    g = Net()
    g.output(layer_norm(g, g.x(2, 3, 8), axes=(1,)), "another axis")
    g.output(layer_norm(g, g.x(2, "n", name="unknown")), "unknown size without scale")
    x = g.x(2, 8, name="z")
    d = centred(g, x)
    g.output(g.add("Div", x, root(g, d)), "not centred above")
    mean = g.add("ReduceMean", g.add("Pow", d, g.number(2)), g.ints(-1))
    g.output(g.add("Div", d, g.add("Sqrt", mean)), "no epsilon")
    stays(recognize_layer_norm, g)
