"""The README's code runs as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def run(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_exporting_and_running_a_file(tmp_path: Path) -> None:
    (code,) = (b for b in BLOCKS if '"model.onnx"' in b)
    model = (ROOT / "examples" / "digits.onnx").read_bytes()
    (tmp_path / "model.onnx").write_bytes(model)
    said = run(code.replace("(1, 3, 224, 224)", "(1, 1, 8, 8)"), tmp_path)
    assert "image" in said
    assert (tmp_path / "model.edge").exists()


def test_writing_a_model(tmp_path: Path) -> None:
    (code,) = (b for b in BLOCKS if "ex.Sequential" in b)
    assert len(code.splitlines()) <= 25
    said = run(code, tmp_path)
    assert "Total params: 3,404" in said
    assert "every step has a kernel" in said
    assert {p.name for p in tmp_path.iterdir()} >= {"kws.index", "kws_model.edge", "kws.edge"}
