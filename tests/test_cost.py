"""Multiply-adds: counted by hand, and the same before and after the passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edge_rt import ops
from edge_rt.cost import RULES
from edge_rt.graph import Graph
from edge_rt.plan import Plan
from edge_rt.printing import PlanTable
from edge_rt.runner import Runner
from edge_rt.types import DType, TensorType
from exporter.passes import optimize
from exporter.report import count_macs
from tests.passes._support import Net


def conv(net: Net) -> Any:
    return net.add("Conv", net.x(2, 4, 9, 9), net.w(6, 2, 3, 3), None, group=2, pads=(1, 1, 1, 1), strides=(2, 2))


def depthwise(net: Net) -> Any:
    return net.add("Conv", net.x(1, 8, 6, 6), net.w(8, 1, 3, 3), None, group=8)


def pointwise(net: Net) -> Any:
    return net.add("Conv", net.x(1, 8, 6, 6), net.w(5, 8, 1, 1), None)


def conv_transpose(net: Net) -> Any:
    return net.add("ConvTranspose", net.x(1, 4, 5, 5), net.w(4, 3, 2, 2), None, strides=(2, 2))


def matmul(net: Net) -> Any:
    return net.add("MatMul", net.x(2, 7, 5), net.w(5, 9))


def two_inputs(net: Net) -> Any:
    return net.add("MatMul", net.x(3, 7, 5), net.x(3, 5, 9, name="b"))


def gemm(net: Net) -> Any:
    return net.add("Gemm", net.x(5, 7), net.w(9, 5), net.w(9), transA=1, transB=1)


def lstm(net: Net) -> Any:
    return net.add("LSTM", net.x(6, 2, 3), net.w(2, 16, 3), net.w(2, 16, 4), hidden_size=4, direction="bidirectional")


def gru(net: Net) -> Any:
    return net.add("GRU", net.x(6, 2, 3), net.w(1, 12, 3), net.w(1, 12, 4), hidden_size=4)


def einsum(net: Net) -> Any:
    return net.add("Einsum", net.x(2, 3, 4), net.x(2, 5, 4, name="b"), equation="bij,bkj->bik")


def attention(net: Net) -> Any:
    q, k, v = net.x(1, 2, 5, 4), net.x(1, 2, 7, 4, name="k"), net.x(1, 2, 7, 3, name="v")
    return net.add("Attention", q, k, v)


def plain(net: Net) -> Any:
    return net.add("Relu", net.x(4, 4))


BY_HAND: list[tuple[Callable[[Net], Any], int]] = [
    (conv, 2 * 6 * 5 * 5 * 2 * 3 * 3),
    (depthwise, 8 * 4 * 4 * 3 * 3),
    (pointwise, 6 * 6 * 8 * 5),
    (conv_transpose, 4 * 5 * 5 * 3 * 2 * 2),
    (matmul, 2 * 7 * 5 * 9),
    (two_inputs, 3 * 7 * 5 * 9),
    (gemm, 7 * 5 * 9),
    (lstm, 6 * 2 * 2 * 16 * (3 + 4)),
    (gru, 6 * 2 * 12 * (3 + 4)),
    (einsum, 2 * 3 * 4 * 5),
    (attention, 2 * 5 * 7 * (4 + 3)),
    (plain, 0),
]


def planned(graph: Graph) -> int:
    """The sum over the steps of the plan."""
    types = [v.type for v in graph.inputs]
    binding = Runner(Plan(graph), None, None).binding_for(types, {})
    return sum(s.macs for s in PlanTable.of_binding("main", binding).steps)


@pytest.mark.parametrize(("make", "expected"), BY_HAND, ids=lambda v: getattr(v, "__name__", ""))
def test_counts(make: Callable[[Net], Any], expected: int) -> None:
    net = Net()
    made = make(net)
    net.output(made[0] if isinstance(made, tuple) else made, "y")
    assert count_macs(net) == expected
    assert planned(net) == expected
    optimize(net)
    assert count_macs(net) == expected
    assert planned(net) == expected


def test_symbolic_sizes_give_an_expression() -> None:
    net = Net()
    net.output(net.add("MatMul", net.x("batch", 5), net.w(5, 9)), "y")
    assert count_macs(net) == "45*batch"


def test_unknown_ranks_count_as_nothing() -> None:
    net = Net()
    x = net.input("x", TensorType(DType.FLOAT32, None))
    net.output(net.add("MatMul", x, net.w(5, 9)), "y")
    assert count_macs(net) == 0


def test_numpy_steps_have_flops_too() -> None:
    net = Net()
    weights = net.constant(np.ones((5, 9)))
    net.output(net.add("MatMul", net.x(4, 5, dtype=DType.FLOAT64), weights), "y")
    binding = Runner(Plan(net), None, None).binding_for([v.type for v in net.inputs], {})
    (step,) = PlanTable.of_binding("main", binding).steps
    assert not step.is_native
    assert (step.macs, step.flops) == (180, 360)


def test_each_rule_is_for_an_operator_there_is() -> None:
    for name in RULES:
        assert ops.get(name).name == name
