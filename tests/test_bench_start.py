"""`python -m bench start`: what it starts, and that its columns are told apart."""

from __future__ import annotations

import pytest

from bench.__main__ import main
from bench.peers import OURS
from bench.start import APP, FIRST


def test_start_begins_processes_of_each_runtime(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["start", "--models", "dscnn", "--peers", "onnxruntime", "--rounds", "1"]) == 0
    rows = [row.split(" | ") for row in capsys.readouterr().out.splitlines()[2:]]
    assert [row[1] for row in rows] == ["numpy + msgpack", FIRST, OURS, APP, "onnxruntime"]
    for row in rows:
        whole, own, pages = float(row[2].partition(" ")[0]), float(row[3]), float(row[4].strip(" |"))
        assert whole > own > 0
        assert pages > 1
