"""Another state of the project against this one: each exports and runs the model in a process of its own, in turns.

For changes of a few percent: figures of one day, or of one minute, are not those of the next.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.apart import ROOT, Apart, write_inputs
from bench.errors import Refused
from bench.models import BenchModel, find
from bench.peers import OURS
from bench.statistics import Ratio
from bench.turns import Effort, take_turns

EXPORT = """
import sys, numpy, exporter
with numpy.load(sys.argv[3]) as stored:
    inputs = {key.partition(":")[2]: stored[key] for key in sorted(stored)}
exporter.export(sys.argv[1], sys.argv[2], inputs=inputs, test_vectors=False)
"""
"""Asks nothing of the other state's `bench`."""


def unpack_commit(commit: str, folder: Path) -> Path:
    """The files of a commit, in the folder. Raises Refused, with what git says, if there is none of that name."""
    packed = subprocess.run(["git", "archive", commit], cwd=ROOT, check=False, capture_output=True)
    if packed.returncode:
        raise Refused(f"no commit '{commit}': {packed.stderr.decode().strip()}")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
    return folder


def compare(model: BenchModel, other: Path, threads: int, effort: Effort, folder: Path) -> Ratio:
    """How many times as fast as the tree `other` this one is. Its kernels are compiled first where no cache has them.

    Raises CalledProcessError where one of them does not export the model, PeerError where one does not run it.
    """
    inputs = write_inputs(folder / "inputs.npz", model.inputs)
    bundles = {tree: folder / f"{model.name}-{i}.edge" for i, tree in enumerate((ROOT, other))}
    for tree, bundle in bundles.items():
        command = [sys.executable, "-c", EXPORT, str(model.files["onnx"]), str(bundle), str(inputs)]
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        subprocess.run(command, cwd=tree, env=environment, check=True, stdout=subprocess.DEVNULL)
    with Apart(OURS, bundles[ROOT], inputs, threads) as ours, Apart(OURS, bundles[other], inputs, threads, other) as theirs:
        takes = {OURS: ours.taker(effort.turn_ms), "other": theirs.taker(effort.turn_ms)}
        return take_turns(takes, threads, effort).ratio("other")


def add(commands: Any) -> None:
    """The command `compare`."""
    parser = commands.add_parser(
        "compare", help="this state of the project against a commit",
        description="How many times as fast as at a commit models run, in processes that take turns.",
    )  # fmt: skip
    parser.add_argument("commit", help="what git knows, or the folder of another tree")
    parser.add_argument("--models", nargs="+", default=["digits"], metavar="NAME", help="default: digits")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="default: 1")
    parser.add_argument("--turn-ms", type=float, default=40.0, help="length of a turn (default: 40)")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each model, at most (default: 20)")
    parser.set_defaults(function=_compare)


def _compare(options: argparse.Namespace) -> int:
    effort = Effort(turn_ms=options.turn_ms, seconds=options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        given = Path(options.commit)
        other = given.absolute() if given.is_dir() else unpack_commit(options.commit, Path(folder))
        for name in options.models:
            with tempfile.TemporaryDirectory() as own:
                ratio = compare(find(name), other, options.threads, effort, Path(own))
            bounds = f"[{ratio.low:.3f} {ratio.high:.3f}]"
            print(f"{name}: {ratio.value:.3f} {bounds} times as fast as {options.commit}", flush=True)
    return 0
