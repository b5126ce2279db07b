"""Where a model's time goes: each step with its rate, against the machine's peak."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import edge_rt
import exporter
from bench.models import BenchModel
from bench.peak import CopyLoop, PeakLoop
from bench.quiet import SHARE, Quiet
from edge_rt.printing import PlanStep
from edge_rt.profiler import Profile, StepTime, profile
from edge_rt.types import DType

RUNS_TOGETHER = 3
"""Runs of a block: the peaks are measured before and after it."""
PATIENCE_S = 0.5
"""How long a block waits for an undisturbed moment."""


class Layers(NamedTuple):
    """A profile on one thread. run: microseconds of a whole run. peak, bandwidth: in GFLOP/s and GB/s. All are medians over
    the same blocks of runs. quiet: the share of blocks in which the machine was undisturbed; only these count, if any."""

    model: str
    profile: Profile
    run: float
    peak: float
    bandwidth: float
    quiet: float

    def table(self, top: int | None = None) -> str:
        """Markdown, the slowest steps first. top: how many.

        GB/s counts each input, weights too, and each output once; what stays in a cache may pass the bandwidth of memory.
        """
        steps = sorted(self.profile.steps, key=lambda s: -s.median)
        rows = [["step", "kernels", "output", "us", "% of time", "GFLOP/s", "% of peak", "GB/s", "% of memory's"]]
        rows.append(["---"] * 3 + ["---:"] * 6)
        for s in steps[:top]:
            rate, moved = s.step.flops / s.median / 1e3, traffic(s.step) / s.median / 1e3
            rates = [f"{rate:.1f}", f"{100 * rate / self.peak:.0f}"] if s.step.flops else ["", ""]
            rates += [f"{moved:.1f}", f"{100 * moved / self.bandwidth:.0f}"]
            share = f"{100 * s.median / self.profile.total:.1f}"
            what = [f"{s.step.op} {s.step.name}", "+".join(s.step.kernels), ", ".join(s.step.outputs)]
            rows.append([*what, f"{s.median:.1f}", share, *rates])
        flops = sum(s.step.flops for s in steps)
        rate = flops / self.run / 1e3
        numpy_steps = [s for s in steps if not s.step.is_native]
        numpy_share = 100 * sum(s.median for s in numpy_steps) / self.profile.total
        return "\n".join(
            [
                f"{self.model}: {self.run:.0f} us a run; {self.profile.total:.0f} us the sum of {len(steps)} steps, each "
                f"called alone; {flops / 1e6:.1f} MFLOP, {rate:.1f} GFLOP/s = {100 * rate / self.peak:.0f} % of the peak of "
                f"{self.peak:.0f}; memory moves {self.bandwidth:.1f} GB/s; {len(numpy_steps)} steps in NumPy take "
                f"{numpy_share:.0f} %; the machine was undisturbed in {self.quiet:.0%} of the blocks",
                "",
                *(f"| {' | '.join(r)} |" for r in rows),
            ]
        )


class Block(NamedTuple):
    """A few runs and what the machine could do meanwhile. run: microseconds, median."""

    profile: Profile
    run: float
    peak: float
    bandwidth: float
    is_quiet: bool


def traffic(step: PlanStep) -> int:
    """Bytes of all inputs and outputs."""
    return sum(_nbytes(text) for text in (*step.inputs, *step.outputs))


def _nbytes(text: str) -> int:
    """Of a type as plans print it, "float32[1, 8, 8, 4]"; 0 for what is not one."""
    found = re.fullmatch(r"(\w+)\[([\d, ]*)\]", text)
    if found is None:
        return 0
    return math.prod(map(int, filter(None, found[2].split(", ")))) * DType(found[1]).itemsize


def layers(model: BenchModel, folder: Path, runs: int) -> Layers:
    """Exports the model into `folder` and times its steps on one thread. Raises what export and profile raise."""
    bundle = folder / f"{model.name}.edge"
    exporter.export(model.files["onnx"], bundle, inputs=model.inputs, test_vectors=False)
    peak, copies, quiet = PeakLoop(), CopyLoop(), Quiet()
    with edge_rt.load(bundle, threads=1) as loaded:

        def once() -> float:
            begin = time.perf_counter_ns()
            loaded.run(model.inputs)
            return (time.perf_counter_ns() - begin) / 1e3

        def block() -> Block:
            before = quiet.wait(time.perf_counter() + PATIENCE_S)
            rates, moved = [peak.gflops()], copies.bandwidth()
            profiled = profile(loaded, model.inputs, runs=RUNS_TOGETHER)
            rates.append(peak.gflops())
            times = [once() for _ in range(RUNS_TOGETHER + 1)][1:]
            return Block(profiled, median(times), max(rates), moved, min(before, quiet.now()) >= SHARE)

        once()
        blocks = [block() for _ in range(max(1, runs // RUNS_TOGETHER))]
    quiet.keep()
    return _together(model.name, blocks)


def _together(name: str, blocks: Sequence[Block]) -> Layers:
    undisturbed = [block for block in blocks if block.is_quiet]
    chosen = undisturbed or blocks
    times: dict[tuple[int, PlanStep], list[float]] = {}
    for block in chosen:
        for s in block.profile.steps:
            times.setdefault((s.stage, s.step), []).extend(s.times)
    steps = tuple(StepTime(step, tuple(taken), stage) for (stage, step), taken in times.items())
    run, peak, bandwidth = (median(x) for x in zip(*((b.run, b.peak, b.bandwidth) for b in chosen)))
    profiled = Profile(chosen[0].profile.signature, steps)
    return Layers(name, profiled, run, peak, bandwidth, len(undisturbed) / len(blocks))
