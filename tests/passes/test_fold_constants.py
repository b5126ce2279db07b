from __future__ import annotations

import numpy as np

from exporter.passes.fold_constants import MAX_GROWTH, fold_constants
from tests.passes._support import Net, fires, ops, stays


def test_folds_nodes_of_constants_one_after_the_other():
    g = Net()
    w = g.add("Relu", g.add("Transpose", g.w(100, 60), perm=(1, 0)))
    g.output(g.add("MatMul", g.x("n", 60), w), "y")
    fires(fold_constants, g, times=2)
    assert ops(g) == ["MatMul"]


def test_folds_contents_that_inference_knows():
    g = Net()
    x = g.x("n", 4, 5)
    size = g.add("Gather", g.add("Shape", x), g.constant(np.int64(2)))
    g.output(g.add("Mul", g.add("Cast", size, to="float32"), g.add("Relu", x)), "y")
    fires(fold_constants, g)
    assert ops(g) == ["Relu", "Mul"]


def test_folds_an_output():
    g = Net()
    g.x(1)
    g.output(g.add("Exp", g.w(2, 2)), "y")
    fires(fold_constants, g, times=1)
    assert g.outputs[0].is_constant


def test_keeps_what_depends_on_an_input_or_an_unknown_size():
    g = Net()
    x = g.x("n", 4)
    g.output(g.add("Shape", x), "shape")
    g.output(g.add("Add", x, g.w(4)), "y")
    stays(fold_constants, g)


def test_keeps_random_numbers():
    g = Net()
    g.output(g.add("Add", g.x(2), g.add("RandomNormalLike", g.w(2))), "y")
    stays(fold_constants, g)


def test_keeps_what_would_grow_beyond_the_limit():
    g = Net()
    big = g.add("Expand", g.w(1, 64), g.ints(MAX_GROWTH // 64, 64))
    g.output(g.add("Mul", big, g.x(1, 64)), "y")
    stays(fold_constants, g)


def test_packs_weights_whatever_their_padding():
    g = Net()
    panels = g.add("edge.PackPanels", g.w(MAX_GROWTH // 4, 1))
    g.output(g.add("edge.Gemm", g.x(1, MAX_GROWTH // 4), panels, n=1), "y")
    fires(fold_constants, g, times=1)
    assert ops(g) == ["edge.Gemm"]


def test_leaves_errors_in_the_data_to_the_run():
    g = Net()
    g.x(1)
    g.output(g.add("Gather", g.w(3), g.ints(7)), "y")
    stays(fold_constants, g)
