"""Specialised kernels give the bits of those for all sizes, are cached, and say what they cost."""

from __future__ import annotations

import importlib.util
import json
import pickle
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import edge_rt
from edge_rt import bundle, native
from edge_rt.cli import main
from edge_rt.codegen import cases as compiler
from edge_rt.errors import ModelError, TargetError
from edge_rt.graph import Graph
from edge_rt.jit import Case, JitReport, case_of, jit_library
from edge_rt.jit import library as jit_module
from edge_rt.lowering._spec import In, Out
from edge_rt.lowering.gemm import gemm_call
from edge_rt.native.image import CODE_OFFSET, read_header, write_image
from edge_rt.ops.edge_elementwise import INSTRUCTIONS
from edge_rt.plan import Plan
from edge_rt.runner import Runner
from edge_rt.targets import TARGETS
from edge_rt.types import TensorType
from tests.bundles import small
from tests.cases import all_cases
from tests.cases._case import normal
from tests.runtimes import graph_of

Array = np.ndarray[Any, Any]
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


def assert_same_bits(a: Array, b: Array, where: str = "") -> None:
    """NaN counts as NaN, whatever its payload."""
    assert (a.dtype, a.shape) == (b.dtype, b.shape), where
    if a.dtype.kind != "f":
        np.testing.assert_array_equal(a, b, where)
        return
    np.testing.assert_array_equal(np.isnan(a), np.isnan(b), where)
    bits = f"u{a.dtype.itemsize}"
    np.testing.assert_array_equal(np.where(np.isnan(a), 0, a).view(bits), np.where(np.isnan(b), 0, b).view(bits), where)


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


def program_graph(program: Sequence[str], inputs: Sequence[Array]) -> Graph:
    """One edge.Elementwise. Inputs of rank 0 are constants."""
    graph = Graph("program")
    values = [
        graph.input(f"x{i}", TensorType.of(x)) if x.ndim else graph.constant(x, f"c{i}") for i, x in enumerate(inputs)
    ]
    graph.output(graph.add("edge.Elementwise", *values, program=tuple(program)), "y")
    return graph


def run_program(program: Sequence[str], inputs: Sequence[Array], threads: int = 1) -> None:
    run_both(program_graph(program, inputs), [x for x in inputs if x.ndim], threads)


def case_of_program(program: Sequence[str], inputs: Sequence[Array]) -> Case:
    runner = Runner(Plan(program_graph(program, inputs)), native.library(), None)
    (step,) = runner.instance_for(inputs)[0].binding.steps
    assert step.calls is not None
    found = case_of(step.calls[0])
    assert found is not None
    return found


# ---- the same bits ---------------------------------------------------------------------------------------------------


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


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("jit") / "network.edge"
    path.write_bytes(bundle.to_bytes(network()))
    return path


def test_a_model(model: Path) -> None:
    inputs = {"x": normal(3, 20, seed=5)}
    usual, special = edge_rt.load(model), edge_rt.load(model, jit=True)
    assert usual.jit is None
    for session in (special, special.session()):
        assert_same_bits(usual.run(inputs)["y"], session.run(inputs)["y"])
    assert special.jit is not None
    assert (special.jit.calls, special.jit.kernels) == (6, 3)
    again = pickle.loads(pickle.dumps(special))
    assert_same_bits(usual.run(inputs)["y"], again.run(inputs)["y"])
    assert again.jit.compiled == 0
    assert "3 calls of 3 specialised kernels; 0 compiled" in repr(again.jit)
    bound = special.bind()
    bound.inputs["x"][...] = inputs["x"]
    bound.run()
    assert_same_bits(usual.run(inputs)["y"], bound.outputs["y"])


def test_a_small_bundle_of_several_nodes() -> None:
    data = bundle.to_bytes(small())
    usual, special = edge_rt.load(data), edge_rt.load(data, jit=True)
    random = np.random.default_rng(0)
    sizes = {i.name: [d if isinstance(d, int) else 2 for d in i.shape or ()] for i in usual.inputs}
    inputs = {i.name: random.standard_normal(sizes[i.name]).astype(i.dtype) for i in usual.inputs}
    made = special.run(inputs)
    for name, array in usual.run(inputs).items():
        assert_same_bits(array, made[name])


# ---- bounds, errors, reports -----------------------------------------------------------------------------------------


def test_the_number_of_kernels_is_limited(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit_module, "MAX_CASES", 2)
    special = edge_rt.load(model, jit=True)
    made = special.run({"x": normal(3, 20)})
    assert_same_bits(edge_rt.load(model).run({"x": normal(3, 20)})["y"], made["y"])
    assert special.jit is not None
    assert (special.jit.kernels, special.jit.left_out) == (2, 1)
    assert "1 calls beyond the limit of 2 kernels" in repr(special.jit)


def test_without_numba_the_error_says_what_to_install(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native.library()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TargetError, match=r"numba is not installed: pip install 'edge-rt\[jit\]'"):
        edge_rt.load(model, jit=True)
    monkeypatch.setattr(jit_module, "FOLDER", "/nowhere")
    with pytest.raises(TargetError, match="lacks the sources of the kernels"):
        edge_rt.load(model, jit=True)


