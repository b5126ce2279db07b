from __future__ import annotations

import numpy as np
import pytest

from edge_rt.types import DType
from exporter.passes.quantize_products import quantize_products
from tests.passes._quantised import QNet, fires_within
from tests.passes._support import node, ops, stays


def conv(
    g: QNet, *, x=(1, 8, 9, 7), w=(12, 8, 3, 3), bias="int32", xdtype=DType.UINT8, wdtype=np.int8, channels=True, **attrs
):  # fmt: skip
    n = w[0]
    scale = g.scales(n) if channels else np.float32(0.012)
    zero = np.zeros(n if channels else ()) if wdtype == np.int8 else np.full(n if channels else (), 131)
    weights = g.real(g.stored(*w, dtype=wdtype), scale, zero, axis=0)
    addend = None
    if bias == "int32":
        values = g.constant(np.linspace(-900, 900, n).astype(np.int32))
        addend = g.real(values, np.broadcast_to(np.float32(0.02) * scale, (n,)), np.zeros(n, np.int32), axis=0)
    elif bias == "float":
        addend = g.w(n)
    elif bias == "computed":
        addend = g.x(n, name="b")
    return g.add("Conv", g.real(g.bytes(*x, dtype=xdtype)), weights, addend, **attrs)


@pytest.mark.parametrize("xdtype", [DType.UINT8, DType.INT8])
@pytest.mark.parametrize("wdtype", [np.int8, np.uint8])
@pytest.mark.parametrize("channels", [True, False])
def test_conv_of_all_bytes(xdtype, wdtype, channels):
    g = QNet()
    y = conv(g, xdtype=xdtype, wdtype=wdtype, channels=channels, pads=(1, 1, 1, 1))
    g.output(g.whole(y, 0.2, dtype=xdtype), "y")
    fires_within(1, quantize_products, g)
    assert [op for op in ops(g) if op.startswith("edge.")] == ["edge.QConv"]
    assert node(g, "edge.QConv").attrs.output == xdtype.value


@pytest.mark.parametrize(
    ("op", "options"),
    [
        ("edge.QGemm", {"w": (12, 8, 1, 1)}),
        ("edge.QConv", {"w": (12, 8, 1, 1), "strides": (2, 2)}),
        ("edge.QConv", {"w": (12, 4, 3, 3), "group": 2}),
        ("edge.QDepthwiseConv", {"w": (8, 1, 3, 3), "group": 8, "strides": (2, 1), "pads": (1, 1, 1, 1)}),
        ("edge.QConv", {"w": (8, 8, 3, 2), "auto_pad": "SAME_UPPER"}),
        ("edge.QConv", {"x": (2, 8, 20), "w": (12, 8, 5), "pads": (2, 2), "dilations": (2,)}),
        ("edge.QConv", {"bias": "float"}),
        ("edge.QConv", {"bias": None}),
    ],
)
def test_kinds_of_convolution(op, options):
    g = QNet()
    g.output(g.whole(conv(g, **options), 0.2), "y")
    fires_within(1, quantize_products, g)
    assert op in ops(g)


def test_clamps_before_the_quantisation():
    g = QNet()
    y = g.add("Clip", g.add("Relu", conv(g)), None, g.number(2.0))
    g.output(g.whole(y, 0.02, 5), "y")
    fires_within(1, quantize_products, g)
    made = node(g, "edge.QConv").attrs
    assert (made.lo, made.hi, made.y_zero) == (5.0, 105.0, 5)
    assert "Relu" not in ops(g)


def test_real_results():
    g = QNet()
    y = conv(g)
    g.output(g.add("Relu", y), "y")
    fires_within(0, quantize_products, g)
    assert node(g, "edge.QConv").attrs.output == "float32"
    g = QNet()
    y = conv(g, channels=False)
    g.output(g.whole(y, 0.2), "whole")
    g.output(y, "real")
    fires_within(1, quantize_products, g)
    assert node(g, "edge.QConv").attrs.output == "float32"


def test_a_bias_that_would_be_coarse_stays_real():
    g = QNet()
    weights = g.real(g.stored(4, 2, 1, 1), 0.5, 0, axis=0)
    y = g.add("Conv", g.real(g.bytes(1, 2, 5, 5), 0.5), weights, g.w(4))
    g.output(g.whole(y, 1.0), "y")
    fires_within(1, quantize_products, g)
    assert node(g, "edge.QGemm").attrs.output == "float32"


def test_matmul():
    g = QNet()
    b = g.real(g.stored(20, 33), g.scales(33), np.zeros(33), axis=1)
    g.output(g.whole(g.add("MatMul", g.real(g.bytes(2, "m", 20)), b), 0.5), "y")
    fires_within(1, quantize_products, g)
    assert node(g, "edge.QGemm").attrs.n == 33


def test_matmul_of_two_computed_tensors():
    g = QNet()
    a, b = g.real(g.bytes(2, 3, 5, 20)), g.real(g.bytes(3, 20, 18, dtype=DType.INT8), 0.01)
    g.output(g.whole(g.add("MatMul", a, b), 0.2), "y")
    fires_within(1, quantize_products, g)
    assert "edge.PackQPanels" in ops(g)


@pytest.mark.parametrize("turned", [0, 1])
def test_gemm(turned):
    g = QNet()
    b = g.real(g.stored(*((9, 20) if turned else (20, 9))), g.scales(9), np.zeros(9), axis=0 if turned else 1)
    c = g.w(1, 9)
    y = g.add("Gemm", g.real(g.bytes(4, 20)), b, c, transB=turned, alpha=0.5)
    g.output(g.whole(y, 0.2), "y")
    fires_within(1, quantize_products, g)
    assert "edge.QGemm" in ops(g)


def test_stays():
    g = QNet()
    g.output(conv(g, bias="computed"), "a bias that is computed")
    stays(quantize_products, g)
    g = QNet()
    x = g.real(g.bytes(1, 8, 5, 5), g.scales(8), np.full(8, 100))
    g.output(g.add("Conv", x, g.real(g.stored(4, 8, 3, 3), 0.01, 0)), "scales of channels on the left")
    stays(quantize_products, g)
    g = QNet()
    w = g.real(g.stored(4, 8, 3, 3), g.scales(8), np.zeros(8), axis=1)
    g.output(g.add("Conv", g.real(g.bytes(1, 8, 5, 5)), w), "scales of input channels")
    stays(quantize_products, g)
    g = QNet()
    g.output(g.add("Conv", g.x(1, 8, 5, 5), g.real(g.stored(4, 8, 3, 3), 0.01, 0)), "only the weights are quantised")
    stays(quantize_products, g)
    g = QNet()
    scale = g.x(name="s")
    x = g.add("DequantizeLinear", g.bytes(1, 8, 5, 5), scale)
    g.output(g.add("Conv", x, g.real(g.stored(4, 8, 3, 3), 0.01, 0)), "a scale that is computed")
    stays(quantize_products, g)
    g = QNet()
    y = g.add("Gemm", g.real(g.bytes(4, 20)), g.real(g.stored(20, 9), 0.01, 0), g.w(4, 1))
    g.output(y, "an addend of a column")
    stays(quantize_products, g)
