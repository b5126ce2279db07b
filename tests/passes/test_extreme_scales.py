"""Scales that no quantiser writes on purpose: models with them compute what the operators say, without warnings."""

from __future__ import annotations

import numpy as np
import pytest

from edge_rt.graph import Value
from edge_rt.interpreter import evaluate
from exporter.passes import optimize
from tests.passes._quantised import QNet, arrays

EXTREMES = (np.inf, np.nan, 3e38, 1e25, 1e-45, 1e-30, 0.0, -0.02)


def step(g: QNet, op: str, scale: float) -> Value:
    """The operator on tensors one of which has the scale."""
    image = g.real(g.bytes(1, 8, 5, 5), scale)
    if op in ("Add", "Sub", "Mul"):
        return g.add(op, image, g.real(g.bytes(1, 8, 5, 5), 0.03))
    if op == "Conv":
        return g.add(op, image, g.real(g.stored(8, 8, 3, 3), 0.01, zero=0))
    if op == "MatMul":
        return g.add(op, image, g.real(g.stored(5, 16), 0.01, zero=0))
    if op == "Concat":
        return g.add(op, image, g.real(g.bytes(1, 8, 5, 5), 0.03), axis=1)
    if op == "Clip":
        return g.add(op, image, g.number(0), g.number(3e38))
    if op == "MaxPool":
        return g.add(op, image, kernel_shape=(2, 2))[0]
    return g.add(op, image)


@pytest.mark.parametrize("scale", EXTREMES)
@pytest.mark.parametrize(
    "op", ["Add", "Sub", "Mul", "Conv", "MatMul", "Concat", "Clip", "Relu", "Sigmoid", "GlobalAveragePool", "MaxPool"]
)
@pytest.mark.parametrize("is_result", [False, True])
def test_extreme_scales(op: str, scale: float, is_result: bool) -> None:
    g = QNet()
    y = step(g, op, 0.02 if is_result else scale)
    g.output(g.whole(y, scale if is_result else 0.05), "y")
    inputs = arrays(g)
    (want,) = evaluate(g, inputs)
    optimize(g)
    (got,) = evaluate(g, inputs)
    assert (got.dtype, got.shape) == (want.dtype, want.shape)
    assert np.abs(got.astype(int) - want.astype(int)).max() <= 1