def test_the_reference_backend_has_nothing_to_compile(model: Path) -> None:
    with pytest.raises(ModelError, match="backend 'reference'"):
        edge_rt.load(model, jit=True, backend="reference")


def test_the_command_line(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(model), "--jit", "--runs", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jit"]["kernels"] == 3
    assert main(["bench", str(model), "--jit", "--runs", "1"]) == 0
    assert "3 calls of 3 specialised kernels" in capsys.readouterr().out


def test_code_for_other_machines_compiles() -> None:
    case = case_of_program(["Mul 0 1", "Sigmoid 2"], [normal(6, 20), normal(20)])
    for name in ("armv8-a", "x86-64-v3"):
        header = read_header(compiler.build_cases(TARGETS[name], [case], "sources"), name)
        assert (header.target, list(header.symbols), header.sources) == (name, [case.name], "sources")


# ---- the cache -------------------------------------------------------------------------------------------------------

DAMAGE = {
    "cut": lambda data: data[:-1],
    "flipped": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "empty": lambda data: b"",
    "foreign": lambda data: _with_header(data, sources="other"),
    "another kernel": lambda data: _with_header(data, symbols={"other": 0}),
}


def _with_header(data: bytes, **changes: Any) -> bytes:
    header = read_header(data, "image")
    fields = {"target": header.target, "requires": header.requires, "symbols": header.symbols, "sources": header.sources}
    return write_image(code=data[CODE_OFFSET:], producer=header.producer, **{**fields, **changes})


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_images_are_rebuilt(
    kind: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []
    build = compiler.build_cases

    def counted(*args: Any) -> bytes:
        built.append(1)
        with pytest.MonkeyPatch.context() as patch:  # its objects are in the usual cache
            patch.delenv("EDGE_RT_CACHE")
            return build(*args)

    inputs, usual = {"x": normal(3, 20)}, edge_rt.load(model)
    wanted = usual.run(inputs)["y"]
    monkeypatch.setattr(compiler, "build_cases", counted)
    monkeypatch.setenv("EDGE_RT_CACHE", str(tmp_path))
    for _ in range(2):
        assert_same_bits(edge_rt.load(model, jit=True).run(inputs)["y"], wanted)
    assert len(built) == 1
    (path,) = tmp_path.rglob("*.image")
    good = path.read_bytes()
    path.write_bytes(DAMAGE[kind](good))
    assert_same_bits(edge_rt.load(model, jit=True).run(inputs)["y"], wanted)
    assert path.read_bytes() == good
    assert len(built) == 2


def test_damaged_objects_and_pieces_are_made_again(model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    case, target = case_of_program(["Relu 0"], [normal(40)]), TARGETS[native.library().target]
    monkeypatch.setenv("EDGE_RT_CACHE", str(tmp_path))
    good = compiler.case_object(case, target)
    for path in (*tmp_path.rglob("*.o"), *tmp_path.rglob("*.pieces")):
        path.write_bytes(path.read_bytes()[:-1])
    assert compiler.case_object(case, target) == good


def test_what_is_cached_needs_no_compiler(model: Path) -> None:
    edge_rt.load(model, jit=True).run({"x": normal(3, 20)})
    script = f"""
import sys, numpy, edge_rt
model = edge_rt.load({str(model)!r}, jit=True)
model.run({{"x": numpy.ones((3, 20), numpy.float32)}})
print(model.jit.compiled, "numba" in sys.modules, "edge_rt.codegen" in sys.modules)
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["0", "False", "False"]


def test_processes_that_start_together_compile_once(model: Path, tmp_path: Path) -> None:
    """Each of 3 processes finds an empty cache of images; one compiles, and all run what it made."""
    script = f"""
import os, time
from pathlib import Path
import numpy
import edge_rt
from edge_rt.codegen import cases
from edge_rt.jit import library
build = cases.build_cases
def counted(*args):
    Path({str(tmp_path)!r}, f"compiled-{{os.getpid()}}").touch()
    time.sleep(0.5)
    return build(*args)
cases.build_cases = counted
library.cache_folder = lambda: Path({str(tmp_path)!r})
edge_rt.load({str(model)!r}, jit=True).run({{"x": numpy.ones((3, 20), numpy.float32)}})
"""
    edge_rt.load(model, jit=True).run({"x": normal(3, 20)})
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
    assert [p.wait() for p in processes] == [0] * 3
    assert len(list(tmp_path.glob("compiled-*"))) == 1


def test_cases_tell_calls_apart() -> None:
    calls = [gemm_call(In(0), In(1), Out(0), m=1, n=n, k=8, batches=[[0, 0, 0, 0]]) for n in (8, 9)]
    names = [found.name for found in map(case_of, calls) if found is not None]
    assert len(set(names)) == 2
    first = case_of(calls[0])
    assert first is not None
    assert Case(*first.fields).name == first.name
