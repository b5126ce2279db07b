"""expand_wide_quantization."""

from __future__ import annotations

import numpy as np
import pytest

from edge_rt.types import DType
from exporter.passes.expand_wide_quantization import expand_wide_quantization
from tests.passes._support import Net, fires, ops, stays


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
@pytest.mark.parametrize("scale", [0.01, 1e-5])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_rounding_to_16_bits(dtype: type, scale: float, shape: tuple[int, ...]) -> None:
    g = Net()
    number, zero = g.constant(np.full(shape, scale, np.float32)), g.constant(np.full(shape, 77, dtype))
    x = g.x(3, 40)
    g.output(g.add("DequantizeLinear", g.add("QuantizeLinear", x, number, zero), number, zero), "same")
    other, place = g.number(0.5), g.constant(np.array(3, dtype))
    g.output(g.add("DequantizeLinear", g.add("QuantizeLinear", x, number, zero), other, place), "others")
    fires(expand_wide_quantization, g, times=2)
    assert "QuantizeLinear" not in ops(g)


def test_without_zero_point() -> None:
    g = Net()
    q = g.add("QuantizeLinear", g.x(3, 4), g.number(0.001), output_dtype=DType.INT16)
    g.output(g.add("DequantizeLinear", q, g.number(0.001)), "y")
    fires(expand_wide_quantization, g, times=1)


def test_what_stays() -> None:
    g = Net()
    x, scales = g.x(3, 4), g.constant(np.array([1, 2, 3, 4], np.float32))
    zeros = g.constant(np.zeros(4, np.int16))
    g.output(g.add("DequantizeLinear", g.add("QuantizeLinear", x, scales, zeros), scales, zeros), "a scale each")
    one, zero = g.number(0.1), g.constant(np.array(0, np.uint8))
    g.output(g.add("DequantizeLinear", g.add("QuantizeLinear", x, one, zero), one, zero), "bytes")
    given = g.x(3, 4, name="q", dtype=DType.INT16)
    g.output(g.add("DequantizeLinear", given, one), "given integers")
    stays(expand_wide_quantization, g)
