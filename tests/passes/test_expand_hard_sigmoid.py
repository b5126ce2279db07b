from __future__ import annotations

from edge_rt.types import DType
from exporter.passes import optimize
from exporter.passes.expand_hard_sigmoid import expand_hard_sigmoid
from tests.passes._support import Net, fires, node, ops, stays


def conv(g, name="x"):
    return g.add("Conv", g.x(2, 4, 3, 3, name=name), g.w(6, 4, 1, 1), g.w(6))


def test_behind_a_convolution():
    g = Net()
    g.output(g.add("HardSigmoid", conv(g), alpha=1 / 6, beta=0.5), "y")
    fires(expand_hard_sigmoid, g, times=1)
    assert ops(g) == ["Conv", "Mul", "Add", "Clip"]
    assert optimize(g)
    gemm = node(g, "edge.Gemm")
    assert (gemm.attrs.lo, gemm.attrs.hi, gemm.attrs.activation) == (0, 1, "")
    assert set(ops(g)) == {"Transpose", "edge.Gemm"}


def test_behind_a_matrix_product_and_its_bias():
    for biased in (False, True):
        g = Net()
        y = g.add("MatMul", g.x("n", 4), g.w(4, 5))
        g.output(g.add("HardSigmoid", g.add("Add", y, g.w(5)) if biased else y, alpha=0.3, beta=0.25), "y")
        fires(expand_hard_sigmoid, g, times=1)
        assert optimize(g)
        assert ops(g) == ["edge.Gemm"]


def test_where_it_does_not_fire():
    g = Net()
    g.output(g.add("HardSigmoid", g.x(3, 4)), "no product")
    used = conv(g, "z")
    g.output(g.add("HardSigmoid", used), "used elsewhere")
    g.output(used, "used")
    g.output(g.add("HardSigmoid", g.add("MatMul", g.x(3, 4, name="a"), g.x(4, 5, name="b"))), "no constant weights")
    g.output(g.add("HardSigmoid", g.add("Add", conv(g, "c"), g.w(6, 1, 1))), "a sum behind a convolution")
    double = g.add("MatMul", g.x(3, 4, name="d", dtype=DType.FLOAT64), g.constant(g.w(4, 5).data.astype("float64")))
    g.output(g.add("HardSigmoid", double), "float64")
    stays(expand_hard_sigmoid, g)
