"""What starting costs: importing edge_rt on top of numpy and msgpack, and loading a bundle of 300 nodes.

Each figure is of a fresh process over what the wheel installs, with compiled modules; processor time, since that is what
a busy machine disturbs least. Goals: import 15 ms, a load 10 ms, on a machine that imports numpy and msgpack in about 50.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from edge_rt.bundle import Bundle, write
from edge_rt.codegen import build_image
from edge_rt.native.features import choose_target, cpu_features
from tests.boards.emulator import device_package
from tests.test_bundle_speed import cnn

BLOCKS = 60
"""Of five nodes each."""

PROGRAM = """
import sys, time
start = time.process_time()
import numpy, msgpack
times = [time.process_time() - start]
start = time.process_time()
import edge_rt
times.append(time.process_time() - start)
for _ in range(6):
    start = time.process_time()
    edge_rt.load(sys.argv[1])
    times.append(time.process_time() - start)
print(*times[:3], min(times[3:]))
"""

FIGURES = (
    "import numpy and msgpack, for scale",
    "import edge_rt, above numpy and msgpack",
    "load 300 nodes, the first time",
    "load 300 nodes, later",
)


def measure(rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each of FIGURES, one per process."""
    target, _ = choose_target(cpu_features())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        device_package(folder, {target.name: build_image(target)})
        bundle = folder / "300.edge"
        write(Bundle({"main": cnn(BLOCKS)}), bundle)
        runs = [_run(folder, bundle) for _ in range(rounds + 1)][1:]  # the first one compiles the modules
    return {figure: [run[i] for run in runs] for i, figure in enumerate(FIGURES)}


def _run(package: Path, bundle: Path) -> list[float]:
    environment = {**os.environ, "PYTHONPATH": str(package), "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", PROGRAM, str(bundle)]
    done = subprocess.run(command, env=environment, cwd=package, capture_output=True, text=True, check=True)
    return [1000 * float(text) for text in done.stdout.split()]


def report(measured: dict[str, list[float]]) -> str:
    """Best and median of each figure, as lines."""
    width = max(map(len, measured))
    return "\n".join(f"{name:{width}}  {min(t):5.1f} ms  (median {median(t):.1f})" for name, t in measured.items())


def add(commands: Any) -> None:
    """The command `loading`."""
    parser = commands.add_parser("loading", help="import and load", description="Times import and load in fresh processes.")
    parser.add_argument("--rounds", type=int, default=15, help="processes (default: 15)")
    parser.set_defaults(function=_print)


def _print(options: argparse.Namespace) -> int:
    print(report(measure(options.rounds)))
    return 0
