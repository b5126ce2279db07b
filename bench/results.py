"""What a run of the benchmark leaves: a JSON file."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.memory import Memory
from bench.peers import OURS, backend
from bench.runner import Result, Timing
from bench.statistics import Ratio, Summary
from bench.turns import Effort


class Record(NamedTuple):
    """versions: of the runtimes, by name. failures: by model and threads ("mlp, 2 threads"), why there is no result."""

    machine: dict[str, Any]
    versions: dict[str, str]
    effort: Effort
    results: tuple[Result, ...]
    failures: dict[str, str]

    def write(self, path: Path) -> None:
        """At once: whoever reads sees the old figures or the new ones."""
        draft = path.with_name(f"{path.name}.draft")
        draft.write_text(json.dumps(plain(self), indent=1) + "\n", "utf-8")
        draft.replace(path)

    @staticmethod
    def read(path: Path) -> Record:
        data = json.loads(path.read_text("utf-8"))
        results = tuple(result_of(r) for r in data["results"])
        return Record(data["machine"], data["versions"], Effort(**data["effort"]), results, data["failures"])


def versions(peers: Sequence[str]) -> dict[str, str]:
    return {name: backend(name).version() for name in (OURS, *peers)}


def machine() -> dict[str, Any]:
    """What is needed to read the figures."""
    return {
        "cpu": _cpu_name(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def _cpu_name() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    found = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return found[0] if found else platform.processor()


def plain(value: Any) -> Any:
    """As JSON has it: named tuples are objects."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(field) for name, field in value._asdict().items()}
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    return [plain(v) for v in value] if isinstance(value, (tuple, list)) else value


def result_of(data: dict[str, Any]) -> Result:
    timings = tuple(_timing(t) for t in data["timings"])
    ratios = {peer: Ratio(**ratio) for peer, ratio in data["ratios"].items()}
    return Result(**{**data, "timings": timings, "ratios": ratios})


def _timing(data: dict[str, Any]) -> Timing:
    memory = data["memory"]
    return Timing(**{**data, "us": Summary(**data["us"]), "memory": memory and Memory(**memory)})
