"""Models and programs for specialised kernels, and the comparison of bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt import bundle, native
from edge_rt.graph import Graph
from edge_rt.jit import Case, case_of
from edge_rt.plan import Plan
from edge_rt.runner import Runner
from edge_rt.types import TensorType
from tests.cases._case import normal

Array = np.ndarray[Any, Any]


def assert_same_bits(a: Array, b: Array, where: str = "") -> None:
    """NaN counts as NaN, whatever its payload."""
    assert (a.dtype, a.shape) == (b.dtype, b.shape), where
    if a.dtype.kind != "f":
        np.testing.assert_array_equal(a, b, where)
        return
    np.testing.assert_array_equal(np.isnan(a), np.isnan(b), where)
    bits = f"u{a.dtype.itemsize}"
    np.testing.assert_array_equal(np.where(np.isnan(a), 0, a).view(bits), np.where(np.isnan(b), 0, b).view(bits), where)


def program_graph(program: Sequence[str], inputs: Sequence[Array]) -> Graph:
    """One edge.Elementwise. Inputs of rank 0 are constants."""
    graph = Graph("program")
    values = [
        graph.input(f"x{i}", TensorType.of(x)) if x.ndim else graph.constant(x, f"c{i}") for i, x in enumerate(inputs)
    ]
    graph.output(graph.add("edge.Elementwise", *values, program=tuple(program)), "y")
    return graph


def case_of_program(program: Sequence[str], inputs: Sequence[Array]) -> Case:
    runner = Runner(Plan(program_graph(program, inputs)), native.library(), None)
    (step,) = runner.instance_for(inputs)[0].binding.steps
    assert step.calls is not None
    found = case_of(step.calls[0])
    assert found is not None
    return found


def network() -> bundle.Bundle:
    """A product, an activation, a chain and a softmax, for any batch."""
    graph = Graph("main")
    x = graph.input("x", TensorType.of(normal(3, 20)))
    y = graph.add("edge.Gemm", x, graph.constant(normal(2, 20, 16, seed=1), "w"), n=24)
    y = graph.add("edge.Elementwise", y, x_bias(graph), program=("Add 0 1", "Tanh 2", "Mul 3 0"))
    graph.output(graph.add("Softmax", y, axis=-1), "y")
    return bundle.Bundle(signatures={"main": graph})


def x_bias(graph: Graph) -> Any:
    return graph.constant(normal(24, seed=2), "bias")
