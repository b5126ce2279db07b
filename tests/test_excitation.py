"""Squeeze-and-excite blocks: gates in weights and means of rows, where they pay; results, and where nothing may change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_rt import layout, native
from edge_rt.binder import bind
from edge_rt.binding import Binding, Stage
from edge_rt.codegen.testing import call
from edge_rt.graph import Graph, Value
from edge_rt.interpreter import evaluate
from edge_rt.jit.library import jit_library
from edge_rt.lowering import gates
from edge_rt.lowering._spec import Out
from edge_rt.lowering.gemm import FORMATS
from edge_rt.native.features import cpu_features, lacking
from edge_rt.native.host import AnyLibrary
from edge_rt.ops._panels import decode_panels, pack_panels
from edge_rt.ops._spec import SUMS
from edge_rt.plan import Plan
from edge_rt.runner import Runner
from edge_rt.targets import TARGETS
from edge_rt.types import DType, TensorType
from exporter.passes.compress_weights import compacted
from tests.cases._case import normal

Array = np.ndarray[Any, Any]
GATED, SUMMED = "gate_panels_f32", "means of rows"


def gemm(graph: Graph, x: Value, n: int, residual: Value | None = None, weights: str = "float32", **attrs: Any) -> Any:
    """An edge.Gemm with a bias. weights: how they are stored."""
    k = x.type.static_shape[-1]
    panels = pack_panels(normal(k, n, seed=k + n, scale=k**-0.5))
    inputs: list[Any] = [x, panels, normal(n, seed=n, scale=0.1), residual]
    found = compacted(panels, n, weights)
    if found is not None:
        inputs[1] = found.panels
        inputs += [found.scale, found.zero]
        attrs["block"] = found.block
    given = [graph.constant(v) if isinstance(v, np.ndarray) else v for v in inputs]
    while given[-1] is None:
        given.pop()
    return graph.add("edge.Gemm", *given, n=n, **attrs)


def depthwise(graph: Graph, x: Value, kernel: int = 3, stride: int = 1, activation: str = "Swish") -> Any:
    w = graph.constant(normal(kernel, kernel, x.type.static_shape[-1], seed=kernel, scale=0.4))
    return graph.add(
        "edge.DepthwiseConv", x, w, graph.constant(normal(w.type.static_shape[-1], seed=3)), kernel=(kernel,) * 2,
        strides=(stride,) * 2, pads=(kernel // 2,) * 4, activation=activation,
    )  # fmt: skip


def gate(graph: Graph, x: Value, kind: str = "sigmoid") -> Any:
    """A gate of the means of x [n, h, w, c]: [n, 1, 1, c]."""
    mean = graph.add("ReduceMean", x, graph.constant(np.array([1, 2])))
    hidden, c = gemm(graph, mean, 8, lo=0.0), x.type.static_shape[-1]
    if kind == "sigmoid":  # efficientnet
        return gemm(graph, hidden, c, activation="Sigmoid")
    if kind == "clamp":  # mobilenetv3, whose hard sigmoid went into weights
        return gemm(graph, hidden, c, lo=0.0, hi=1.0)
    made = gemm(graph, hidden, c)
    if kind == "operator":
        return graph.add("HardSigmoid", made, alpha=1 / 6, beta=0.5)
    if kind == "program":
        return graph.add("edge.Elementwise", made, program=["Neg 0", "Sigmoid 1"])
    if kind == "flat":  # [n, c], and then with other axes
        flat = graph.add("Sigmoid", graph.add("Reshape", made, graph.constant(np.array([-1, c]))))
        return graph.add("Reshape", flat, graph.constant(np.array([-1, 1, 1, c])))
    assert kind == "unbounded"
    return made


def block(
    shape: Sequence[int], n: int = 24, kind: str = "sigmoid", swapped: bool = False, residual: bool = False,
    expands: int = 0, stride: int = 1, **weights: Any,
) -> Graph:  # fmt: skip
    """expand, depthwise convolution, squeeze-and-excite, projection."""
    graph = Graph()
    x = graph.input("x", TensorType(DType.FLOAT32, shape))
    y = depthwise(graph, gemm(graph, x, expands, activation="Swish") if expands else x, stride=stride)
    factors = (gate(graph, y, kind), y) if swapped else (y, gate(graph, y, kind))
    added = graph.input("r", TensorType(DType.FLOAT32, (*y.type.static_shape[:3], n))) if residual else None
    graph.output(gemm(graph, graph.add("Mul", *factors), n, added, **weights), "y")
    return graph


def changes(binding: Binding) -> list[str]:
    """What was done to the steps."""
    calls = [c for step in binding.steps for c in step.calls or ()]
    summed = [c for c in calls if c.spec.symbol == "depthwise_f32" and any(type(a) is Out and a.index == 1 for a in c.args)]
    return [SUMMED] * len(summed) + [GATED] * sum(c.spec.symbol == GATED for c in calls)


def run(
    graph: Graph, arrays: Sequence[Array], threads: int = 1, library: AnyLibrary | None = None
) -> tuple[list[Array], Binding]:
    library = library or native.library()
    runner = Runner(Plan(graph), library, native.team(native.library(), threads))
    made = [runner.run(arrays) for _ in range(3)]
    for again in made[1:]:  # of which the later ones may be shared
        for a, b in zip(made[0], again):
            np.testing.assert_array_equal(a, b)
    assert runner.whole is not None
    return made[0], runner.whole.binding


def check(graph: Graph) -> list[str]:
    """Asserts that results are right and have the same bits on any number of threads; what was done to the steps."""
    arrays = [normal(*v.type.static_shape, seed=i + 7) for i, v in enumerate(graph.inputs)]
    wide = [a.astype(np.float64) for a in arrays]
    made, binding = run(graph, arrays)
    for a, b in zip(made, run(graph, arrays, 3)[0]):
        np.testing.assert_array_equal(a, b)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "shorten_blocks", lambda walk, kept: None)
        plain, unchanged = run(graph, arrays)
        assert not changes(unchanged)
    for got, expected, before in zip(made, evaluate(graph, wide), plain):
        SUMS.check(got, np.asarray(expected, np.float32))
        SUMS.check(got, before)
    return changes(binding)


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tensors of any size are summed early."""
    monkeypatch.setattr(gates, "FAR", 0)


