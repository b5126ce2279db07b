"""The virtual environment of the converters: heavy packages that measuring does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bench.cache import cache_folder

PACKAGES = ("tensorflow-cpu==2.21.0", "numpy>=2,<2.5")
ALONE = ("pnnx==20261020",)
"""Without what they depend on: pnnx's program needs nothing, its Python module all of PyTorch."""

ROOT = Path(__file__).parent.parent.parent


def python() -> Path:
    """The interpreter of the converters; the environment is made on first use (400 MB of downloads)."""
    folder = cache_folder() / "converters"
    interpreter, stamp = folder / "bin" / "python", folder / "packages.txt"
    wanted = "\n".join((*PACKAGES, *ALONE))
    if not stamp.exists() or stamp.read_text("utf-8") != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        pip = [str(interpreter), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, *PACKAGES], check=True)
        subprocess.run([*pip, "--no-deps", *ALONE], check=True)
        stamp.write_text(wanted, "utf-8")
    return interpreter


def pnnx() -> Path:
    """The program that converts ONNX to ncnn."""
    return next((python().parent.parent / "lib").glob("python*/site-packages/pnnx/pnnx"))
