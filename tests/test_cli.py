"""The `edge-rt` command, in process, on the demo's model."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import exporter
from edge_rt.cli import main
from edge_rt.errors import EdgeError

DEMO = Path(__file__).parent.parent / "examples" / "digits.onnx"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cli") / "digits.edge"
    exporter.export(DEMO, path, metadata={"task": "digits"}, assets={"labels": b"0123456789"})
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_run_prints_and_writes_outputs(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = tmp_path / "image.npy"
    np.save(image, np.ones((2, 1, 8, 8), np.float32))
    status, out, _ = run(capsys, "run", model, "--input", f"image={image}", "--output", tmp_path / "out")
    assert status == 0
    assert out.startswith("probabilities: float32[2, 10]")
    made = np.load(tmp_path / "out" / "probabilities.npy")
    np.testing.assert_allclose(made.sum(1), 1, rtol=1e-5)
    _, out, _ = run(capsys, "run", model, "--input", image, "--json")
    np.testing.assert_allclose(json.loads(out)["probabilities"]["data"], made, rtol=1e-6)


def test_inspect(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "inspect", model, "--graph", "--tensors", "--plan", "image=1,1,8,8")
    assert status == 0
    for part in ("image: float32[batch, 1, 8, 8]", "metadata 'task': digits", "asset 'labels': 10 bytes", "gemm_f32"):
        assert part in out
    summary = json.loads(run(capsys, "inspect", model, "--json")[1])
    assert summary["metadata"] == {"task": "digits"}
    assert summary["parameters"] > 5000


def test_bench(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = json.loads(run(capsys, "bench", model, "--runs", 5, "--threads", 1, "--shape", "image=3,1,8,8", "--json")[1])
    assert result["runs"] == 5
    assert result["threads"] == 1
    assert 0 < result["min_us"] <= result["median_us"] <= result["p95_us"]


def test_profile(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = tmp_path / "trace.json"
    status, out, _ = run(capsys, "profile", model, "--runs", 2, "--trace", trace)
    assert status == 0
    assert "edge.DepthwiseConv" in out
    events = json.loads(trace.read_text())["traceEvents"]
    assert [e["ph"] for e in events] == ["X"] * len(events)
    assert all(b["ts"] >= a["ts"] + a["dur"] - 1e-6 for a, b in pairwise(events))
    profile = json.loads(run(capsys, "profile", model, "--runs", 2, "--json")[1])
    assert len(profile["steps"]) == len(events)


def test_verify(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "verify", model)
    assert status == 0
    assert "checksums: ok" in out
    assert "probabilities: largest difference" in out
    damaged = bytearray(model.read_bytes())
    damaged[-1] ^= 1
    bad = tmp_path / "bad.edge"
    bad.write_bytes(damaged)
    status, _, err = run(capsys, "verify", bad)
    assert status == 1
    assert err.startswith(f"edge-rt verify: {bad}: ")


def test_verify_says_where_outputs_differ(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edge_rt import bundle

    changed = bundle.read(model)
    vector = changed.test_vectors[0]
    wrong = {name: a + np.float32(0.1) for name, a in vector.outputs.items()}
    changed.test_vectors = [bundle.TestVector(vector.signature, vector.inputs, wrong)]
    path = tmp_path / "wrong.edge"
    bundle.write(changed, path)
    status, out, _ = run(capsys, "verify", path)
    assert status == 1
    assert "DIFFERS" in out
    assert json.loads(run(capsys, "verify", path, "--json")[1])["ok"] is False


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "doctor")
    assert status == 0
    assert "target" in out
    report = json.loads(run(capsys, "doctor", "--json")[1])
    assert report["problem"] is None
    assert report["why"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "/nowhere/m.edge"], "edge-rt run: .*No such file"),
        (["run", DEMO], "edge-rt run: .*not a .edge"),
        (["run", "MODEL", "--input", "picture=x.npy"], "'picture=x.npy': expected NAME=..., where NAME is one of image"),
        (["run", "MODEL", "--shape", "image=1,1,9,9"], r"input 'image': expected float32\[batch, 1, 8, 8\], got the shape"),
        (["run", "MODEL", "--input", DEMO], "not an .npy file"),
        (["bench", "MODEL", "--signature", "other"], "no signature is named 'other'"),
    ],
)
def test_problems_are_one_line_on_stderr(
    model: Path, capsys: pytest.CaptureFixture[str], arguments: list[object], message: str
) -> None:
    status, out, err = run(capsys, *[model if a == "MODEL" else a for a in arguments])
    assert status == 1
    assert not out
    assert len(err.splitlines()) == 1
    import re

    assert re.search(message, err), err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "MODEL", "--shape", "image=1,1,8,b"], "input 'image': sizes are whole numbers"),
        (["run", "MODEL", "--shape", "image=-1,1,8,8"], "input 'image': sizes are whole numbers"),
        (["inspect", "MODEL", "--plan", "image=x"], "input 'image': sizes are whole numbers"),
        (["inspect", "MODEL", "--plan", "other=1"], "where NAME is one of image"),
    ],
)
def test_sizes_that_are_none(
    model: Path, capsys: pytest.CaptureFixture[str], arguments: list[object], message: str
) -> None:
    status, _, err = run(capsys, *[model if a == "MODEL" else a for a in arguments])
    assert status == 1
    assert len(err.splitlines()) == 1
    assert message in err


@pytest.mark.parametrize(
    "option",
    [
        ("run", "--seed", "-1"),
        ("run", "--threads", "0"),
        ("bench", "--runs", "0"),
        ("bench", "--warm-up", "-1"),
        ("profile", "--runs", "0"),
    ],
)
def test_numbers_that_are_too_small(option: tuple[str, ...], model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([option[0], str(model), *option[1:]])
    assert f"argument {option[1]}: must be at least" in capsys.readouterr().err


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (["--help"], *([c, "--help"] for c in ("run", "inspect", "bench", "profile", "verify", "doctor"))):
        with pytest.raises(SystemExit, match="0"):
            main(arguments)
        assert "usage: edge-rt" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])


def test_errors_have_one_root() -> None:
    from edge_rt import errors

    kinds = [v for v in vars(errors).values() if isinstance(v, type)]
    assert all(issubclass(k, EdgeError) for k in kinds)
