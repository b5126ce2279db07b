"""Instructions per inference on the emulated boards, ours and LiteRT's. Emulated time says nothing; counts repeat."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import exporter
from bench.cache import cache_folder
from bench.models import BenchModel
from edge_rt.codegen import build_image
from edge_rt.native.cache import locked
from edge_rt.targets import TARGETS
from tests.boards import emulator

SITE_PACKAGES = ("ai-edge-litert", "backports.strenum", "flatbuffers", "protobuf", "tqdm", "typing-extensions")
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")

SUITE = "bookworm"
"""The Debian on the boards: its Python is the one LiteRT's packages are taken for."""

ENOUGH = 50e6
"""Instructions between two runs that are compared, so that what varies from process to process is nothing beside them."""


class Count(NamedTuple):
    """Millions of instructions per inference, from bound inputs to outputs, on one thread. floor: multiply-adds / 4 lanes.

    litert: None if there is no .tflite file of the model.
    """

    model: str
    board: str
    ours: float
    litert: float | None
    floor: float


def count_instructions(models: Sequence[BenchModel], boards: Sequence[str], tell: Callable[[Count], None]) -> list[Count]:
    """Calls `tell` with each count as it is there. Makes the emulated machine, packs and LiteRT's packages on first use.

    Raises RuntimeError with the board's error output where a program fails there.
    """
    counts = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        targets = [emulator.TARGET_OF[board] for board in boards]
        package = emulator.device_package(folder, {t: build_image(TARGETS[t]) for t in targets})
        script = Path(__file__).with_name("board.py")
        for model in models:
            bundle, inputs = folder / "model.edge", folder / "inputs.npz"
            shapes = {key: a.shape for key, a in model.inputs.items()}
            report = exporter.export(
                model.files["onnx"], bundle, test_vectors=False, inputs=model.inputs, input_shapes=shapes
            )
            np.savez(inputs, **{f"{i}:{key}": a for i, (key, a) in enumerate(model.inputs.items())})  # type: ignore[arg-type]
            macs = float(report.macs) if report.macs else 0.0
            for board in boards:
                given = [str(script), "edge-rt", str(bundle), str(inputs)]
                ours = _per_run(board, package, given, macs)
                litert = None
                if "tflite" in model.files:
                    given = [str(script), "litert", str(model.files["tflite"]), str(inputs)]
                    litert = _per_run(board, package, given, macs)
                counts.append(Count(model.name, board, ours, litert, macs / 4e6))
                tell(counts[-1])
    return counts


def table(counts: Sequence[Count]) -> str:
    """Markdown."""
    lines = ["| model | board | edge-rt, M | LiteRT, M | LiteRT / edge-rt | multiply-adds / 4 |"]
    lines.append("| --- | --- | ---: | ---: | ---: | ---: |")
    for c in counts:
        peer = ["-", "-"] if c.litert is None else [f"{c.litert:.3g}", f"{c.litert / c.ours:.2f}"]
        lines.append(f"| {c.model} | {c.board} | {c.ours:.3g} | {' | '.join(peer)} | {c.floor:.3g} |")
    return "\n".join(lines)


def _per_run(board: str, package: Path, given: list[str], macs: float) -> float:
    """Millions: the difference between a few runs and more, so that the start of the process cancels out."""
    few, more = 1, 1 + max(2, round(ENOUGH / max(macs / 2, 1e4)))
    _count(board, package, [*given, "0"])  # compiles the bytecode of what the model needs
    return (_count(board, package, [*given, str(more)]) - _count(board, package, [*given, str(few)])) / (more - few) / 1e6


def _count(board: str, package: Path, given: list[str]) -> int:
    log = package / "instructions.log"
    path = os.pathsep.join([str(package), str(_site())])
    done = emulator.run(board, package, "--count", str(log), *given, suite=SUITE, timeout=1800, PYTHONPATH=path)
    if done.returncode:
        raise RuntimeError(f"on {board}: {done.stderr.strip()[-2000:]}")
    return int(log.read_text("ascii").split()[-1])


def _site() -> Path:
    """LiteRT and what it imports, for aarch64 and the board's Python 3.11."""
    folder = cache_folder() / "board-packages"
    cache_folder().mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock")):
        if not folder.exists():
            draft = folder.with_suffix(".draft")
            pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
            platforms = [part for p in PLATFORMS for part in ("--platform", p)]
            fixed = ["--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--upgrade"]
            abis = [part for abi in ("cp311", "abi3", "none") for part in ("--abi", abi)]
            command = [*pip, *platforms, *fixed, *abis, "--target", str(draft), *SITE_PACKAGES]
            subprocess.run(command, check=True)
            draft.rename(folder)
    return folder
