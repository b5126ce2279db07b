"""Data-dependent shapes and control flow: bindings that stop where only running the program can tell more."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt import native
from edge_rt.dims import symbol
from edge_rt.graph import Graph
from edge_rt.interpreter import evaluate
from edge_rt.plan import Plan
from edge_rt.runner import KEPT_BINDINGS, Runner
from edge_rt.types import DType, TensorType

F32, I64, BOOL = DType.FLOAT32, DType.INT64, DType.BOOL
Array = np.ndarray[Any, Any]


def runner_of(graph: Graph, threads: int = 1) -> Runner:
    graph.verify()
    library = native.library()
    return Runner(Plan(graph), library, native.team(library, threads))


def check(runner: Runner, *inputs: Array) -> list[Array]:
    """The runner's outputs, which must equal the references'."""
    made = runner.run([np.asarray(x, order="C") for x in inputs])
    for got, want in zip(made, evaluate(runner.plan.graph, inputs), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)
    return made


def segments(runner: Runner) -> int:
    """Bindings that one run needs one after another."""
    count, cache = 0, runner._first
    while cache is not None:
        count += 1
        cache = next(iter(cache.entries.values()))[1]
    return count


def positives() -> Graph:
    """The positive elements, doubled, and how many."""
    graph = Graph()
    x = graph.input("x", TensorType(F32, (symbol("n"),)))
    doubled = graph.add("Mul", x, graph.constant(np.float32(2)))
    found = graph.add("Compress", doubled, graph.add("Greater", x, graph.constant(np.float32(0))))
    graph.output(graph.add("Relu", found), "found")
    graph.output(graph.add("Shape", found), "count")
    return graph


def test_sizes_that_depend_on_data() -> None:
    runner = runner_of(positives())
    for seed in range(4):
        x = np.random.default_rng(seed).standard_normal(50).astype(np.float32)
        found, count = check(runner, x)
        assert count[0] == len(found) == (x > 0).sum()
    check(runner, -np.ones(5, np.float32))
    check(runner, np.zeros(0, np.float32))
    assert segments(runner) == 2


def test_contents_that_only_running_tells() -> None:
    """A Reshape to sizes that are computed from data."""
    graph = Graph()
    x = graph.input("x", TensorType(F32, (12,)))
    rows = graph.add("Cast", graph.add("ReduceMax", x, keepdims=0), to="int64")
    shape = graph.add(
        "Concat", graph.add("Reshape", rows, graph.constant(np.array([1]))), graph.constant(np.array([-1])), axis=0
    )
    graph.output(graph.add("Add", graph.add("Reshape", x, shape), graph.constant(np.float32(1))), "y")
    runner = runner_of(graph)
    for largest in (2, 3, 6, 3):
        x = np.zeros(12, np.float32)
        x[5] = largest
        (y,) = check(runner, x)
        assert y.shape == (largest, 12 // largest)


def test_an_input_that_decides_shapes() -> None:
    graph = Graph()
    x = graph.input("x", TensorType(F32, (symbol("n"), 3)))
    repeats = graph.input("repeats", TensorType(I64, (2,)))
    graph.output(graph.add("Tile", graph.add("Exp", x), repeats), "y")
    runner = runner_of(graph)
    for repeats in ([1, 2], [3, 1], [0, 2], [1, 2]):
        check(runner, np.ones((2, 3), np.float32), np.array(repeats))
    assert segments(runner) == 1
    assert len(runner._first.entries) == 3


def branch(name: str, factor: float) -> Graph:
    graph = Graph(name)
    x = graph.input("x", TensorType(F32, (symbol("n"),)))
    graph.output(graph.add("Mul", x, graph.constant(np.float32(factor))), "y")
    return graph


@pytest.mark.parametrize("computed", [False, True])
def test_a_branch_is_resolved(computed: bool) -> None:
    """The condition is an input, or computed while the program runs."""
    graph = Graph()
    x = graph.input("x", TensorType(F32, (symbol("n"),)))
    if computed:
        condition = graph.add(
            "Greater", graph.add("ReduceSum", x, keepdims=0), graph.constant(np.float32(0)), name="condition"
        )
    else:
        condition = graph.input("condition", TensorType(BOOL, ()))
    chosen = graph.add("If", condition, x, then_branch=branch("then", 2), else_branch=branch("else", -3))
    graph.output(graph.add("Add", chosen, x), "y")
    runner = runner_of(graph)
    for sign in (1, -1, 1):
        x = np.full(5, sign, np.float32)
        check(runner, x) if computed else check(runner, x, np.array(sign > 0))
    steps = [s.item.op.name for c in runner._caches() for i, _ in c.entries.values() for s in i.binding.steps]
    assert "If" not in steps
    assert segments(runner) == (2 if computed else 1)


def test_an_output_that_only_one_branch_computes() -> None:
    """A branch may hand out a captured value or a constant."""
    then, other = Graph("then"), Graph("else")
    then.output(then.input("x", TensorType(F32, (2,))), "y")
    other.input("x", TensorType(F32, (2,)))
    other.output(other.constant(np.array([5, 6], np.float32)), "y")
    graph = Graph()
    condition, x = graph.input("condition", TensorType(BOOL, ())), graph.input("x", TensorType(F32, (2,)))
    graph.output(graph.add("If", condition, x, then_branch=then, else_branch=other), "y")
    runner = runner_of(graph)
    for taken in (True, False):
        check(runner, np.array(taken), np.array([1, 2], np.float32))


def test_a_loop_runs_its_body_by_machine_code() -> None:
    """Newton's iteration for the square root, with every iterate given out."""
    body = Graph("body")
    body.input("i", TensorType(I64, ()))
    go = body.input("go", TensorType(BOOL, ()))
    guess, target = body.input("guess", TensorType(F32, (4,))), body.input("target", TensorType(F32, (4,)))
    mean = body.add("Mul", body.add("Add", guess, body.add("Div", target, guess)), body.constant(np.float32(0.5)))
    body.output(body.add("Identity", go), "go_on")
    body.output(mean, "next")
    body.output(mean, "iterate")
    graph = Graph()
    count, x = graph.input("count", TensorType(I64, ())), graph.input("x", TensorType(F32, (4,)))
    start = graph.add("Add", x, graph.constant(np.float32(1)))
    final, iterates = graph.add("Loop", count, None, start, x, body=body, carried=1)
    graph.output(graph.add("Neg", final), "y")
    graph.output(iterates, "iterates")
    runner = runner_of(graph)
    x = np.array([1, 4, 9, 100], np.float32)
    for n in (12, 0, 3):
        _, iterates = check(runner, np.array(n), x)
        assert iterates.shape == (n, 4)
    np.testing.assert_allclose(check(runner, np.array(12), x)[0], -np.sqrt(x), rtol=1e-5)
    (inner,) = runner._bodies.values()
    (instance, _), *_ = inner._first.entries.values()
    assert all(s.is_native for s in instance.binding.steps)
    assert len(inner._first.entries) == 1


