"""The examples about authoring run and say what they promise."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def test_the_streaming_gru_keeps_its_state(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "streaming_gru.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Model(serving_default(frame: float32[1, 8]) -> (output_0: float32[1, 3]))"
    assert lines[2].endswith("from the state that was kept: True")
    assert float(lines[3].rpartition(" ")[2]) < 1e-5


def test_keyword_spotting_hears_what_was_never_heard(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "keyword_spotting.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert any("every step has a kernel" in line for line in lines)
    heard = next(line for line in lines if line.startswith("new sounds"))
    assert int(heard.rpartition(" ")[2].removesuffix("%")) >= 95
    assert float(lines[-1].rpartition(" ")[2]) < 1e-4
