"""What the commands write, and what they must not write over."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import exporter
from edge_rt.bundle import read, write
from edge_rt.cli import INTERRUPTED, main
from edge_rt.errors import ImporterError
from exporter.cli import main as export_main
from tests.onnx_models import model as onnx_model

DEMO = Path(__file__).parent.parent / "examples" / "digits.onnx"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("written") / "digits.edge"
    exporter.export(DEMO, path, test_vectors=False)
    return path


def test_the_source_model_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "net.onnx"
    shutil.copy(DEMO, source)
    (tmp_path / "link.edge").symlink_to(source)
    for out in (source, tmp_path / "link.edge"):
        with pytest.raises(ImporterError, match="is the source model itself"):
            exporter.export(source, out)
    assert export_main([str(source), "-o", str(source)]) == 1
    assert "is the source model itself" in capsys.readouterr().err
    assert source.read_bytes() == DEMO.read_bytes()


@pytest.mark.parametrize("kind", ["folder", "pipe", "device"])
def test_only_files_are_replaced(kind: str, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = tmp_path / "out.edge"
    if kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/null")
    before = place.stat()
    with pytest.raises(OSError, match=r"directory|not a regular file"):
        write(read(model), place)
    assert export_main([str(DEMO), "-o", str(place)]) == 1
    assert str(place) in capsys.readouterr().err
    script = tmp_path / "app.py"
    script.write_text("print()")
    assert main(["package", str(model), str(script), "-o", str(place), "--target", "armv8-a"]) == 1
    assert (place.stat().st_ino, place.stat().st_mode) == (before.st_ino, before.st_mode)


def test_outputs_are_whole_or_absent(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert main(["run", str(model), "--output", str(tmp_path / "o")]) == 1
    assert list((tmp_path / "o").iterdir()) == []


def test_terminals_need_not_know_unicode(tmp_path: Path) -> None:
    made = onnx_model("g (float[2] x) => (y) { y = Relu(x) }")
    made.graph.node[0].input[0] = made.graph.input[0].name = "\u00fcn"
    exporter.export(made, tmp_path / "m.edge", test_vectors=False)
    command = [sys.executable, "-m", "edge_rt", "inspect", str(tmp_path / "m.edge")]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "\\xfcn: float32" in done.stdout


@pytest.mark.parametrize(
    ("raised", "status", "says"), [(KeyboardInterrupt, INTERRUPTED, ""), (MemoryError, 1, "out of memory")]
)
def test_what_ends_a_command(
    raised: type[BaseException], status: int, says: str,
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def stop(*arguments: object, **options: object) -> None:
        raise raised

    monkeypatch.setattr("edge_rt.cli.run.make_inputs", stop)
    monkeypatch.setattr("exporter.cli._run", stop)
    assert main(["run", str(model)]) == status
    assert export_main([str(DEMO), "-o", str(model.with_name("x.edge"))]) == status
    err = capsys.readouterr().err
    assert err.count(says) >= 2 if says else not err
