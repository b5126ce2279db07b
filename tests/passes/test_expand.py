"""expand_batch_norm, expand_gemm, expand_global_pool."""

from __future__ import annotations

import pytest

from edge_rt.types import DType
from exporter.passes.expand_batch_norm import expand_batch_norm
from exporter.passes.expand_gemm import expand_gemm
from exporter.passes.expand_global_pool import expand_global_pool
from tests.passes._support import Net, fires, node, ops, stays


@pytest.mark.parametrize("shape", [("n", 5), ("n", 5, 4), (2, 5, "h", "w"), (1, 5, 2, 2, 2)])
def test_batch_norm_is_a_product_and_a_sum(shape):
    g = Net()
    y = g.add("BatchNormalization", g.x(*shape), g.w(5), g.w(5), g.w(5), g.w(5, positive=True), epsilon=0.01)
    g.output(y, "y")
    fires(expand_batch_norm, g, times=1)
    assert ops(g) == ["Mul", "Add"]


def test_batch_norm_with_computed_statistics_in_training_or_in_doubles_stays():
    g = Net()
    variance = g.x(5, name="variance")
    g.output(g.add("BatchNormalization", g.x(2, 5), g.w(5), g.w(5), g.w(5), variance), "a")
    trained = g.add("BatchNormalization", g.x(2, 5, name="z"), *(g.w(5) for _ in range(4)), training_mode=True)
    g.output(trained[0], "b")
    doubles = [g.add("Cast", g.w(5, positive=True), to="float64") for _ in range(4)]
    g.output(g.add("BatchNormalization", g.x(2, 5, name="d", dtype=DType.FLOAT64), *doubles), "c")
    stays(expand_batch_norm, g)


@pytest.mark.parametrize("trans_a", [False, True])
@pytest.mark.parametrize("trans_b", [False, True])
def test_gemm(trans_a, trans_b):
    g = Net()
    a = g.x("k", "m") if trans_a else g.x("m", 4)
    b = g.w(5, 3) if trans_b else g.w(3, 5)
    if not trans_a:
        b = g.w(5, 4) if trans_b else g.w(4, 5)
    y = g.add("Gemm", a, b, g.w(5), transA=trans_a, transB=trans_b, alpha=0.5, beta=2.0)
    g.output(y, "y")
    fires(expand_gemm, g, times=1, k=3, m=2)
    assert ops(g) == (["Transpose"] if trans_a else []) + ["MatMul", "Add"]


def test_gemm_of_computed_operands():
    g = Net()
    y = g.add("Gemm", g.x(2, 3, name="a"), g.x(4, 3, name="b"), g.x(2, 1, name="c"), transB=True, alpha=0.5, beta=3.0)
    g.output(y, "y")
    fires(expand_gemm, g, times=1)
    assert ops(g) == ["Transpose", "Mul", "MatMul", "Mul", "Add"]


def test_gemm_without_c_or_with_beta_zero():
    g = Net()
    g.output(g.add("Gemm", g.x(2, 3), g.w(3, 4)), "a")
    g.output(g.add("Gemm", g.x(2, 3, name="z"), g.w(3, 4), g.w(4), beta=0.0), "b")
    fires(expand_gemm, g, times=2)
    assert ops(g) == ["MatMul", "MatMul"]


def test_gemm_of_doubles_stays():
    g = Net()
    x = g.x(3, 3, dtype=DType.FLOAT64)
    g.output(g.add("Gemm", x, x), "y")
    stays(expand_gemm, g)


@pytest.mark.parametrize(("pool", "reduction"), [("GlobalAveragePool", "ReduceMean"), ("GlobalMaxPool", "ReduceMax")])
def test_global_pools_are_reductions(pool, reduction):
    g = Net()
    g.output(g.add(pool, g.x("n", 3, "h", "w")), "y")
    g.output(g.add(pool, g.x(2, 3, 5, name="z")), "z")
    fires(expand_global_pool, g, times=2)
    assert ops(g) == [reduction, reduction]
    assert str(g.outputs[0].type) == "float32[n, 3, 1, 1]"


def test_other_pools_stay():
    g = Net()
    g.output(g.add("AveragePool", g.x(1, 2, 4, 4), kernel_shape=(4, 4)), "y")
    stays(expand_global_pool, g)
    assert node(g, "AveragePool")
