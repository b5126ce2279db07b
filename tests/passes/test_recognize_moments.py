"""recognize_moments."""

from __future__ import annotations

import pytest

from exporter.passes.recognize_moments import recognize_moments
from tests.passes._support import Net, fires, node, ops, stays


def mean(g, x, axes, how="mean"):
    """Over these axes, which are kept: at once, put back, or as a sum."""
    if how == "mean":
        return g.add("ReduceMean", x, g.ints(*axes))
    if how == "put back":
        return g.add("Unsqueeze", g.add("ReduceMean", x, g.ints(*axes), keepdims=False), g.ints(*axes))
    count = 1
    for a in axes:
        count *= x.type.shape[a]
    gone = g.add("Mul", g.add("ReduceSum", x, g.ints(*axes), keepdims=False), g.number(1 / count))
    shape = [1 if a in [b % x.type.rank for b in axes] else d for a, d in enumerate(x.type.shape)]
    return g.add("Reshape", gone, g.ints(*[d if isinstance(d, int) else -1 for d in shape]))


def variance(g, x, axes, how="mean", form="squares"):
    m = mean(g, x, axes, how)
    if form == "distances":
        d = g.add("Sub", x, m)
        return mean(g, g.add("Mul", d, d), axes, how)
    squares = g.add("Mul", x, x) if how == "mean" else g.add("Pow", x, g.number(2))
    v = g.add("Sub", mean(g, squares, axes, how), g.add("Mul", m, m))
    if form == "clamped":
        return g.add("Max", g.number(0), v)
    return g.add("Relu", v) if form == "relu" else v


def root(g, x, axes, **forms):
    return g.add("Sqrt", g.add("Add", variance(g, x, axes, **forms), g.number(1e-3)))


def jax(g, x, axes, scale, bias, **forms):
    factor = g.add("Mul", g.add("Reciprocal", root(g, x, axes, **forms)), scale)
    d = g.add("Sub", x, mean(g, x, axes, forms.get("how", "mean")))
    return g.add("Add", g.add("Mul", d, factor), bias)


def divided(g, x, axes, scale, bias, **forms):
    d = g.add("Sub", x, mean(g, x, axes, forms.get("how", "mean")))
    return g.add("Add", bias, g.add("Mul", scale, g.add("Div", d, root(g, x, axes, **forms))))


def tensorflow(g, x, axes, scale, bias, **forms):
    factor = g.add("Mul", g.add("Reciprocal", root(g, x, axes, **forms)), scale)
    shift = g.add("Mul", mean(g, x, axes, forms.get("how", "mean")), factor)
    return g.add("Add", g.add("Mul", x, factor), g.add("Sub", bias, shift))


ARRANGEMENTS = (jax, divided, tensorflow)


@pytest.mark.parametrize("arrange", ARRANGEMENTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("how", ["mean", "put back", "sum"])
@pytest.mark.parametrize("form", ["squares", "clamped", "relu", "distances"])
def test_layer_norm(arrange, how, form):
    g = Net()
    y = arrange(g, g.x("n", 8), (-1,) if how == "mean" else (1,), g.w(8), g.w(1, 8), how=how, form=form)
    g.output(y, "y")
    fires(recognize_moments, g, times=1)
    assert ops(g) == ["LayerNormalization"]
    made = node(g, "LayerNormalization").attrs
    assert (made.axis, made.epsilon) == (-1, pytest.approx(1e-3))


@pytest.mark.parametrize("arrange", ARRANGEMENTS, ids=lambda f: f.__name__)
def test_layer_norm_over_two_axes_with_a_scale_along_one(arrange):
    g = Net()
    g.output(arrange(g, g.x("n", 3, 8), (1, 2), g.w(8), g.number(0.5)), "y")
    fires(recognize_moments, g, times=1)
    assert ops(g) == ["LayerNormalization"]


@pytest.mark.parametrize("arrange", ARRANGEMENTS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("form", ["squares", "distances"])
def test_instance_norm(arrange, form):
    g = Net()
    g.output(arrange(g, g.x("n", 3, 8, "w"), (2, 3), g.w(3, 1, 1), g.w(1, 3, 1, 1), form=form), "y")
    fires(recognize_moments, g, times=1, n=2, w=5)
    assert ops(g) == ["InstanceNormalization"]


def test_without_scale_or_bias():
    g = Net()
    x, z = g.x("n", 8), g.x("n", 8, name="z")
    g.output(g.add("Mul", g.add("Sub", x, mean(g, x, (1,))), g.add("Pow", g.add(
        "Add", variance(g, x, (1,)), g.number(1e-3)), g.number(-0.5))), "plain")  # fmt: skip
    factor = g.add("Div", g.number(1), root(g, z, (1,)))
    g.output(g.add("Sub", g.add("Mul", z, factor), g.add("Mul", mean(g, z, (1,)), factor)), "x * r - mean * r")
    fires(recognize_moments, g, times=2)
    assert ops(g) == ["LayerNormalization"] * 2


def test_what_is_used_elsewhere_stays():
    g = Net()
    x = g.x("n", 8)
    m = mean(g, x, (1,))
    g.output(m, "mean")
    g.output(jax(g, x, (1,), g.w(8), g.w(8)), "y")
    fires(recognize_moments, g, times=1)
    assert sorted(ops(g)) == ["LayerNormalization", "ReduceMean"]


def test_what_is_no_normalisation():
    g = Net()
    x, z = g.x("n", 4, 8), g.x("n", 4, 8, name="z")
    g.output(jax(g, x, (1,), g.w(4, 1), g.w(4, 1)), "the middle axis")
    four = g.x("n", 4, 8, 3, name="four")
    g.output(jax(g, four, (3,), g.w(4, 1, 1), g.w(4, 1, 1)), "a scale along another axis")
    g.output(jax(g, x, (2,), g.x(8, name="s"), g.w(8)), "a scale that is not constant")
    g.output(jax(g, g.x(4, "w", name="u"), (1,), g.w(4, 1), g.w(4, 1)), "an unknown size")
    factor = g.add("Reciprocal", root(g, x, (2,)))
    g.output(g.add("Mul", g.add("Sub", z, mean(g, z, (2,))), factor), "the deviation of another tensor")
    g.output(g.add("Mul", g.add("Sub", x, mean(g, x, (1,))), factor), "the mean over another axis")
    other = g.add("Mul", factor, g.w(8))
    shifted = g.add("Sub", g.w(8), g.add("Mul", mean(g, x, (2,)), factor))
    g.output(g.add("Add", g.add("Mul", x, other), shifted), "two factors")
    least = g.add("Max", g.number(1), variance(g, x, (2,)))
    d = g.add("Sub", x, mean(g, x, (2,)))
    g.output(g.add("Div", d, g.add("Sqrt", g.add("Add", least, g.number(1e-3)))), "another limit")
    wrong = g.add("Mul", g.add("ReduceSum", x, g.ints(2)), g.number(1 / 7))
    g.output(g.add("Mul", g.add("Sub", x, wrong), factor), "no mean")
    stays(recognize_moments, g)
