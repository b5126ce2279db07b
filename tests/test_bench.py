"""The benchmark measures, checks, records and reports; its figures are nobody's concern here."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest

import exporter
from bench.__main__ import main
from bench.apart import ROOT, Apart, write_inputs
from bench.compare import unpack_commit
from bench.convert.models import Unconvertible
from bench.errors import Refused
from bench.layers import traffic
from bench.memory import measure_memory
from bench.models import BenchModel, convert, find
from bench.peers import JIT, OURS, PEERS, PeerError, backend
from bench.plot import svg
from bench.report import markdown
from bench.results import Record
from bench.runner import Result, Timing, _named, check_outputs, measure
from bench.statistics import Ratio, Summary, geometric_mean, median_ratio, summary
from bench.turns import Effort
from bench.zoo import ZOO
from bench.zoo.network import Tensor, samples
from bench.zoo.onnx_writer import OnnxNetwork
from edge_rt.errors import VerificationError
from edge_rt.printing import PlanStep

pytest.importorskip("onnxruntime")

FEW = ("--pairs", "1", "--turn-ms", "1", "--seconds", "0.5", "--no-memory")


@pytest.fixture(autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RT_BENCH", str(tmp_path_factory.getbasetemp() / "bench"))


def test_run_records_what_report_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.json"
    few = ("--peers", "onnxruntime", "--threads", "1,2", "--json", str(path), *FEW)
    assert main(["run", "--models", "digits", "mlp", *few]) == 0
    printed = capsys.readouterr().out
    record = Record.read(path)
    assert [(r.model, r.threads) for r in record.results] == [("digits", 1), ("digits", 2), ("mlp", 1), ("mlp", 2)]
    for result in record.results:
        assert [t.backend for t in result.timings] == [OURS, "onnxruntime"]
        for timing in result.timings:
            assert 0 < timing.us.least <= timing.us.median <= timing.us.p95
            assert min(timing.load_ms, timing.first_ms) > 0
        assert result.ratio == result.ratios["onnxruntime"]
        assert 0 < result.ratio.low <= result.ratio.value <= result.ratio.high
        assert 0 <= result.quiet <= 1
        assert result.difference < 1e-3
    assert main(["report", str(path)]) == 0
    assert capsys.readouterr().out == printed
    ratio = record.results[0].ratio
    assert f"| digits | {ratio.value:.2f} ±{ratio.spread * ratio.value:.2f} | onnxruntime |" in printed


def test_kernels_compiled_for_the_model_take_turns_with_the_others(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    assert main(["run", "--models", "mlp", "--peers", JIT, "--json", str(path), *FEW]) == 0
    [result] = Record.read(path).results
    assert [t.backend for t in result.timings] == [OURS, JIT]
    assert result.difference == 0


def test_runtimes_take_turns_in_processes_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--rounds", "2", "--turn-ms", "5", "--idle-s", "0.1")
    assert main(["burn", "--models", "digits", "--peers", "onnxruntime", *few]) == 0
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert [row[:2] for row in rows[2:]] == [["digits", OURS], ["digits", "onnxruntime"]]
    for row in rows[2:]:
        assert len(row) == len(rows[0])
        assert min(float(us) for us in row[2:4]) > 0
        assert all(float(cell.partition("x ±")[0]) > 0 for cell in row[4:6])


def test_this_state_is_compared_with_another_one(capsys: pytest.CaptureFixture[str]) -> None:
    few = ("--models", "digits", "--turn-ms", "5", "--seconds", "0.5")
    assert main(["compare", str(ROOT), *few]) == 0
    said = re.fullmatch(r"digits: (\S+) \[(\S+) (\S+)\] times as fast as .+\n", capsys.readouterr().out)
    assert said is not None
    ratio, low, high = map(float, said.groups())
    assert 0 < low <= ratio <= high


def test_the_files_of_a_commit_are_unpacked(tmp_path: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no repository")
    assert (unpack_commit("HEAD", tmp_path) / "bench" / "apart.py").is_file()
    with pytest.raises(Refused, match="no commit 'nowhere'"):
        unpack_commit("nowhere", tmp_path)


def test_a_runtime_that_ends_says_why(tmp_path: Path) -> None:
    inputs = write_inputs(tmp_path / "inputs.npz", {"x": np.zeros(1, np.float32)})
    with pytest.raises(PeerError, match=r"missing\.edge"):
        Apart(OURS, tmp_path / "missing.edge", inputs, 2)


def test_a_model_that_cannot_be_measured_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    assert main(["run", "--models", str(broken), "mlp", "--peers", "onnxruntime", *FEW]) == 1
    printed = capsys.readouterr().out
    assert f"- {broken}, 1 threads: ImporterError: " in printed
    assert "| mlp |" in printed


def test_quantised_outputs_may_differ_as_much_as_quantising_changes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    model = find("ad-int8")
    assert model.plain == find("ad").files["onnx"]
    right = backend("onnxruntime").open_model(model.files["onnx"], 1)
    expected = right.outputs(model.inputs)["output"]

    def check(factor: float) -> float:
        other = SimpleNamespace(outputs=lambda inputs: {"output": expected * np.float32(factor)})
        return check_outputs({"onnxruntime": right, OURS: other}, model)[0]

    assert check(1.2) == pytest.approx(0.2, rel=1e-3)
    with pytest.raises(VerificationError, match=r"output: differs by 0.3 of its norm, allowed are 0.25"):
        check(1.3)
    plain = SimpleNamespace(outputs=lambda inputs: {"output": expected * np.float32(1.4)})
    monkeypatch.setattr("bench.runner.backend", lambda name: SimpleNamespace(open_model=lambda path, threads: plain))
    assert check(1.3) == pytest.approx(0.3, rel=1e-3)


def test_outputs_must_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = find("mlp")
    engine = backend("onnxruntime").open_model(model.files["onnx"], 1)
    right = engine.outputs(model.inputs)["output"]
    monkeypatch.setattr("bench.peers.onnx_runtime.Engine.outputs", lambda self, inputs: {"output": right * np.float32(1.01)})
    with pytest.raises(VerificationError, match="output: largest difference"):
        measure(model, ["onnxruntime"], 1, tmp_path, Effort(1, 1, memory=False), lambda name: None)


def test_layers_prints_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers", "digits", "--runs", "2"]) == 0
    first, _, head, _, *rows = capsys.readouterr().out.splitlines()
    assert head == "| step | kernels | output | us | % of time | GFLOP/s | % of peak | GB/s | % of memory's |"
    assert f" us the sum of {len(rows)} steps, each called alone;" in first
    assert any("gemm_f32" in row for row in rows)


def test_traffic_is_inputs_and_outputs_once() -> None:
    types = {"inputs": ("float32[1, 8, 4]", "int8[16]", "-"), "outputs": ("float32[]",)}
    step = PlanStep("n", "Op", ("kernel",), offset=0, parts=(1,), flops=0, macs=0, **types)
    assert traffic(step) == 8 * 4 * 4 + 16 + 4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["layers", "lenet"], "error: no model is named 'lenet', there are digits, mlp, "),
        (["burn", "--models", "lenet"], "error: no model is named 'lenet'"),
        (["compare", "nowhere", "--models", "digits"], "error: no commit 'nowhere': "),
    ],
)
def test_what_is_not_there_is_named(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith(said)


def test_outputs_without_names_are_matched_by_shape() -> None:
    a, b, c = np.zeros((1, 2)), np.ones((1, 3)), np.full((1, 2), 2.0)
    assert _named({"x": a, "y": b, "z": c}, {"0": b, "1": a, "2": c}) == {"x": a, "y": b, "z": c}
    with pytest.raises(VerificationError, match=r"outputs have the shapes \[1, 3\]"):
        _named({"x": a}, {"0": b})


def test_models_have_names() -> None:
    model = find("mlp.onnx")
    assert isinstance(model, BenchModel)
    assert model.inputs["input"].shape == (1, 16)
    assert find("dscnn-int8").is_int8
    with pytest.raises(Refused, match=r"no model is named 'lenet', there are digits, mlp, "):
        find("lenet")


def test_what_a_converter_says_stands_in_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*given: object) -> Path:
        raise Unconvertible("no GRU here")

    monkeypatch.setattr("bench.models.tflite_file", fails)
    monkeypatch.setattr("bench.models.ncnn_file", lambda *given: Path())
    assert convert("mlp") == ["mlp.tflite: no GRU here"]
    monkeypatch.setitem(sys.modules, "bench.peers.litert", SimpleNamespace(FORMAT="tflite"))  # where it is not installed
    pair = ["onnxruntime", "litert"]
    found = measure(find("mlp"), pair, 1, tmp_path, Effort(1, 1, seconds=0.1, memory=False), lambda name: None)
    assert found.absent == {"litert": "no GRU here"}
    record = Record({"cpu": "", "cores": 1, "system": "", "python": "", "numpy": ""}, {}, Effort(), (found,), {})
    assert "- mlp: litert: no GRU here" in markdown(record)
    monkeypatch.setattr("bench.models.tflite_file", lambda *given: Path())
    assert convert("mlp") == []
    assert find("mlp").missing == {}


def test_statistics() -> None:
    assert summary([[1.0, 3.0], [2.0]])[::2] == (2.0, 1.0)
    # the machine is slower in the second round, for both
    assert median_ratio([(10.0, 20.0), (100.0, 200.0), (5.0, 20.0)]) == (2.0, 2.0, 4.0)
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert math.isnan(geometric_mean([]))


def test_a_ratio_lies_between_its_bounds_in_19_of_20_cases() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        found = median_ratio([(1.0, x) for x in rng.lognormal(0, 0.3, 25)])
        hits += found.low <= 1 <= found.high
    assert 930 <= hits <= 990


SMALL = (
    "mlp", "ad", "dscnn", "resnet8", "vww", "gru", "vit", "ad-int8", "dscnn-int8", "resnet8-int8", "vww-int8", "gru-int8",
)  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_outputs_depend_on_inputs_and_are_those_of_onnxruntime(name: str, tmp_path: Path) -> None:
    model = find(name)
    engine = backend("onnxruntime").open_model(model.files["onnx"], 1)
    [(key, array)] = model.inputs.items()
    first, second = (engine.outputs({key: x})["output"] for x in samples(array.shape)[:2])
    assert 0.01 < np.abs(first).max() < 20
    assert np.abs(first - second).max() > 0.01 * np.abs(first).max()
    bundle = tmp_path / "model.edge"
    exporter.export(model.files["onnx"], bundle, inputs=model.inputs, test_vectors=False)
    check_outputs({OURS: backend(OURS).open_model(bundle, 1), "onnxruntime": engine}, model)


def test_all_formats_hold_the_same_weights() -> None:
    """A second writer that is given the weights asks for as many of the same shapes."""
    for describe in ZOO.values():
        first, second = OnnxNetwork(), _Replay()
        describe(first)
        second.left = list(first.drawn)
        describe(second)
        assert not second.left


class _Replay(OnnxNetwork):
    left: list[np.ndarray]

    def numbers(self, shape: tuple[int, ...], mean: float, deviation: float) -> np.ndarray:
        assert self.left[0].shape == shape
        return self.left.pop(0)

    def statistics(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        return self.numbers(x.shape[-1:], 0, 0), self.numbers(x.shape[-1:], 0, 0)


def test_memory_is_measured_in_a_process_of_its_own() -> None:
    model = find("mlp")
    memory = measure_memory("onnxruntime", model.files["onnx"], model.inputs, 1)
    assert 1 < memory.rss <= memory.peak < 500


def test_the_plot_has_a_bar_for_each_model() -> None:
    us = Summary(1.0, 1.0, 1.0)
    timings = tuple(Timing(name, us, 1.0, 1.0, None) for name in (OURS, "peer"))
    ratios = [Ratio(0.5 + i, 0.4 + i, 0.6 + i) for i in range(3)]
    results = tuple(Result(f"m{i}", 1, timings, {"peer": ratio}, 0.0, {}, 1.0) for i, ratio in enumerate(ratios))
    record = Record({}, {OURS: "1", "peer": "2"}, Effort(), results, {})
    drawing = ElementTree.fromstring(svg(record, 1))
    space = "{http://www.w3.org/2000/svg}"
    assert [t.text for t in drawing.iter(f"{space}text")][-6:] == [
        "m0", "0.50 peer", "m1", "1.50 peer", "m2", "2.50 peer",
    ]  # fmt: skip
    with pytest.raises(Refused, match="no results for 2 threads"):
        svg(record, 2)


@pytest.mark.parametrize("peer", list(PEERS))
def test_peers_give_the_same_outputs(peer: str) -> None:
    """Of the peers that are installed; LiteRT and ncnn also need converted models."""
    try:
        module = backend(peer)
    except ModuleNotFoundError:
        pytest.skip(f"{peer} is not installed")
    model = find("mlp")
    if module.FORMAT not in model.files:
        pytest.skip("needs models of `python -m bench zoo`")
    [got] = module.open_model(model.files[module.FORMAT], 1).outputs(model.inputs).values()
    [expected] = backend("onnxruntime").open_model(model.files["onnx"], 1).outputs(model.inputs).values()
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
