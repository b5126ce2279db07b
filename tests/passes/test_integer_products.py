from __future__ import annotations

import numpy as np
import pytest

from edge_rt.types import DType
from exporter.passes.integer_products import integer_products
from tests.passes._quantised import QNet, fires_within
from tests.passes._support import node, ops, stays


def zeros(g, of, dtype=np.int8):
    return g.constant(np.asarray(of, dtype))


@pytest.mark.parametrize("dtype", [DType.UINT8, DType.INT8])
@pytest.mark.parametrize("zero", [None, 5, np.arange(-3, 3)])
def test_matmul_integer(dtype, zero):
    g = QNet()
    b_zero = None if zero is None else zeros(g, zero)
    g.output(g.add("MatMulInteger", g.bytes(2, "m", 9, dtype=dtype), g.stored(9, 6), zeros(g, 7, dtype.numpy), b_zero), "y")
    fires_within(0, integer_products, g)
    assert ops(g) == ["edge.QGemm"]
    assert node(g, "edge.QGemm").attrs.output == "int32"


def test_dynamically_quantised_matmul_becomes_real():
    g = QNet()
    q, scale, zero = g.add("DynamicQuantizeLinear", g.x(4, 9))
    sums = g.add("Cast", g.add("MatMulInteger", q, g.stored(9, 6), zero), to=DType.FLOAT32)
    g.output(g.add("Mul", sums, g.add("Mul", scale, g.constant(g.scales(6)))), "y")
    fires_within(0, integer_products, g)
    assert ops(g) == ["DynamicQuantizeLinear", "edge.QGemm"]


@pytest.mark.parametrize("scale", ["constant", "computed", "channels"])
def test_conv_integer_becomes_real(scale):
    g = QNet()
    factor = {"constant": g.number(0.02), "computed": g.x(name="s"), "channels": g.constant(g.scales(6).reshape(1, 6, 1, 1))}
    y = g.add("ConvInteger", g.bytes(1, 4, 7, 7), g.stored(6, 4, 3, 3, dtype=np.uint8), zeros(g, 9, np.uint8),
              zeros(g, 120, np.uint8), pads=(1, 1, 1, 1))  # fmt: skip
    g.output(g.add("Mul", g.add("Cast", y, to=DType.FLOAT32), factor[scale]), "y")
    fires_within(0, integer_products, g)
    assert ops(g) == ["Transpose", "edge.QConv", "Transpose"]


def test_sums_that_have_other_uses_stay_integers():
    g = QNet()
    y = g.add("ConvInteger", g.bytes(1, 4, 7, 7), g.stored(4, 1, 3, 3), group=4)
    g.output(y, "sums")
    g.output(g.add("Mul", g.add("Cast", y, to=DType.FLOAT32), g.number(0.1)), "y")
    fires_within(0, integer_products, g)
    assert node(g, "edge.QDepthwiseConv").attrs.output == "int32"


def test_matmul_integer_to_float():
    g = QNet()
    q, scale, zero = g.add("DynamicQuantizeLinear", g.x(4, 9))
    b = g.stored(9, 6)
    y = g.add(
        "com.microsoft.MatMulIntegerToFloat", q, b, scale, g.constant(g.scales(6)), zero, zeros(g, np.arange(6)), g.w(6)
    )
    g.output(y, "y")
    fires_within(0, integer_products, g)
    assert ops(g) == ["DynamicQuantizeLinear", "edge.QGemm"]


def test_stays():
    g = QNet()
    g.output(g.add("MatMulInteger", g.bytes(4, 9), g.bytes(9, 6)), "two computed operands")
    stays(integer_products, g)
    g = QNet()
    g.output(g.add("MatMulInteger", g.bytes(4, 9), g.stored(9, 6), zeros(g, range(4), np.uint8)), "zero points of rows")
    stays(integer_products, g)
    g = QNet()
    g.output(g.add("ConvInteger", g.bytes(1, 4, 7, 7, 7), g.stored(6, 4, 3, 3, 3)), "three axes")
    stays(integer_products, g)
