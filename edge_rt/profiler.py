"""Times the steps of a model one by one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from edge_rt.errors import ModelError
from edge_rt.model import Model
from edge_rt.printing import PlanStep, PlanTable


class StepTime(NamedTuple):
    """A step and its times in microseconds, one per run."""

    step: PlanStep
    times: tuple[float, ...]

    @property
    def median(self) -> float:
        return float(np.median(self.times))


class Profile(NamedTuple):
    """Times of all steps of a signature for given inputs. Each step is called alone, which adds about 0.2 us to each."""

    signature: str
    steps: tuple[StepTime, ...]

    @property
    def total(self) -> float:
        """Microseconds: the sum of the steps' medians."""
        return sum(s.median for s in self.steps)

    def __str__(self) -> str:
        rows = [("operator", "node", "kernels", "us", "%", "GFLOP/s")]
        for s in self.steps:
            rate = f"{s.step.flops / s.median / 1e3:.1f}" if s.step.flops and s.median else ""
            share = f"{100 * s.median / self.total:.1f}" if self.total else ""
            rows.append((s.step.op, s.step.name, "+".join(s.step.kernels), f"{s.median:.1f}", share, rate))
        widths = [max(len(r[c]) for r in rows) for c in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows]
        return "\n".join([*lines, f"total {self.total:.1f} us in {len(self.steps)} steps"])

    def to_dict(self) -> dict[str, Any]:
        steps = [
            {
                "op": s.step.op, "node": s.step.name, "kernels": list(s.step.kernels), "median_us": s.median,
                "flops": s.step.flops, "outputs": list(s.step.outputs),
            }
            for s in self.steps
        ]  # fmt: skip
        return {"signature": self.signature, "total_us": self.total, "steps": steps}

    def chrome_trace(self) -> str:
        """One run (the medians) as JSON for chrome://tracing and Perfetto."""
        events, now = [], 0.0
        for s in self.steps:
            events.append(
                {
                    "name": f"{s.step.op} {s.step.name}", "cat": "native" if s.step.is_native else "numpy", "ph": "X",
                    "ts": now, "dur": s.median, "pid": 0, "tid": 0,
                    "args": {"kernels": list(s.step.kernels), "outputs": list(s.step.outputs), "flops": s.step.flops},
                }
            )  # fmt: skip
            now += s.median
        return json.dumps({"traceEvents": events, "displayTimeUnit": "ns"})


def profile(model: Model, inputs: Mapping[str, Any], *, signature: str | None = None, runs: int = 20) -> Profile:
    """Runs the model step by step, `runs` times after one warm-up.

    Raises ModelError if the model's steps are only known while it runs (data-dependent shapes).
    """
    entry, arrays = model.select(inputs, signature)
    runner = model.runner(entry, {name: a.copy() for name, a in model.initial_state.items()})
    instance, whole = runner.instance_for(arrays)
    if not whole:
        raise ModelError(f"signature '{entry.name}' cannot be profiled step by step: {instance.binding.cut}")
    instance.run(arrays)
    table = PlanTable.of_binding(entry.name, instance.binding)
    times: list[list[float]] = [[] for _ in table.steps]
    for _ in range(runs):
        instance.load(arrays)
        for index in range(len(table.steps)):
            started = time.perf_counter_ns()
            instance.execute_step(index, arrays)
            times[index].append((time.perf_counter_ns() - started) / 1e3)
    return Profile(entry.name, tuple(StepTime(s, tuple(t)) for s, t in zip(table.steps, times)))
