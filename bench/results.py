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
from bench.runner import Effort, Result, Timing
from bench.statistics import Summary


class Record(NamedTuple):
    """versions: of the runtimes, by name. failures: by model, why there is no result."""

    machine: dict[str, Any]
    versions: dict[str, str]
    effort: Effort
    results: tuple[Result, ...]
    failures: dict[str, str]

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(_plain(self), indent=1) + "\n", "utf-8")

    @staticmethod
    def read(path: Path) -> Record:
        data = json.loads(path.read_text("utf-8"))
        results = tuple(_result(r) for r in data["results"])
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


def _plain(value: Any) -> Any:
    """Named tuples as objects."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(field) for name, field in value._asdict().items()}
    return [_plain(v) for v in value] if isinstance(value, (tuple, list)) else value


def _result(data: dict[str, Any]) -> Result:
    timings = tuple(_timing(t) for t in data["timings"])
    return Result(**{**data, "timings": timings})


def _timing(data: dict[str, Any]) -> Timing:
    memory = data["memory"]
    return Timing(**{**data, "us": Summary(**data["us"]), "memory": memory and Memory(**memory)})
