"""Times the steps of a model one by one."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from edge_rt.binding import Binding
from edge_rt.instance import Instance
from edge_rt.model import Model
from edge_rt.printing import PlanStep, PlanTable

Array = np.ndarray[Any, Any]


class StepTime(NamedTuple):
    """A step and its times in microseconds, one per run that came to it. stage: how many cuts lie before it."""

    step: PlanStep
    times: tuple[float, ...]
    stage: int = 0

    @property
    def median(self) -> float:
        return float(np.median(self.times))


class Profile(NamedTuple):
    """Times of all steps of a signature for given inputs. Each step is called alone, which adds about 0.2 us to each; those
    that are done together (bands.py) with one another.

    Where sizes depend on data, a later stage has a row per step and size that came up.
    """

    signature: str
    steps: tuple[StepTime, ...]

    @property
    def total(self) -> float:
        """Microseconds: the sum of the steps' medians."""
        return sum(s.median for s in self.steps)

    @property
    def stages(self) -> int:
        """How many parts of the model were planned one after the other."""
        return 1 + max((s.stage for s in self.steps), default=0)

    def __str__(self) -> str:
        rows = [("operator", "node", "kernels", "us", "%", "GFLOP/s")]
        for s in self.steps:
            rate = f"{s.step.flops / s.median / 1e3:.1f}" if s.step.flops and s.median else ""
            share = f"{100 * s.median / self.total:.1f}" if self.total else ""
            rows.append((s.step.op, s.step.name, "+".join(s.step.kernels), f"{s.median:.1f}", share, rate))
        widths = [max(len(r[c]) for r in rows) for c in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows]
        stages = f", in {self.stages} stages" if self.stages > 1 else ""
        return "\n".join([*lines, f"total {self.total:.1f} us in {len(self.steps)} steps{stages}"])

    def to_dict(self) -> dict[str, Any]:
        steps = [
            {
                "op": s.step.op, "node": s.step.name, "kernels": list(s.step.kernels), "median_us": s.median,
                "flops": s.step.flops, "outputs": list(s.step.outputs), "stage": s.stage,
            }
            for s in self.steps
        ]  # fmt: skip
        return {"signature": self.signature, "total_us": self.total, "steps": steps}

    def trace_events(self, process: int = 0) -> list[dict[str, Any]]:
        """One run (the medians) as complete events of the trace event format; times in microseconds."""
        events, now = [], 0.0
        for s in self.steps:
            events.append(
                {
                    "name": f"{s.step.op} {s.step.name}", "cat": "native" if s.step.is_native else "numpy", "ph": "X",
                    "ts": now, "dur": s.median, "pid": process, "tid": 0,
                    "args": {"kernels": list(s.step.kernels), "outputs": list(s.step.outputs), "flops": s.step.flops},
                }
            )  # fmt: skip
            now += s.median
        return events

    def chrome_trace(self) -> str:
        """One run (the medians) as JSON for chrome://tracing and Perfetto."""
        return json.dumps({"traceEvents": self.trace_events(), "displayTimeUnit": "ns"})


def chrome_trace(profiles: Sequence[Profile]) -> dict[str, Any]:
    """One run of each as one trace, in which a process that is named after the signature stands for each."""
    events: list[dict[str, Any]] = []
    for process, found in enumerate(profiles):
        named = {"name": "process_name", "ph": "M", "pid": process, "args": {"name": found.signature}}
        events += [named, *found.trace_events(process)]
    return {"traceEvents": events, "displayTimeUnit": "ns"}


def profile(model: Model, inputs: Mapping[str, Any], *, signature: str | None = None, runs: int = 20) -> Profile:
    """Runs the model step by step, `runs` times after one warm-up, stage by stage where sizes depend on data.

    Raises what running the model raises.
    """
    entry, arrays = model.select(inputs, signature)
    runner = model.runner(entry, {name: a.copy() for name, a in model.initial_state.items()})
    runner.run(arrays)
    clock = _Clock(entry.name)
    for _ in range(runs):
        clock.stage = 0
        runner.run(arrays, clock.execute)
    return Profile(entry.name, tuple(StepTime(step, tuple(t), stage) for (stage, _, step), t in clock.times.items()))


class _Clock:
    """Runs instances step by step and keeps the times by stage, place in the stage and step."""

    __slots__ = ("_tables", "signature", "stage", "times")

    def __init__(self, signature: str) -> None:
        self.signature, self.stage = signature, 0
        self.times: dict[tuple[int, int, PlanStep], list[float]] = {}
        self._tables: dict[Binding, PlanTable] = {}

    def execute(self, instance: Instance, live: Sequence[Array]) -> list[Array]:
        table = self._tables.get(instance.binding)
        if table is None:
            table = self._tables[instance.binding] = PlanTable.of_binding(self.signature, instance.binding)
        made: Sequence[Array] = ()
        instance.load(live)
        for index in range(len(table.steps)):
            started = time.perf_counter_ns()
            made = instance.execute_step(index, live)
            elapsed = (time.perf_counter_ns() - started) / 1e3
            for done, share in instance.shares(index):
                self.times.setdefault((self.stage, done, table.steps[done]), []).append(elapsed * share)
        self.stage += 1
        return instance.results(live, made)
