"""Where a model's time goes: each step with its rate, against the machine's peak."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import NamedTuple

import edge_rt
import exporter
from bench.models import BenchModel
from bench.peak import peak_bandwidth, peak_gflops
from edge_rt.printing import PlanStep
from edge_rt.profiler import Profile, profile
from edge_rt.types import DType

PEAK_SECONDS = 0.1


class Layers(NamedTuple):
    """A profile on one thread, and the peaks in GFLOP/s and GB/s, measured before and after it (the better ones)."""

    model: str
    profile: Profile
    peak: float
    bandwidth: float

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
        rate = flops / self.profile.total / 1e3
        numpy_steps = [s for s in steps if not s.step.is_native]
        numpy_share = 100 * sum(s.median for s in numpy_steps) / self.profile.total
        return "\n".join(
            [
                f"{self.model}: {self.profile.total:.0f} us in {len(steps)} steps, {flops / 1e6:.1f} MFLOP, {rate:.1f} "
                f"GFLOP/s = {100 * rate / self.peak:.0f} % of the peak of {self.peak:.0f}; memory moves "
                f"{self.bandwidth:.1f} GB/s; {len(numpy_steps)} steps in NumPy take {numpy_share:.0f} %",
                "",
                *(f"| {' | '.join(r)} |" for r in rows),
            ]
        )


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
    before = peak_gflops(PEAK_SECONDS), peak_bandwidth(PEAK_SECONDS)
    with edge_rt.load(bundle, threads=1) as loaded:
        profiled = profile(loaded, model.inputs, runs=runs)
    after = peak_gflops(PEAK_SECONDS), peak_bandwidth(PEAK_SECONDS)
    return Layers(model.name, profiled, *map(max, before, after))
