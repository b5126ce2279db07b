"""What sharing out a model's steps costs: whole, in parts that one thread does, and shared with a team.

What parts take longer than the whole is there whatever the other cores do: work that parts do twice, and caches that each
of them fills anew. The rest of what a team is short of is waiting for its last part, and what cores take from each other.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import edge_rt
import exporter
from bench.models import BenchModel, find
from edge_rt import native
from edge_rt.native.team import Team
from edge_rt.printing import PlanStep
from edge_rt.profiler import profile

RUNS = 5
"""Of a turn: the machine's pace changes within seconds, so that only neighbours can be compared."""

Array = np.ndarray[Any, Any]


class Parts(NamedTuple):
    """runs: microseconds [rounds, 3] of a whole run in neighbouring turns: on one thread, in parts on one thread, shared.
    steps: of the plan. times: [rounds, 2, steps], of each step called alone: on one thread, in parts on one thread."""

    runs: Array
    steps: list[PlanStep]
    times: Array

    def table(self, name: str, top: int | None) -> str:
        """Markdown, those steps first that lose most. top: how many."""
        us, lost = np.median(self.times[:, 0], axis=0), np.median(self.times[:, 1] - self.times[:, 0], axis=0)
        growth = np.median(self.times[:, 1] / self.times[:, 0], axis=0)
        rows = [["step", "kernels", "parts", "output", "whole, us", "in parts, relative"], ["---"] * 4 + ["---:"] * 2]
        for i in np.argsort(-lost)[:top]:
            step = self.steps[i]
            names = f"{step.op} {step.name}", "+".join(step.kernels), "+".join(map(str, step.parts)), ", ".join(step.outputs)
            rows.append([*names, f"{us[i]:.1f}", f"{growth[i]:.2f}"])
        whole, parted, shared = self.runs.T
        return "\n".join(
            [
                f"{name}: {np.median(whole):.0f} us a run; {np.median(parted / whole):.3f} of that in parts on one thread; "
                f"{np.median(whole / shared):.2f} times as fast when shared",
                "",
                *(f"| {' | '.join(r)} |" for r in rows),
            ]
        )


class _WithoutHelpers:
    """A model whose steps are done in parts by one thread: for `profile`."""

    def __init__(self, model: edge_rt.Model, threads: int) -> None:
        self._model, self._team = model, Team(native.library(), threads)
        self._team.close()
        self.select, self.initial_state = model.select, model.initial_state

    def runner(self, entry: Any, state: Mapping[str, Any]) -> Any:
        found = self._model.runner(entry, state)
        found._team = self._team
        return found


def measure_parts(model: BenchModel, folder: Path, threads: int, rounds: int) -> Parts:
    """Exports the model into `folder`; the three kinds take turns. Raises what export and profile raise."""
    bundle = folder / f"{model.name}.edge"
    exporter.export(model.files["onnx"], bundle, inputs=model.inputs, test_vectors=False)
    with edge_rt.load(bundle, threads=1) as whole, edge_rt.load(bundle, threads=threads) as shared:
        kinds = (whole, _WithoutHelpers(shared, threads), shared)
        entry, arrays = whole.select(model.inputs, None)
        runners = [kind.runner(entry, {k: a.copy() for k, a in kind.initial_state.items()}) for kind in kinds]
        runs = [[_run_us(runner, arrays) for runner in runners] for _ in range(rounds)]
        profiles = [[profile(kind, model.inputs, runs=RUNS).steps for kind in kinds[:2]] for _ in range(rounds)]
    times = np.array([[[step.median for step in steps] for steps in turn] for turn in profiles])
    return Parts(np.array(runs), [s.step for s in profiles[0][1]], times)


def _run_us(runner: Any, arrays: list[Array]) -> float:
    runner.run(arrays)
    marks = [time.perf_counter_ns()]
    for _ in range(RUNS):
        runner.run(arrays)
        marks.append(time.perf_counter_ns())
    return float(np.median(np.diff(marks))) / 1e3


def add(commands: Any) -> None:
    """The command `parts`."""
    parser = commands.add_parser(
        "parts", help="what sharing out steps costs", description="Times a model whole, in parts, and shared with a team.",
    )  # fmt: skip
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="default: 2")
    parser.add_argument("--rounds", type=int, default=30, help="turns of each kind (default: 30)")
    parser.add_argument("--top", type=int, metavar="N", help="only the N steps that lose most")
    parser.set_defaults(function=_print)


def _print(options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder:
        found = measure_parts(find(options.model), Path(folder), options.threads, options.rounds)
    print(found.table(options.model, options.top))
    return 0