# ---- results ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sigmoid", "clamp", "operator", "program", "flat"])
@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.usefixtures("everywhere")
def test_gates(kind: str, images: int, swapped: bool) -> None:
    assert check(block((images, 12, 9, 40), kind=kind, swapped=swapped)) == [SUMMED, GATED]


@pytest.mark.parametrize("weights", ["float16", "int8", "int4"])
@pytest.mark.parametrize(("images", "channels", "n"), [(1, 100, 24), (2, 72, 17), (2, 48, 70)])
def test_compact_weights(weights: str, images: int, channels: int, n: int) -> None:
    assert check(block((images, 14, 14, channels), n, weights=weights)) == [GATED]


def test_efficientnet_block() -> None:
    assert check(block((1, 112, 112, 16), 24, expands=96, stride=2)) == [SUMMED, GATED]
    assert check(block((1, 56, 56, 24), 24, expands=144, residual=True)) == [SUMMED, GATED]
    assert check(block((1, 14, 14, 112), 112, expands=672, residual=True)) == [GATED]


def test_mobilenetv3_block() -> None:
    assert check(block((1, 112, 112, 16), 16, kind="clamp", stride=2)) == [GATED]
    assert check(block((1, 14, 14, 40), 40, kind="operator", expands=240, residual=True)) == [GATED]


