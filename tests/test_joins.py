"""Concatenations into which steps write at once: which they are, and that results have the bits that copies give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_rt import layout, native
from edge_rt.graph import Graph, Value
from edge_rt.jit.library import jit_library
from edge_rt.native.host import AnyLibrary
from edge_rt.ops._panels import pack_panels
from edge_rt.plan import Plan
from edge_rt.runner import Runner
from edge_rt.types import DType, TensorType
from tests.cases._case import normal
from tests.panels import pack_conv

Array = np.ndarray[Any, Any]


def image(graph: Graph, *shape: int, name: str = "x") -> Value:
    return graph.input(name, TensorType(DType.FLOAT32, shape))


def point(graph: Graph, x: Value, n: int, **more: Any) -> Value:
    k = x.type.static_shape[-1]
    panels = graph.constant(pack_panels(normal(k, n, seed=n, scale=0.3)))
    made: Value = graph.add("edge.Gemm", x, panels, graph.constant(normal(n, seed=n + 1)), n=n, **more)
    return made


def conv(graph: Graph, x: Value, n: int, group: int = 1, k: int = 5) -> Value:
    weights = pack_conv(normal(n, x.type.static_shape[3] // group, k, 3, seed=n, scale=0.2), group)
    window: dict[str, Any] = {"kernel": (k, 3), "strides": (1, 1), "pads": (k // 2, 1, k // 2, 1), "dilations": (1, 1)}
    made: Value = graph.add("edge.Conv", x, graph.constant(weights), n=n, group=group, **window)
    return made


def larger(graph: Graph, x: Value) -> Value:
    _, h, w, _ = x.type.static_shape
    attrs: dict[str, Any] = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
    made: Value = graph.add("edge.Resize", x, sizes=(2 * h, 2 * w), **attrs)
    return made


def copies(runner: Runner) -> list[int]:
    """Of each concatenation, how many parts are copied."""
    assert runner.whole is not None
    return [len(s.calls or ()) for s in runner.whole.binding.steps if s.item.op.name == "Concat"]


def run(graph: Graph, library: AnyLibrary, threads: int) -> tuple[list[Array], Runner]:
    arrays = [normal(*v.type.static_shape, seed=i + 7) for i, v in enumerate(graph.inputs)]
    runner = Runner(Plan(graph), library, native.team(native.library(), threads))
    return runner.run(arrays), runner


def check(graph: Graph, threads: Sequence[int] = (1, 3)) -> list[int]:
    """Asserts that results have the same bits as with copies; copies that are left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "join_steps", lambda *_: {})
        expected, runner = run(graph, native.library(), 1)
        assert 0 not in copies(runner)
    for count in threads:
        made, runner = run(graph, native.library(), count)
        for a, b in zip(expected, made):
            np.testing.assert_array_equal(a, b)
    return copies(runner)


@pytest.mark.parametrize("columns", [(16, 16), (24, 7, 40), (1, 3), (130, 5)])
def test_products_side_by_side(columns: tuple[int, ...]) -> None:
    graph = Graph()
    x = image(graph, 2, 9, 11, 20)
    made = graph.add("Concat", *(point(graph, x, n, activation="HardSwish") for n in columns), axis=-1)
    graph.output(point(graph, made, 8), "y")
    assert check(graph) == [0]


def test_convolutions_and_resizes() -> None:
    graph = Graph()
    x = image(graph, 1, 20, 24, 16)
    small = image(graph, 1, 10, 12, 16, name="small")
    parts = [conv(graph, x, 24), larger(graph, point(graph, small, 10)), conv(graph, x, 32, 2), point(graph, x, 6)]
    filtered = conv(graph, x, 41, k=3)
    graph.output(graph.add("Concat", *parts, filtered, axis=3), "y")
    assert check(graph) == [0]
    _, runner = run(graph, native.library(), 1)
    assert runner.whole is not None
    kernels = {call.spec.symbol for step in runner.whole.binding.steps for call in step.calls or ()}
    assert {"winograd_f32", "resize_f32", "gemm_f32"} <= kernels


def test_rows_of_several_images() -> None:
    """Each has its own matrix where panels are several."""
    graph = Graph()
    x = image(graph, 3, 9, 20)
    panels = graph.constant(np.stack([pack_panels(normal(20, 12, seed=i)) for i in range(3)]))
    batched = graph.add("edge.Gemm", x, panels, n=12)
    graph.output(graph.add("Concat", batched, point(graph, x, 4), axis=2), "y")
    assert check(graph) == [1]


