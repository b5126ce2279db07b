"""Instructions per inference on the emulated boards, ours and the peers'. Emulated time says nothing; counts repeat."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

import exporter
from bench.cache import cache_folder, models_folder
from bench.models import BenchModel, find
from bench.peers import OURS
from bench.zoo import NAMES
from edge_rt.codegen import build_image
from edge_rt.native.cache import locked
from edge_rt.printing import PlanStep
from edge_rt.targets import TARGETS
from tests.boards import emulator

SITE_PACKAGES = (
    "ai-edge-litert==2.3.0", "backports.strenum", "flatbuffers", "onnxruntime==1.31.1", "packaging", "protobuf", "tqdm",
    "typing-extensions",
)  # fmt: skip
PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_27_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")

SUITE = "bookworm"
"""The Debian on the boards: its Python is the one the peers' packages are taken for."""

PEERS = {"litert": "tflite", "onnxruntime": "onnx"}
"""Which of a model's files a peer takes."""

TIMEOUT = 3600
SMALL = 10_000_000
"""Multiply-adds up to which a model runs three times rather than once, since Python takes a part of its instructions."""


class Count(NamedTuple):
    """Instructions per inference on one thread, from bound inputs to outputs, by runtime. failures: the last words of
    runtimes that cannot run the model."""

    model: str
    board: str
    instructions: dict[str, int]
    macs: int
    failures: dict[str, str]

    def ratio(self, peer: str) -> float | None:
        """The peer's instructions / ours; None if one is missing."""
        ours, theirs = self.instructions.get(OURS), self.instructions.get(peer)
        return theirs / ours if ours and theirs else None


class StepCount(NamedTuple):
    """Of one step; instructions without those of the Python that calls it."""

    step: PlanStep
    instructions: int


class Emulated:
    """A board with our package; made with the emulated machine, code images and the peers' packages on first use."""

    def __init__(self, board: str, folder: Path) -> None:
        self.board, self._folder = board, folder
        target = emulator.TARGET_OF[board]
        self._package = emulator.device_package(folder, {target: build_image(TARGETS[target])})
        self._script = Path(__file__).with_name("board.py")

    def count(self, model: BenchModel, peers: Sequence[str]) -> Count:
        """Peers without a file of the model are left out; what they take is counted once and kept."""
        bundle, inputs, macs = self._files(model)
        runs = 3 if macs <= SMALL else 1
        found = {OURS: self._tried(OURS, bundle, inputs, runs)}
        for peer in peers:
            if PEERS[peer] in model.files:
                kept = models_folder() / f"{model.name}-{self.board}-{peer}-{_site_key()}.json"
                if not kept.exists():
                    answer = self._tried(peer, model.files[PEERS[peer]], inputs, runs)
                    kept.write_text(json.dumps(answer), "utf-8")
                found[peer] = json.loads(kept.read_text("utf-8"))
        counted = {runtime: n for runtime, n in found.items() if isinstance(n, int)}
        failures = {runtime: why for runtime, why in found.items() if isinstance(why, str)}
        return Count(model.name, self.board, counted, macs, failures)

    def _tried(self, runtime: str, path: Path, inputs: Path, runs: int) -> int | str:
        """Instructions of a run, or why there is none."""
        try:
            empty, *counts = self._run(runtime, path, inputs, str(runs))[1]
        except BoardError as error:
            return str(error)
        return round(median(counts)) - empty

    def steps(self, model: BenchModel) -> list[StepCount]:
        """Ours, in the order in which they run. Raises BoardError."""
        bundle, inputs, _ = self._files(model)
        printed, counts = self._run(OURS, bundle, inputs, "steps")
        tables = json.loads(printed)
        found = [PlanStep(**_tuples(step)) for table in tables for step in table]
        taken = iter(counts)
        pairs = []
        for i, table in enumerate(tables):
            if i:
                next(taken)  # from the end of a stage to the beginning of the next one
            pairs += [next(taken) for _ in table]
        half = len(found) // 2
        least = min(pairs[half:])
        return [StepCount(step, n - least) for step, n in zip(found[half:], pairs[half:])]

    def _files(self, model: BenchModel) -> tuple[Path, Path, int]:
        """The bundle, the inputs, and the multiply-adds of an inference."""
        bundle, inputs = self._folder / "model.edge", self._folder / "inputs.npz"
        shapes = {key: a.shape for key, a in model.inputs.items()}
        report = exporter.export(
            model.files["onnx"], bundle, test_vectors=False, inputs=model.inputs, input_shapes=shapes
        )
        np.savez(inputs, **{f"{i}:{key}": a for i, (key, a) in enumerate(model.inputs.items())})  # type: ignore[arg-type]
        return bundle, inputs, int(report.macs or 0)

    def _run(self, runtime: str, *given: str | Path) -> tuple[str, list[int]]:
        """What the script prints, and the instructions between its marks."""
        log = self._folder / "instructions.log"
        path = os.pathsep.join([str(self._package), *([str(_site())] if runtime != OURS else [])])
        done = emulator.run(
            self.board, self._package, str(self._script), runtime, *map(str, given), suite=SUITE, timeout=TIMEOUT,
            PYTHONPATH=path, QEMU_PLUGIN=str(_plugin()), QEMU_LOG="plugin", QEMU_LOG_FILENAME=str(log),
        )  # fmt: skip
        if done.returncode:
            raise BoardError((done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1])
        marks = [int(line.split()[1]) for line in log.read_text("ascii").splitlines() if line.startswith("mark")]
        return done.stdout, [b - a for a, b in itertools.pairwise(marks)]