def test_bindings_are_kept_within_a_limit() -> None:
    graph = Graph()
    x = graph.input("x", TensorType(F32, (symbol("n"),)))
    graph.output(graph.add("Exp", x), "y")
    runner = runner_of(graph)
    for n in range(1, 2 * KEPT_BINDINGS):
        check(runner, np.ones(n, np.float32))
    assert len(runner._first.entries) <= KEPT_BINDINGS


def test_outputs_may_be_inputs_constants_or_twice_the_same() -> None:
    graph = Graph()
    x = graph.input("x", TensorType(F32, (3,)))
    big = graph.input("big", TensorType(F32, (10000,)))
    y = graph.add("Reshape", x, graph.constant(np.array([3, 1])))
    for name, value in {"x": x, "y": y, "again": y, "c": graph.constant(np.float32(4)), "big": big}.items():
        graph.output(value, name)
    graph.output(graph.add("Reshape", big, graph.constant(np.array([100, 100]))), "square")
    runner = runner_of(graph)
    x, big = np.arange(3, dtype=np.float32), np.ones(10000, np.float32)
    made = check(runner, x, big)
    assert not any(np.shares_memory(a, b) for a in made for b in (x, big))
    assert not any(np.shares_memory(a, b) for i, a in enumerate(made) for b in made[:i])


def test_variables_that_swap_are_committed_together() -> None:
    graph = Graph()
    a, b = graph.variable("a", np.float32([1, 2])), graph.variable("b", np.float32([3, 4]))
    a.update, b.update = b.value, a.value
    graph.output(graph.add("Sub", a.value, b.value), "difference")
    library = native.library()
    state = [np.float32([1, 2]), np.float32([3, 4])]
    runner = Runner(Plan(graph), library, native.team(library, 1), state)
    for sign in (-1, 1, -1):
        np.testing.assert_array_equal(runner.run([])[0], [2 * sign, 2 * sign])


def test_in_place_steps_do_not_touch_what_is_still_needed() -> None:
    graph = Graph()
    x = graph.input("x", TensorType(F32, (6,)))
    y = graph.add("Exp", x)
    z = graph.add("Reshape", y, graph.constant(np.array([2, 3])))
    graph.output(graph.add("Neg", y), "negative")
    graph.output(graph.add("Relu", z), "z")
    graph.output(graph.add("Add", y, y), "sum")
    check(runner_of(graph), np.linspace(-1, 1, 6).astype(np.float32))