def test_one_row_takes_any_kernel() -> None:
    graph = Graph()
    x = image(graph, 1, 30)
    parts = [graph.add("Sigmoid", x), graph.add("Relu", x), graph.add("Softmax", x), x]
    graph.output(graph.add("Concat", *parts, axis=1), "y")
    y = image(graph, 1, 6, 5, name="y")
    graph.output(graph.add("Concat", graph.add("Sigmoid", y), graph.add("Exp", y), axis=1), "z")
    assert check(graph) == [1, 0]


def test_what_has_other_readers_is_copied() -> None:
    graph = Graph()
    x = image(graph, 1, 9, 11, 20)
    read, given, twice = point(graph, x, 16), point(graph, x, 8), point(graph, x, 4)
    graph.output(point(graph, read, 5), "also")
    graph.output(given, "given")
    parts = [read, given, twice, twice, point(graph, x, 12), x, graph.constant(normal(1, 9, 11, 3))]
    graph.output(graph.add("Concat", *parts, axis=3), "y")
    assert check(graph) == [6]


def test_what_has_residuals_or_other_names_is_copied() -> None:
    graph = Graph()
    x = image(graph, 1, 9, 11, 16)
    panels = graph.constant(pack_panels(normal(16, 16)))
    with_residual = graph.add("edge.Gemm", x, panels, None, x, n=16)
    reshaped = graph.add("Reshape", point(graph, x, 8), graph.constant(np.array([1, 9, 11, 8])))
    graph.output(graph.add("Concat", with_residual, reshaped, axis=3), "y")
    assert check(graph) == [2]


def test_along_rows() -> None:
    """Rows of what is put below one another are apart by as much as before: there is nothing to change."""
    graph = Graph()
    x = image(graph, 2, 9, 11, 16)
    graph.output(graph.add("Concat", point(graph, x, 8), point(graph, x, 8), axis=1), "y")
    y = image(graph, 1, 9, 11, 16, name="y")
    graph.output(graph.add("Concat", point(graph, y, 8), conv(graph, y, 8), axis=1), "z")
    assert check(graph) == [2, 0]


def test_the_arena_has_room_for_one_of_them() -> None:
    graph = Graph()
    x = image(graph, 1, 40, 40, 16)
    graph.output(graph.add("ReduceMax", graph.add("Concat", point(graph, x, 64), point(graph, x, 64), axis=3)), "y")
    _, runner = run(graph, native.library(), 1)
    assert runner.whole is not None
    assert runner.whole.binding.arena < 1.1 * 40 * 40 * 128 * 4


def test_kernels_for_one_model() -> None:
    graph = Graph()
    x = image(graph, 1, 20, 24, 16)
    graph.output(graph.add("Concat", conv(graph, x, 24), point(graph, x, 40), axis=3), "y")
    expected, _ = run(graph, native.library(), 1)
    made, runner = run(graph, jit_library(native.library()), 1)
    np.testing.assert_array_equal(expected[0], made[0])
    assert copies(runner) == [0]


@st.composite
def graphs(draw: Any) -> Graph:
    """Layers, some of which put together what was there before."""
    graph = Graph()
    shape = draw(st.integers(1, 2)), draw(st.integers(1, 12)), draw(st.integers(1, 12))
    values = [image(graph, *shape, draw(st.integers(1, 40)))]
    for _ in range(draw(st.integers(2, 9))):
        kind = draw(st.sampled_from(["point", "conv", "relu", "concat", "concat"]))
        x = draw(st.sampled_from(values))
        if kind == "point":
            made = point(graph, x, draw(st.integers(1, 70)))
        elif kind == "conv":
            made = conv(graph, x, draw(st.integers(1, 70)), k=draw(st.sampled_from([1, 3])))
        elif kind == "relu":
            made = graph.add("Sigmoid", x)
        else:
            made = graph.add("Concat", *draw(st.lists(st.sampled_from(values), min_size=2, max_size=4)), axis=3)
        values.append(made)
    for i, value in enumerate(draw(st.lists(st.sampled_from(values[1:]), min_size=1, max_size=3, unique=True))):
        graph.output(value, f"y{i}")
    return graph


@settings(max_examples=120, deadline=None)
@given(graphs())
def test_bits_of_any_graph(graph: Graph) -> None:
    check(graph, (1, 2))
