"""Steps that are done together by bands of rows: which they are, and that results have the bits of each done alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_rt import bands, native
from edge_rt.bands import Group
from edge_rt.bundle import Bundle, write
from edge_rt.graph import Graph, Value
from edge_rt.jit.library import jit_library
from edge_rt.lowering._spec import Calls
from edge_rt.model import load
from edge_rt.native.host import AnyLibrary
from edge_rt.ops._panels import pack_panels
from edge_rt.plan import Plan
from edge_rt.profiler import profile
from edge_rt.runner import Runner
from edge_rt.types import DType, TensorType
from tests.cases._case import normal
from tests.panels import pack_conv

Array = np.ndarray[Any, Any]


class Layer(NamedTuple):
    """kind: of KINDS; n: channels of what is not depthwise. half: whether weights are float16."""

    kind: str
    n: int = 16
    kernel: int = 3
    stride: int = 1
    pads: tuple[int, int, int, int] = (1, 1, 1, 1)
    dilation: int = 1
    activation: str = ""
    residual: bool = False
    half: bool = False


DEEP, POINT, WIDE = Layer("depthwise"), Layer("gemm", 24), Layer("conv", 12, stride=2)


def add(graph: Graph, x: Value, layer: Layer) -> Value:
    """The layer behind x [n, h, w, c]; a residual is an input of the graph."""
    shape = x.type.static_shape
    seed = len(graph.nodes) + 1
    attrs: dict[str, Any] = {"lo": -0.5, "activation": layer.activation}
    if layer.kind == "gemm":
        weights = pack_panels(normal(shape[3], layer.n, seed=seed, scale=0.3))
        attrs["n"] = layer.n
    else:
        attrs.update(
            kernel=(layer.kernel,) * 2, strides=(layer.stride,) * 2, pads=layer.pads, dilations=(layer.dilation,) * 2
        )
        weights = normal(layer.kernel, layer.kernel, shape[3], seed=seed, scale=0.4)
        if layer.kind == "conv":
            weights = pack_conv(normal(layer.n, shape[3], layer.kernel, layer.kernel, seed=seed, scale=0.2))
            attrs["n"] = layer.n
    op = {"gemm": "edge.Gemm", "conv": "edge.Conv", "depthwise": "edge.DepthwiseConv"}[layer.kind]
    half = layer.half and layer.kind != "depthwise"
    inputs = [x, graph.constant(weights.astype(np.float16) if half else weights)]
    inputs.append(graph.constant(normal(shape[3] if layer.kind == "depthwise" else layer.n, seed=seed + 50)))
    if layer.residual:
        inputs.append(graph.input(f"r{seed}", graph_type(op, inputs, attrs)))
    return graph.add(op, *inputs, **attrs)


def graph_type(op: str, inputs: Sequence[Value], attrs: dict[str, Any]) -> TensorType:
    """Of the output that an operator would have."""
    other = Graph()
    given = [other.input(f"x{i}", v.type) if v.data is None else other.constant(v.data) for i, v in enumerate(inputs)]
    return other.add(op, *given, **attrs).type


def chain(shape: tuple[int, ...], layers: Sequence[Layer], kept: Sequence[int] = ()) -> Graph:
    """One layer after the other. kept: those whose outputs are outputs of the graph, besides the last."""
    graph = Graph()
    x = graph.input("x", TensorType(DType.FLOAT32, shape))
    for i, layer in enumerate(layers):
        x = add(graph, x, layer)
        if i in kept:
            graph.output(x, f"y{i}")
    graph.output(x, "y")
    return graph


@contextmanager
def limits(**values: Any) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setattr(bands, name, value)
        yield


def groups_of(runner: Runner) -> list[Group]:
    assert runner.whole is not None
    found: dict[int, Group] = {}
    for step in runner.whole.binding.steps:
        if step.group is not None:
            found.setdefault(step.group.first, step.group)
    return list(found.values())


def run(graph: Graph, library: AnyLibrary, threads: int, times: int = 3) -> tuple[list[Array], Runner]:
    """Outputs of the last of some runs, of which the later ones may be shared with other threads."""
    arrays = [normal(*v.type.static_shape, seed=i + 7) for i, v in enumerate(graph.inputs)]
    runner = Runner(Plan(graph), library, native.team(native.library(), threads))
    made = [runner.run(arrays) for _ in range(times)]
    for again in made[1:]:
        for a, b in zip(made[0], again):
            np.testing.assert_array_equal(a, b)
    return made[-1], runner


def check(graph: Graph, threads: Sequence[int] = (1, 3), **values: Any) -> list[Group]:
    """Asserts that results have the same bits by bands and without; the groups there are."""
    with limits(FAR=1 << 60):
        expected, runner = run(graph, native.library(), 1, 1)
        assert not groups_of(runner)
    found: list[Group] = []
    for count in threads:
        with limits(**{"FAR": 1, "NEAR": 1 << 30, "MOST_WORK": 1 << 30, "LEAST_ROWS": 1, **values}):
            made, runner = run(graph, native.library(), count)
        for a, b in zip(expected, made):
            np.testing.assert_array_equal(a, b)
        found = groups_of(runner)
        check_rings(found)
    return found


def spans(groups: Sequence[Group]) -> list[tuple[int, int]]:
    return [(group.first, group.end) for group in groups]


# ---- the same bits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 4, 7])
@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ((1, 40, 17, 16), [DEEP, DEEP]),
        ((1, 33, 20, 20), [POINT, DEEP._replace(stride=2), POINT._replace(residual=True)]),
        ((1, 64, 40, 3), [WIDE, DEEP, POINT, DEEP._replace(stride=2, kernel=5, pads=(2, 2, 2, 2))]),
        ((1, 30, 130, 8), [POINT, DEEP._replace(dilation=3, pads=(3, 3, 3, 3)), DEEP._replace(pads=(0, 0, 0, 0))]),
        ((1, 26, 26, 8), [POINT._replace(activation="HardSwish"), DEEP._replace(kernel=4, stride=3, pads=(3, 0, 0, 3))]),
        ((1, 40, 12, 8), [DEEP._replace(residual=True), POINT._replace(half=True), DEEP._replace(activation="Sigmoid")]),
        ((1, 50, 10, 16), [POINT, DEEP._replace(kernel=1, stride=2, pads=(0, 0, 0, 0)), POINT, POINT]),
    ],
)
def test_bits(shape: tuple[int, ...], layers: list[Layer], rows: int) -> None:
    for parts in ((1,), (1, 2, 4), (1, 8)):
        found = check(chain(shape, layers), BANDS=(rows,), PARTS=parts, DEPTHWISE_ROWS=(rows, 1))
        assert spans(found) == [(0, len(layers))]
        assert found[0].calls[-1].parts in parts


@st.composite
def chains(draw: Any) -> Graph:
    """Two to six layers over images of any height."""
    shape = 1, draw(st.integers(5, 60)), draw(st.integers(4, 40)), draw(st.integers(3, 40))
    graph = Graph()
    x = graph.input("x", TensorType(DType.FLOAT32, shape))
    for i in range(draw(st.integers(2, 6))):
        kinds = ["gemm", "depthwise"] + ["conv"] * (i == 0)
        kernel = draw(st.integers(1, 5))
        pads = tuple(draw(st.integers(0, kernel - 1)) for _ in range(4))
        layer = Layer(
            draw(st.sampled_from(kinds)), draw(st.integers(1, 70)), kernel, draw(st.integers(1, 3)), (*pads[:2], *pads[2:]),
            draw(st.integers(1, 2)), draw(st.sampled_from(["", "Sigmoid"])), draw(st.booleans()), draw(st.booleans()),
        )  # fmt: skip
        _, h, w, _ = x.type.static_shape
        if layer.kind == "gemm" or min(h, w) > (kernel - 1) * layer.dilation:
            x = add(graph, x, layer)
    graph.output(x, "y")
    return graph


@settings(max_examples=80, deadline=None)
@given(chains(), st.sampled_from([1, 2, 3, 5]), st.sampled_from([1, 4]), st.sampled_from([1 << 12, 1 << 15, 1 << 30]))
def test_bits_of_any_chain(graph: Graph, rows: int, unit: int, near: int) -> None:
    check(graph, (1, 2), BANDS=(rows, 1), NEAR=near, DEPTHWISE_ROWS=(unit, rows))


def test_bits_of_kernels_for_one_model() -> None:
    layers = [WIDE._replace(n=32), DEEP, POINT._replace(n=64), DEEP._replace(stride=2), POINT._replace(n=64)]
    graph = chain((1, 96, 64, 3), layers)
    with limits(FAR=1 << 60):
        expected, _ = run(graph, native.library(), 1)
    library = jit_library(native.library())
    for threads in (1, 2):
        with limits(FAR=1):
            made, runner = run(graph, library, threads)
        np.testing.assert_array_equal(made[0], expected[0])
        assert spans(groups_of(runner)) == [(0, 5)]
    assert library.report.calls == 10


def rows_held(group: Group, part: int, parts: int) -> list[int]:
    """The rows of each output but the last that a part holds at most: what the kernel does."""
    calls, _, band, *_ = group.calls[-1].args
    assert isinstance(calls, Calls)
    assert isinstance(band, int)
    members = [dict(zip(("rows", "unit", "stride", "reach", "pad"), numbers[1:6])) for _, _, numbers in calls.rows]

    def up(rows: int, m: dict[str, int]) -> int:
        return min(-(-rows // m["unit"]) * m["unit"], m["rows"])

    last = members[-1]
    units = -(-last["rows"] // last["unit"])
    row, end = units * part // parts * last["unit"], up(units * (part + 1) // parts * last["unit"], last)
    made = [0] * len(members)
    for i, m in reversed(list(enumerate(members))):
        made[i] = row // m["unit"] * m["unit"]
        row = max(0, made[i] * m["stride"] - m["pad"])
    most = [0] * (len(members) - 1)
    while made[-1] < end:
        wanted, row = made[:], min(made[-1] + band, end)
        for i, m in reversed(list(enumerate(members))):
            wanted[i] = max(made[i], up(row, m))
            row = (wanted[i] - 1) * m["stride"] + m["reach"] - m["pad"]
        for i, m in enumerate(members[1:]):
            needed = min(made[i], max(0, made[i + 1] * m["stride"] - m["pad"]))
            most[i] = max(most[i], wanted[i] - needed)
        made = wanted
    return most


def check_rings(groups: Sequence[Group]) -> None:
    """Asserts that rings are large enough, alone and shared."""
    for group in groups:
        (calls, *_), parts = group.calls[-1].args, group.calls[-1].parts
        assert isinstance(calls, Calls)
        rings = [numbers[-2] for _, _, numbers in calls.rows[:-1]]
        for part, count in [(0, 1), *((part, parts) for part in range(parts))]:
            assert all(n <= ring for n, ring in zip(rows_held(group, part, count), rings)), (rings, part, count)


# ---- which steps -----------------------------------------------------------------------------------------------------


def plan(graph: Graph) -> list[tuple[int, int]]:
    runner = Runner(Plan(graph), native.library(), None)
    binding = runner.binding_for([v.type for v in graph.inputs], {})
    return sorted({(step.group.first, step.group.end) for step in binding.steps if step.group is not None})


LARGE = 1, 96, 96, 32
"""An image of more than 1 MiB."""


def test_steps_with_much_between_them() -> None:
    deep = [Layer("gemm", 32), DEEP]
    assert plan(chain(LARGE, deep)) == [(0, 2)]
    assert plan(chain((1, 48, 48, 32), deep)) == []
    assert plan(chain(LARGE, [*deep, Layer("gemm", 32)])) == [(0, 3)]
    assert plan(chain(LARGE, [*deep, Layer("gemm", 8), Layer("gemm", 32), DEEP])) == [(0, 3), (3, 5)]
    assert plan(chain(LARGE, [Layer("gemm", 32), Layer("gemm", 32)])) == []
    assert plan(chain(LARGE, [DEEP, Layer("gemm", 32)])) == []  # it does not look at rows more than once
    assert plan(chain((2, *LARGE[1:]), deep)) == []  # two images


def test_what_others_read_is_there_as_a_whole() -> None:
    assert plan(chain(LARGE, [*[Layer("gemm", 32), DEEP] * 2], kept=[0])) == [(1, 4)]
    graph = Graph()
    x = graph.input("x", TensorType(DType.FLOAT32, LARGE))
    made = add(graph, x, Layer("gemm", 32))
    graph.output(graph.add("Add", add(graph, made, DEEP), made), "y")
    assert plan(graph) == []


def test_weights_that_do_not_stay_near() -> None:
    with limits(MOST_WORK=1 << 30):
        assert plan(chain((1, 96, 96, 256), [Layer("gemm", 240), DEEP])) == [(0, 2)]
        assert plan(chain((1, 96, 96, 256), [Layer("gemm", 256), DEEP])) == []


def test_products_that_take_longer_than_memory() -> None:
    assert plan(chain((1, 96, 96, 48), [Layer("gemm", 64), DEEP])) == [(0, 2)]
    assert plan(chain((1, 96, 96, 56), [Layer("gemm", 64), DEEP])) == []


def test_rings_that_would_be_too_large_are_cut() -> None:
    layers = [Layer("gemm", 32), DEEP, Layer("gemm", 64), DEEP]
    graph = chain(LARGE, layers)
    assert plan(graph) == [(0, 4)]
    with limits(NEAR=100 << 10):
        assert plan(graph) == [(0, 2), (2, 4)]
        check(graph, NEAR=100 << 10)
    with limits(NEAR=10 << 10):
        assert plan(graph) == []


def test_the_arena_holds_rings() -> None:
    graph = chain(LARGE, [Layer("gemm", 96), DEEP, Layer("gemm", 16)])
    types = [v.type for v in graph.inputs]
    small = Runner(Plan(graph), native.library(), None).binding_for(types, {}).arena
    with limits(FAR=1 << 60):
        large = Runner(Plan(graph), native.library(), None).binding_for(types, {}).arena
    between = 4 * 96 * 96 * 96
    assert large > 2 * between
    assert small < between / 2 + 4 * 96 * 96 * 16


def test_each_step_is_in_plan_and_profile(tmp_path: Path) -> None:
    layers = [Layer("gemm", 96), DEEP, Layer("gemm", 16)]
    write(Bundle(signatures={"main": chain(LARGE, layers)}), tmp_path / "m.edge")
    for threads in (1, 2):
        with load(tmp_path / "m.edge", threads=threads) as model:
            kernels = [step.kernels for step in model.plan().steps]
            assert kernels == [("run_bands", kernel) for kernel in ("gemm_f32", "depthwise_f32", "gemm_f32")]
            found = profile(model, {"x": normal(*LARGE)}, runs=2)
            assert [s.step.op for s in found.steps] == ["edge.Gemm", "edge.DepthwiseConv", "edge.Gemm"]
            assert all(len(s.times) == 2 and s.median > 0 for s in found.steps)
