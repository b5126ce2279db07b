from __future__ import annotations

import numpy as np
import pytest

from edge_rt.types import DType
from exporter.passes.expand_batch_norm import expand_batch_norm
from exporter.passes.fold_scale_and_shift import fold_scale_and_shift
from tests.passes._support import Net, fires, ops, stays

AFFINE = {
    "mul": lambda g, y, c: g.add("Mul", c, y),
    "div": lambda g, y, c: g.add("Div", y, c),
    "add": lambda g, y, c: g.add("Add", y, c),
    "sub": lambda g, y, c: g.add("Sub", y, c),
    "reverse sub": lambda g, y, c: g.add("Sub", c, y),
}


@pytest.mark.parametrize("name", AFFINE)
@pytest.mark.parametrize("bias", [False, True])
def test_after_a_convolution(name, bias):
    g = Net()
    inputs = [g.x("n", 4, 6, 6), g.w(6, 2, 3, 3), *([g.w(6)] if bias else [])]
    y = g.add("Conv", *inputs, group=2, pads=(1, 1, 1, 1))
    g.output(AFFINE[name](g, y, g.w(6, 1, 1, positive=True)), "y")
    fires(fold_scale_and_shift, g, times=1)
    assert ops(g) == ["Conv"]


@pytest.mark.parametrize("name", AFFINE)
def test_after_a_grouped_transposed_convolution(name):
    g = Net()
    y = g.add("ConvTranspose", g.x(2, 4, 5), g.w(4, 3, 2), group=2, strides=(2,))
    g.output(AFFINE[name](g, y, g.w(1, 6, 1, positive=True)), "y")
    fires(fold_scale_and_shift, g, times=1)
    assert ops(g) == ["ConvTranspose"]


@pytest.mark.parametrize("name", AFFINE)
@pytest.mark.parametrize("bias", [False, True])
def test_before_a_convolution_without_padding(name, bias):
    g = Net()
    y = AFFINE[name](g, g.x("n", 4, 6, 6), g.w(4, 1, 1, positive=True))
    g.output(g.add("Conv", y, g.w(6, 2, 3, 3), *([g.w(6)] if bias else []), group=2), "y")
    fires(fold_scale_and_shift, g, times=1)
    assert ops(g) == ["Conv"]


def test_a_scale_before_a_convolution_that_pads():
    g = Net()
    y = g.add("Mul", g.x("n", 4, 6, 6), g.w(4, 1, 1))
    g.output(g.add("Conv", y, g.w(6, 4, 3, 3), pads=(1, 1, 1, 1)), "y")
    fires(fold_scale_and_shift, g, times=1)
    assert ops(g) == ["Conv"]


def test_matrix_products():
    g = Net()
    y = g.add("Mul", g.add("MatMul", g.add("Add", g.x("n", 4), g.w(4)), g.w(4, 5)), g.w(5))
    g.output(y, "y")
    fires(lambda graph: sum(fold_scale_and_shift(graph) for _ in range(3)), g, times=3)
    assert ops(g) == ["MatMul", "Add"]


def test_batch_norm_folds_all_the_way():
    g = Net()
    y = g.add("Conv", g.x("n", 3, 5, 5), g.w(4, 3, 3, 3))
    g.output(g.add("BatchNormalization", y, g.w(4), g.w(4), g.w(4), g.w(4, positive=True)), "y")
    fires(lambda graph: expand_batch_norm(graph) + fold_scale_and_shift(graph), g, times=3)
    assert ops(g) == ["Conv"]


def test_a_shift_before_a_convolution_that_pads_stays():
    g = Net()
    y = g.add("Add", g.x("n", 4, 6, 6), g.w(4, 1, 1))
    g.output(g.add("Conv", y, g.w(6, 4, 3, 3), pads=(1, 1, 1, 1)), "y")
    stays(fold_scale_and_shift, g)


def test_a_shift_before_a_transposed_convolution_stays():
    g = Net()
    y = g.add("Add", g.x("n", 4, 6), g.w(4, 1))
    g.output(g.add("ConvTranspose", y, g.w(4, 4, 3)), "y")
    stays(fold_scale_and_shift, g)


@pytest.mark.parametrize("shape", [(6,), (6, 1, 4), (1, 1, 4), (1, 6, 4, 4)])
def test_a_constant_along_other_axes_stays(shape):
    g = Net()
    y = g.add("Conv", g.x(1, 4, 6, 6), g.w(6, 4, 3, 3))
    if shape == (6,):
        y = g.add("Conv", g.x(1, 4, 6, 8, name="z"), g.w(6, 4, 3, 3))
    g.output(g.add("Mul", y, g.w(*shape)), "y")
    stays(fold_scale_and_shift, g)


def test_a_value_in_between_that_is_used_or_given_out_stays():
    g = Net()
    y = g.add("Conv", g.x("n", 4, 6, 6), g.w(6, 4, 3, 3))
    g.output(g.add("Mul", y, g.w(6, 1, 1)), "y")
    g.output(y, "convolution")
    stays(fold_scale_and_shift, g)


def test_weights_that_are_shared_or_computed_stay():
    g = Net()
    x, shared = g.x("n", 4, 6, 6), g.w(4, 4, 1, 1)
    g.output(g.add("Mul", g.add("Conv", x, shared), g.w(4, 1, 1)), "a")
    g.output(g.add("Conv", x, shared), "b")
    g.output(g.add("Mul", g.add("Conv", x, g.x(4, 4, 1, 1, name="w")), g.w(4, 1, 1)), "c")
    stays(fold_scale_and_shift, g)


def test_dividing_by_a_convolution_or_by_zero_stays():
    g = Net()
    x = g.x("n", 4, 6, 6)
    g.output(g.add("Div", g.w(6, 1, 1), g.add("Conv", x, g.w(6, 4, 3, 3))), "a")
    g.output(g.add("Div", g.add("Conv", x, g.w(6, 4, 3, 3)), g.constant(np.zeros((6, 1, 1), np.float32))), "b")
    stays(fold_scale_and_shift, g)


def test_doubles_stay():
    g = Net()
    w = g.constant(np.ones((6, 4, 3, 3)))
    y = g.add("Conv", g.x("n", 4, 6, 6, dtype=DType.FLOAT64), w)
    g.output(g.add("Mul", y, g.constant(np.ones((6, 1, 1)) * 2)), "y")
    stays(fold_scale_and_shift, g)
