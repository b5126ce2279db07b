"""Binding a graph for the types that it declares infers nothing anew."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt import native
from edge_rt.dims import symbol
from edge_rt.graph import Graph
from edge_rt.ops._spec import OpSpec
from edge_rt.plan import Plan
from edge_rt.runner import Runner
from edge_rt.types import Dim, DType, TensorType


def network(batch: Dim) -> Graph:
    """Two layers, and a reshape by what shape arithmetic makes of the input."""
    graph = Graph()
    x = graph.input("x", TensorType(DType.FLOAT32, (batch, 4)))
    h = graph.add("Relu", graph.add("MatMul", x, graph.constant(np.eye(4, dtype=np.float32))))
    doubled = graph.add("Mul", graph.add("Shape", h), graph.constant(np.array([2, 1]) // np.array([1, 1])))
    halves = graph.add("Div", doubled, graph.constant(np.array([1, 2])))
    graph.output(graph.add("Reshape", h, halves), "y")
    return graph


def test_what_is_declared_is_not_inferred_again(monkeypatch: pytest.MonkeyPatch) -> None:
    declared, symbolic = Plan(network(3)), Plan(network(symbol("n")))
    inferred: list[str] = []
    infer = OpSpec.infer

    def recorded(self: OpSpec, *args: Any) -> Any:
        inferred.append(self.name)
        return infer(self, *args)

    monkeypatch.setattr(OpSpec, "infer", recorded)
    library = native.library()
    x = np.arange(-6, 6, dtype=np.float32).reshape(3, 4)
    runner = Runner(declared, library, native.team(library, 1))
    (first,) = runner.run([x])
    assert not inferred
    (second,) = Runner(symbolic, library, native.team(library, 1)).run([x])
    assert {"MatMul", "Relu", "Shape", "Reshape"} <= set(inferred)
    np.testing.assert_array_equal(first, np.maximum(x, 0).reshape(6, 2))
    np.testing.assert_array_equal(second, first)
    types = [TensorType(DType.FLOAT32, (3, 4))]
    bindings = [Runner(plan, library, None).binding_for(types, {}) for plan in (declared, symbolic)]
    assert [[(s.item.op.name, s.calls is None) for s in b.steps] for b in bindings[:1]] == [
        [(s.item.op.name, s.calls is None) for s in b.steps] for b in bindings[1:]
    ]
    assert bindings[0].types == bindings[1].types
    assert bindings[0].arena == bindings[1].arena
