"""bench instructions: what is counted on a board is a model's own, and the same each time."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.instructions import Emulated, step_table, table
from bench.models import find
from bench.peers import OURS

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.boards


def test_counts_repeat_and_steps_sum_to_them(board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RT_BENCH", str(tmp_path / "cache"))
    emulated, model = Emulated(board, tmp_path), find("dscnn")
    counts = [emulated.count(model, peers=[]) for _ in range(2)]
    first, second = (count.instructions[OURS] for count in counts)
    assert first == pytest.approx(second, rel=0.002)
    assert 0.5 < counts[0].macs / first < 4, "a multiply instruction has four lanes"
    assert not counts[0].failures
    steps = emulated.steps(model)
    assert sum(step.step.macs for step in steps) == counts[0].macs
    assert sum(step.instructions for step in steps) == pytest.approx(first, rel=0.05)
    assert f"| dscnn | {board} | {first / 1e6:.3g} | - | - |" in table(counts[:1])
    assert len(step_table(steps, top=3).splitlines()) == 5


def test_a_model_that_a_board_cannot_run_is_told(board: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RT_BENCH", str(tmp_path / "cache"))
    monkeypatch.setattr("exporter.export", lambda source, bundle, **given: (bundle.write_bytes(b"x"), _Report())[1])
    count = Emulated(board, tmp_path).count(find("mlp"), peers=[])
    assert "BundleMagicError: " in count.failures[OURS]
    assert "Not counted:" in table([count])


class _Report:
    macs = 1
