"""The benchmark measures, checks, records and reports; its figures are nobody's concern here."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from bench.__main__ import main
from bench.models import BenchModel, find
from bench.peers import OURS, backend
from bench.results import Record
from bench.runner import Effort, measure
from bench.statistics import geometric_mean, summary, turn_ratio
from edge_rt.errors import VerificationError

pytest.importorskip("onnxruntime")

FEW = ("--rounds", "2", "--turn-ms", "1")


def test_run_records_what_report_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "figures.json"
    assert main(["run", "--models", "digits", "mlp", "--peers", "onnxruntime", "--json", str(path), *FEW]) == 0
    printed = capsys.readouterr().out
    record = Record.read(path)
    assert [(r.model, r.threads) for r in record.results] == [("digits", 1), ("mlp", 1)]
    for result in record.results:
        assert [t.backend for t in result.timings] == [OURS, "onnxruntime"]
        for timing in result.timings:
            assert 0 < timing.us.least <= timing.us.median <= timing.us.p95
            assert min(timing.load_ms, timing.first_ms) > 0
        assert result.ratio == result.ratios["onnxruntime"] > 0
        assert result.difference < 1e-3
    assert main(["report", str(path)]) == 0
    assert capsys.readouterr().out == printed
    assert f"| digits | {record.results[0].ratio:.2f} | onnxruntime |" in printed


def test_a_model_that_cannot_be_measured_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model")
    monkeypatch.setattr("bench.models.DIGITS", broken)
    assert main(["run", "--models", "digits", "mlp", *FEW]) == 1
    printed = capsys.readouterr().out
    assert "- digits: ImporterError: " in printed
    assert "| mlp |" in printed


def test_outputs_must_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = find("mlp", tmp_path)
    engine = backend("onnxruntime").open_model(model.files["onnx"], 1)
    right = engine.outputs(model.inputs)["y"]
    monkeypatch.setattr("bench.peers.onnx_runtime.Engine.outputs", lambda self, inputs: {"y": right * np.float32(1.01)})
    with pytest.raises(VerificationError, match="y: largest difference"):
        measure(model, ["onnxruntime"], 1, tmp_path, Effort(1, 1))


def test_layers_prints_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers", "digits", "--runs", "2"]) == 0
    first, _, head, _, *rows = capsys.readouterr().out.splitlines()
    assert head == "| step | kernels | output | us | % of time | GFLOP/s | % of peak |"
    assert f" us in {len(rows)} steps" in first
    assert any("gemm_f32" in row for row in rows)


def test_models_have_names(tmp_path: Path) -> None:
    model = find("mlp.onnx", tmp_path)
    assert isinstance(model, BenchModel)
    assert model.inputs["x"].shape == (1, 16)
    with pytest.raises(ValueError, match=r"no model is named 'lenet', there are digits, mlp, "):
        find("lenet", tmp_path)


def test_statistics() -> None:
    assert summary([[1.0, 3.0], [2.0]])[::2] == (2.0, 1.0)
    # the machine is slower in the second round, for both
    assert turn_ratio([[20.0], [200.0], [20.0]], [[10.0], [100.0], [5.0]]) == 2.0
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert math.isnan(geometric_mean([]))
