"""What the bench tells of threads."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("numba")

from bench import freedom
from bench.__main__ import main
from bench.freedom import Freedom


def test_parts_tells_what_sharing_out_costs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EDGE_RT_BENCH", str(tmp_path))
    assert main(["parts", "vww", "--rounds", "2", "--top", "3"]) == 0
    head, _, *rows = capsys.readouterr().out.splitlines()
    found = re.fullmatch(r"vww: (\d+) us a run; ([\d.]+) of that in parts on one thread; ([\d.]+) times as .*", head)
    assert found is not None
    assert all(float(number) > 0 for number in found.groups())
    assert len(rows) == 2 + 3
    assert all(re.search(r"\| (\d+\+)*\d+ \| float32.* \| [\d.]+ \| [\d.]+ \|$", row) for row in rows[2:])


def test_a_machine_is_as_free_as_its_slowest_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freedom, "BEST_S", 0.001)
    found = Freedom(1)
    assert 0 < found.now() < 3
    found._pools *= 2
    rates = [0.9, 0.4]
    found._loops = [SimpleNamespace(gflops=lambda rate=rate: rate * found.best) for rate in rates]
    assert found.now() == pytest.approx(0.4)
    monkeypatch.setattr(freedom, "PATIENCE_S", 0.01)
    assert found.wait() == pytest.approx(0.4)