class BoardError(Exception):
    """A program that fails on the board; its last line."""


def table(counts: Sequence[Count]) -> str:
    """Markdown, in millions."""
    head = ["model", "board", OURS, *PEERS, *(f"{peer} / {OURS}" for peer in PEERS), "multiply-adds / 4"]
    lines = [f"| {' | '.join(head)} |", f"| --- | --- |{' ---: |' * (len(head) - 2)}"]
    for c in counts:
        cells = [_millions(c.instructions.get(runtime)) for runtime in (OURS, *PEERS)]
        cells += ["-" if (ratio := c.ratio(peer)) is None else f"{ratio:.2f}" for peer in PEERS]
        lines.append(f"| {c.model} | {c.board} | {' | '.join(cells)} | {_millions(c.macs / 4)} |")
    failures = [f"- {c.model}, {c.board}: {runtime}: {why}" for c in counts for runtime, why in c.failures.items()]
    return "\n".join([*lines, *(["", "Not counted:", "", *failures] if failures else [])])


def _millions(count: float | None) -> str:
    return "-" if count is None else f"{count / 1e6:.3g}"


def step_table(counts: Sequence[StepCount], top: int | None = None) -> str:
    """Markdown, the steps with most instructions first. top: how many."""
    total = sum(c.instructions for c in counts) or 1
    lines = [
        "| step | kernels | first input | output | thousands | share | multiply-adds per instruction |",
        "| --- | --- | --- | --- | ---: | ---: | ---: |",
    ]
    for step, count in sorted(counts, key=lambda c: -c.instructions)[:top]:
        rate = f"{step.macs / count:.2f}" if step.macs and count else "-"
        first = step.inputs[0] if step.inputs else "-"
        what = [f"{step.op} {step.name}", "+".join(step.kernels), first, ", ".join(step.outputs)]
        lines.append(f"| {' | '.join(what)} | {count / 1e3:.4g} | {count / total:.1%} | {rate} |")
    return "\n".join(lines)


def _tuples(step: dict[str, object]) -> dict[str, object]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in step.items()}


def _plugin() -> Path:
    """The emulator's plugin, compiled when its source is new."""
    source = emulator.SCRIPTS / "insn.c"
    path = cache_folder() / f"insn-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}.so"
    cache_folder().mkdir(parents=True, exist_ok=True)
    with locked(path.with_suffix(".lock")):
        if not path.exists():
            draft = path.with_suffix(".draft")
            subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", str(draft), str(source)], check=True)
            draft.rename(path)
    return path


def _site_key() -> str:
    return hashlib.sha256(" ".join(SITE_PACKAGES).encode()).hexdigest()[:12]


def _site() -> Path:
    """The peers and what they import, for aarch64 and the board's Python 3.11."""
    folder = cache_folder() / f"board-packages-{_site_key()}"
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


def add(commands: Any) -> None:
    """The command `instructions`."""
    parser = commands.add_parser(
        "instructions", help="instructions on emulated boards",
        description="Counts instructions per inference, ours and the peers' (needs root for apt-get, once).",
    )  # fmt: skip
    parser.add_argument("--models", nargs="+", default=list(NAMES), metavar="NAME", help="default: the zoo")
    parser.add_argument("--boards", nargs="+", default=["pi5"], choices=list(emulator.TARGET_OF), help="default: pi5")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS), help="default: all")
    parser.add_argument("--steps", type=int, nargs="?", const=10, metavar="N", help="our N largest steps too (10)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts here as well")
    parser.set_defaults(function=_print)


def _print(options: argparse.Namespace) -> int:
    models = [find(name) for name in options.models]
    counts: list[Count] = []
    details: list[str] = []
    for board in options.boards:
        with tempfile.TemporaryDirectory() as folder:
            emulated = Emulated(board, Path(folder))
            for model in models:
                counts.append(emulated.count(model, options.peers))
                print(*table(counts[-1:]).splitlines()[2:], sep="\n", file=sys.stderr, flush=True)
                if options.steps:
                    steps = step_table(emulated.steps(model), options.steps)
                    details += ["", f"## {model.name}, {board}", "", steps]
                if options.json:
                    options.json.write_text(json.dumps([c._asdict() for c in counts], indent=1) + "\n", "utf-8")
    print("\n".join([table(counts), *details]))
    return int(any(OURS in c.failures for c in counts))