@st.composite
def blocks(draw: Any) -> Graph:
    """Blocks over images of any size."""
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 20)), draw(st.integers(1, 20)), draw(st.integers(16, 70))
    return block(
        shape, draw(st.integers(1, 40)), draw(st.sampled_from(["sigmoid", "clamp", "unbounded"])), draw(st.booleans()),
        draw(st.booleans()), stride=draw(st.integers(1, 2)),
        weights=draw(st.sampled_from(["float32", "float16", "int8", "int4"])),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(blocks(), st.sampled_from([0, 1, 4]))
def test_any_block(graph: Graph, fewer: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gates, "FAR", 0)
        patch.setattr(gates, "FEWER", fewer)
        check(graph)


def test_kernels_for_one_model() -> None:
    graph = block((2, 60, 60, 72), residual=True)
    arrays = [normal(*v.type.static_shape, seed=i) for i, v in enumerate(graph.inputs)]
    expected, binding = run(graph, arrays)
    assert changes(binding) == [SUMMED, GATED]
    for threads in (1, 2):
        np.testing.assert_array_equal(run(graph, arrays, threads, jit_library(native.library()))[0][0], expected[0])


@pytest.mark.parametrize("weights", ["float32", "float16", "int8", "int4"])
def test_panels(weights: str) -> None:
    k, n, images = 83, 40, 3
    panels, gated = pack_panels(normal(k, n, seed=1)), np.abs(normal(images, k, seed=2))
    found = compacted(panels, n, weights)
    b, scale, zero, size = (panels, None, None, 0) if found is None else found[1:5]
    expected = pack_panels(decode_panels(b, k, n, scale, zero, size).astype(np.float32) * gated[:, :, None])
    for target in TARGETS.values():
        for parts in (1, 5):
            if lacking(target, cpu_features()):
                continue
            made = np.full((images, 3, k, 16), np.nan, np.float32)
            call(
                gates.GATE_PANELS_F32, b=b.reshape(-1).view(np.float32), gate=gated, panels=made, batch=images, count=3, k=k,
                format=FORMATS[DType.of(b)], scale=scale, zero=zero, block=size or k, blocks=-(-k // size) if size else 1,
                parts=parts, target=target,
            )  # fmt: skip
            np.testing.assert_array_equal(made, expected)


# ---- which steps -----------------------------------------------------------------------------------------------------


def planned(graph: Graph, arch: str = "x86_64") -> list[str]:
    plan = Plan(graph)
    types = {slot: v.type for slot, v in zip(plan.inputs, graph.inputs)}
    return changes(bind(Stage.first(plan), types, {}, plan.kept, arch=arch))


def test_small_images_stay() -> None:
    assert planned(block((1, 7, 7, 96), 96)) == []
    assert planned(block((1, 12, 12, 96), 96)) == [GATED]
    assert planned(block((4, 7, 7, 96), 96)) == []  # each image has a gate of its own
    assert planned(block((1, 100, 100, 16), 16)) == [GATED]
    assert planned(block((1, 104, 104, 16), 16)) == [SUMMED, GATED]


def test_rows_that_are_sliced_stay() -> None:
    graph = block((1, 20, 20, 64), 64, weights="int8")
    assert planned(graph) == []
    assert planned(graph, "aarch64") == [GATED]


def test_gates_that_may_be_large_stay() -> None:
    assert planned(block((1, 20, 20, 32), kind="unbounded")) == []


def test_products_that_others_read_stay() -> None:
    for kept in (True, False):
        graph = Graph()
        x = graph.input("x", TensorType(DType.FLOAT32, (1, 20, 20, 32)))
        product = graph.add("Mul", x, gate(graph, x))
        graph.output(gemm(graph, product, 24), "y")
        graph.output(product if kept else graph.add("Relu", product), "z")
        assert check(graph) == []


def test_pixels_that_others_read() -> None:
    graph = Graph()
    x = graph.input("x", TensorType(DType.FLOAT32, (2, 20, 20, 32)))
    y = depthwise(graph, x)
    graph.output(gemm(graph, graph.add("Mul", y, gate(graph, y)), 24), "y")
    graph.output(graph.add("Neg", y), "z")
    graph.output(y, "pixels")
    assert check(graph) == [GATED]


@pytest.mark.parametrize(
    ("shape", "fused"),
    [((2, 1, 1, 32), True), ((1, 1, 1, 32), True), ((32,), True), ((2, 40, 1, 32), True), ((2, 1, 1, 1), False),
     ((1, 40, 1, 32), False), ((2, 1, 40, 32), False), ((2, 40, 40, 32), False), ((2, 40, 40, 1), False)],
)  # fmt: skip
def test_shapes_of_gates(shape: tuple[int, ...], fused: bool) -> None:
    graph = Graph()
    x, g = (graph.input(name, TensorType(DType.FLOAT32, s)) for name, s in (("x", (2, 40, 40, 32)), ("g", shape)))
    graph.output(gemm(graph, graph.add("Mul", x, graph.add("Sigmoid", g)), 16), "y")
    assert check(graph) == [GATED] * fused


def test_an_image_that_is_broadcast_stays() -> None:
    graph = Graph()
    x, g = (graph.input(name, TensorType(DType.FLOAT32, s)) for name, s in (("x", (1, 40, 40, 32)), ("g", (2, 1, 1, 32))))
    graph.output(gemm(graph, graph.add("Mul", x, graph.add("Sigmoid", g)), 24), "y")
    assert check(graph) == []


@pytest.mark.parametrize(
    ("op", "axes"), [("ReduceMean", [1]), ("ReduceMean", [2, 3]), ("ReduceMax", [1, 2]), ("ReduceMean", [0, 1, 2])]
)
def test_reductions_of_other_kinds_stay(op: str, axes: list[int], everywhere: None) -> None:
    graph = Graph()
    x = graph.input("x", TensorType(DType.FLOAT32, (2, 30, 30, 32)))
    graph.output(graph.add(op, depthwise(graph, x), graph.constant(np.array(axes))), "y")
    assert check(graph) == []


def test_two_means_and_no_gate(everywhere: None) -> None:
    graph = Graph()
    y = depthwise(graph, graph.input("x", TensorType(DType.FLOAT32, (2, 30, 30, 32))))
    for keep in (0, 1):
        graph.output(graph.add("ReduceMean", y, graph.constant(np.array([1, 2])), keepdims=keep), f"y{keep}")
    assert check(graph) == [SUMMED]
