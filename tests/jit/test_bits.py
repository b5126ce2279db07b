"""Specialised kernels give the bits of those for all sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_rt import native
from edge_rt.graph import Graph
from edge_rt.jit import JitReport, case_of, jit_library
from edge_rt.lowering._spec import In, Out
from edge_rt.lowering.gemm import gemm_call
from edge_rt.ops.edge_elementwise import INSTRUCTIONS
from edge_rt.plan import Plan
from edge_rt.runner import Runner
from edge_rt.types import TensorType
from tests.cases import all_cases
from tests.cases._case import normal
from tests.jit._programs import Array, assert_same_bits, case_of_program, program_graph
from tests.runtimes import graph_of

OPERATORS = (
    "Attention", "Concat", "DequantizeLinear", "Gather", "LSTM", "LayerNormalization", "MatMul", "Pad", "QuantizeLinear",
    "ReduceMax", "ReduceMean", "Softmax", "Transpose", "edge.Conv", "edge.DepthwiseConv", "edge.Gemm", "edge.Gru",
    "edge.MaxPool", "edge.QAdd", "edge.QConv", "edge.QDepthwiseConv", "edge.QGemm", "edge.QMean",
)  # fmt: skip
"""Whose lowerings call kernels that are specialised."""
SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan, 1e-40, -1e-40, 3e38, -3e38, 2.5, -2.5, 88.5, -104.0, 1e-8, 17.0],
    np.float32,
)


def run_both(graph: Graph, arrays: Sequence[Array], threads: int = 1) -> JitReport:
    """Asserts that the graph's outputs have the same bits with specialised kernels and without them."""
    base = native.library()
    library = jit_library(base)
    usual = Runner(Plan(graph), base, native.team(base, threads)).run(arrays)
    runner = Runner(Plan(graph), library, native.team(base, threads))
    for _ in range(2):  # the second time the arena holds the first run's numbers
        for a, b in zip(usual, runner.run(arrays)):
            assert_same_bits(a, b, str(graph))
    return library.report


def run_program(program: Sequence[str], inputs: Sequence[Array], threads: int = 1) -> None:
    run_both(program_graph(program, inputs), [x for x in inputs if x.ndim], threads)


@pytest.mark.parametrize("op", OPERATORS)
def test_kernels_for_known_sizes(op: str) -> None:
    cases = [c for c in all_cases() if c.op == op and c.native]
    reports = [run_both(*graph_of(case), threads=3) for case in (cases[0], cases[len(cases) // 2], cases[-1])]
    assert sum(r.calls for r in reports) > 0
    assert not any(r.left_out for r in reports)


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_instructions(name: str) -> None:
    count = INSTRUCTIONS[name][0]
    grid = np.meshgrid(*[SPECIAL] * min(count, 2))
    inputs = [g.ravel().copy() for g in grid]
    if count == 3:
        inputs.append(np.resize(SPECIAL[::-1], inputs[0].size))
    run_program([f"{name} {' '.join(map(str, range(count)))}"], inputs)


@st.composite
def programs(draw: Any) -> tuple[list[str], list[Array]]:
    """Chains over inputs that broadcast along any axes, scalars and numbers among them."""
    shape = draw(st.lists(st.integers(1, 40), min_size=1, max_size=4))
    count = draw(st.integers(1, 4))
    random, inputs = np.random.default_rng(draw(st.integers(0, 99))), []
    for i in range(count):
        kind = draw(st.sampled_from(["full", "broadcast", "scalar", "number"])) if i else "full"
        own = [d if kind == "full" or (kind == "broadcast" and draw(st.booleans())) else 1 for d in shape]
        own = own[draw(st.integers(0, len(own) - 1)) :] if kind == "broadcast" else [] if kind == "number" else own
        values = random.standard_normal(own).astype(np.float32)
        inputs.append(np.asarray(np.where(random.random(own) < 0.1, random.choice(SPECIAL, own), values), np.float32))
    program = []
    for i in range(draw(st.integers(1, 5))):
        name = draw(st.sampled_from(sorted(INSTRUCTIONS)))
        operands = [draw(st.integers(0, count + i - 1)) for _ in range(INSTRUCTIONS[name][0])]
        program.append(" ".join([name, *map(str, operands)]))
    return program, inputs


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(programs(), st.sampled_from([1, 3]))
def test_programs(made: tuple[list[str], list[Array]], threads: int) -> None:
    program, inputs = made
    run_program(program, inputs, threads)


@pytest.mark.parametrize(
    ("shape", "others"),
    [
        ((40, 30, 9), [(30, 1)]),
        ((3, 50, 24), [(50, 1), (3, 1, 24)]),
        ((5, 7, 3, 9), [(7, 1, 9), (5, 1, 3, 1)]),
        ((2, 100_000), [(2, 1)]),
        ((1, 200_001), [(1,)]),
        ((17,), [()]),
    ],
    ids=str,
)
def test_patterns_of_broadcasting(shape: tuple[int, ...], others: list[tuple[int, ...]]) -> None:
    inputs = [normal(*shape), *(normal(*s, seed=i + 1) for i, s in enumerate(others))]
    program = ["Mul 0 1", f"Sub {len(inputs)} {len(inputs) - 1}", f"Sigmoid {len(inputs) + 1}"]
    run_program(program, inputs, threads=3)
    case_of_program(program, inputs)


def test_short_rows_that_broadcast_stay() -> None:
    graph = program_graph(["Mul 0 1"], [normal(40, 30, 2), normal(30, 1)])
    assert run_both(graph, [normal(40, 30, 2), normal(30, 1)]).calls == 0


@pytest.mark.parametrize("rows", [256, 784, 121, 130])
def test_products_whose_row_blocks_are_made_even(rows: int) -> None:
    graph = Graph("product")
    x, skip = graph.input("x", TensorType.of(normal(rows, 24))), graph.input("s", TensorType.of(normal(rows, 40)))
    panels = graph.constant(normal(3, 24, 16, seed=1), "w")
    bias = graph.constant(normal(40, seed=2), "b")
    graph.output(graph.add("edge.Gemm", x, panels, bias, skip, n=40, lo=0.0, hi=6.0), "y")
    run_both(graph, [normal(rows, 24, seed=3), normal(rows, 40, seed=4)], threads=3)


def test_blocks_of_rows_are_even_or_the_product_stays() -> None:
    call = gemm_call(In(0), In(1), Out(0), m=784, n=64, k=32, batches=[[0, 0, 0, 0]])
    found = case_of(call)
    assert found is not None
    known = dict(zip([p.name for p in call.spec.params], found.known))
    assert known["batch"] * known["m"] == 784  # type: ignore[operator]
    assert known["row_block"] == known["m"]
    assert case_of(gemm_call(In(0), In(1), Out(0), m=787, n=64, k=32, batches=[[0, 0, 0, 0]])) is None
