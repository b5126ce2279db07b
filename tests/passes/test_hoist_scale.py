from __future__ import annotations

import numpy as np
import pytest

from exporter.passes.fold_scale_and_shift import fold_scale_and_shift
from exporter.passes.hoist_scale import hoist_scale
from tests.passes._support import Net, fires, ops, stays


def heads(g: Net, name="x", bias=True):
    """f32[n, 2, 3, 4]: a projection split into heads."""
    y = g.add("MatMul", g.x("n", 3, 8, name=name), g.w(8, 8))
    y = g.add("Add", y, g.w(8)) if bias else y
    return g.add("Transpose", g.add("Reshape", y, g.ints(0, 3, 2, 4)), perm=(0, 2, 1, 3))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("op", ["Mul", "Div"])
def test_a_scale_behind_reshape_and_transpose(op, bias):
    g = Net()
    g.output(g.add(op, heads(g, bias=bias), g.number(0.3)), "y")
    fires(hoist_scale, g, times=1)
    assert ops(g) == ["MatMul", *(["Add"] if bias else []), op, "Reshape", "Transpose"]


def test_a_scale_of_scores_ends_in_the_weights_of_the_queries():
    g = Net()
    keys = g.add("Transpose", heads(g, "k"), perm=(0, 1, 3, 2))
    g.output(g.add("Mul", g.number(0.5), g.add("MatMul", heads(g, "q"), keys)), "y")
    fires(lambda graph: hoist_scale(graph) + sum(fold_scale_and_shift(graph) for _ in range(2)), g, times=3)
    assert "Mul" not in ops(g)


def test_behind_a_convolution():
    g = Net()
    y = g.add("Conv", g.x("n", 3, 5, 5), g.w(4, 3, 3, 3))
    g.output(g.add("Mul", g.add("Flatten", y), g.number(2)), "y")
    fires(hoist_scale, g, times=1)
    assert ops(g) == ["Conv", "Mul", "Flatten"]


def test_a_vector_of_equal_numbers():
    g = Net()
    y = g.add("Transpose", g.add("Conv", g.x("n", 3, 5, 5), g.w(4, 3, 3, 3)), perm=(0, 2, 3, 1))
    g.output(g.add("Mul", y, g.constant(np.full(4, 2, np.float32))), "y")
    fires(hoist_scale, g, times=1)
    assert ops(g) == ["Conv", "Mul", "Transpose"]


def test_stays():
    g = Net()
    g.output(g.add("Mul", g.add("Flatten", g.x(2, 3, 4)), g.number(2)), "no weights")
    g.output(g.add("Mul", heads(g, "a"), g.w(4)), "no single number")
    used = heads(g, "b")
    g.output(g.add("Mul", used, g.number(2)), "used elsewhere")
    g.output(used, "other use")
    behind_relu = g.add("Flatten", g.add("Relu", g.add("MatMul", g.x(2, 8, name="c"), g.w(8, 8))))
    g.output(g.add("Mul", behind_relu, g.number(2)), "behind an activation")
    g.output(g.add("Div", g.number(2), heads(g, "d")), "reciprocal")
    g.output(g.add("Mul", g.add("MatMul", g.x(2, 8, name="e"), g.w(8, 8)), g.number(2)), "nothing in between")
    stays(hoist_scale, g)
