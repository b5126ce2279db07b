"""expand_fused."""

from __future__ import annotations

from typing import Any

import pytest

from edge_rt.types import DType
from exporter.passes.expand_fused import expand_fused
from tests.passes._support import Net, fires, ops, stays


@pytest.mark.parametrize(
    ("a", "b", "attributes", "expected"),
    [
        ((2, 3, 4), (2, 4, 5), {}, ["MatMul"]),
        ((2, 4, 3), (2, 5, 4), {"transA": True, "transB": True, "alpha": 0.5}, ["Transpose", "Transpose", "MatMul", "Mul"]),
        ((3, 2, 4), (2, 4, 5), {"transBatchA": True}, ["Transpose", "MatMul"]),
        ((4,), (4, 5), {"transA": True}, ["MatMul"]),
    ],
)
def test_products(a: tuple[int, ...], b: tuple[int, ...], attributes: dict[str, Any], expected: list[str]) -> None:
    g = Net()
    g.output(g.add("com.microsoft.FusedMatMul", g.x(*a, name="a"), g.x(*b, name="b"), **attributes), "y")
    fires(expand_fused, g, times=1)
    assert ops(g) == expected


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("", ()),
        ("Relu", ()),
        ("Sigmoid", ()),
        ("Tanh", ()),
        ("LeakyRelu", (0.3,)),
        ("Clip", (-0.2, 0.4)),
        ("HardSigmoid", (0.3, 0.4)),
    ],
)
@pytest.mark.parametrize("with_sum", [False, True])
def test_convolutions(kind: str, parameters: tuple[float, ...], with_sum: bool) -> None:
    g = Net()
    others = [g.x(1, 4, 3, 3, name="z")] if with_sum else []
    y = g.add("com.microsoft.FusedConv", g.x(1, 2, 5, 5), g.w(4, 2, 3, 3), g.w(4), *others,
              activation=kind, activation_params=parameters)  # fmt: skip
    g.output(y, "y")
    fires(expand_fused, g, times=1)
    assert ops(g) == ["Conv", *(["Add"] if with_sum else []), *([kind] if kind else [])]


def test_where_it_stays() -> None:
    g = Net()
    doubles = (g.x(2, 2, name=name, dtype=DType.FLOAT64) for name in "ab")
    g.output(g.add("com.microsoft.FusedMatMul", *doubles), "y")
    conv = g.add("com.microsoft.FusedConv", g.x(1, 2, 5, 5), g.w(4, 2, 3, 3), activation="LeakyRelu")
    g.output(conv, "c")
    stays(expand_fused, g)
