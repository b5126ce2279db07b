from __future__ import annotations

import numpy as np

from edge_rt.types import DType
from exporter.passes.expand_quantized import expand_quantized
from tests.passes._quantised import QNet, fires_within
from tests.passes._support import ops, stays


def factors(g, scale, zero=100, dtype=np.uint8):
    return g.constant(np.asarray(scale, np.float32)), g.constant(np.asarray(zero, dtype))


def test_qlinear_conv():
    g = QNet()
    w = g.stored(6, 4, 3, 3), *factors(g, g.scales(6), np.zeros(6), np.int8)
    bias = g.constant(np.arange(-300, 300, 100, dtype=np.int32))
    y = g.add("QLinearConv", g.bytes(1, 4, 7, 7), *factors(g, 0.02), *w, *factors(g, 0.2), bias, pads=(1, 1, 1, 1))
    g.output(y, "y")
    fires_within(1, expand_quantized, g)
    assert ops(g) == ["DequantizeLinear"] * 3 + ["Conv", "QuantizeLinear"]


def test_qlinear_matmul():
    g = QNet()
    b = g.bytes(9, 12, dtype=DType.INT8), *factors(g, g.scales(12), np.zeros(12), np.int8)
    g.output(g.add("QLinearMatMul", g.bytes(5, 9), *factors(g, 0.02), *b, *factors(g, 0.1)), "y")
    fires_within(1, expand_quantized, g)
    assert ops(g) == ["DequantizeLinear"] * 2 + ["MatMul", "QuantizeLinear"]


def test_dynamic_quantize_matmul():
    g = QNet()
    b = g.stored(9, 12), *factors(g, 0.01, 4, np.int8)
    g.output(g.add("com.microsoft.DynamicQuantizeMatMul", g.x(5, 9), *b, g.w(12)), "y")
    fires_within(0, expand_quantized, g)
    assert ops(g) == ["DynamicQuantizeLinear", "com.microsoft.MatMulIntegerToFloat"]


def test_stays():
    g = QNet()
    w = g.bytes(6, 4, 3, 3, dtype=DType.INT8), *factors(g, 0.01, 0, np.int8)
    y = g.add("QLinearConv", g.bytes(1, 4, 7, 7), *factors(g, 0.02), *w, *factors(g, 0.2))
    g.output(y, "computed weights")
    stays(expand_quantized, g)
    g = QNet()
    b = g.stored(9, 12), *factors(g, 0.01, 0, np.int8)
    a = g.bytes(5, 9), *factors(g, g.scales(5), np.zeros(5))
    g.output(g.add("QLinearMatMul", *a, *b, *factors(g, 0.1)), "scales of rows")
    stays(expand_quantized, g)
