"""Memory of one runtime with one model, in a process of its own.

    python -m bench.memory BACKEND MODEL INPUTS.npz THREADS      prints a Memory as JSON
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.peers import backend

Array = np.ndarray[Any, Any]

RUNS = 20
ROOT = Path(__file__).parent.parent


class Memory(NamedTuple):
    """MiB above a process that has imported NumPy and holds the inputs. rss: after 20 runs; peak: at the worst moment."""

    rss: float
    peak: float


def measure_memory(name: str, path: Path, inputs: Mapping[str, Array], threads: int) -> Memory:
    """Starts two processes, of which the second counts: what a runtime stores about a model in its cache is there by then.
    edge-rt is as the wheel installs it. Raises CalledProcessError if the runtime fails there."""
    from bench.device import installed  # compiles; the process that is measured must not have imported it

    with tempfile.TemporaryDirectory() as folder:
        arrays = Path(folder) / "inputs.npz"
        np.savez(arrays, **{f"{i}:{key}": a for i, (key, a) in enumerate(inputs.items())})  # type: ignore[arg-type]
        command = [sys.executable, "-m", "bench.memory", name, str(path.absolute()), str(arrays), str(threads)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed()), str(ROOT)])}
        for _ in range(2):
            done = subprocess.run(command, cwd=installed(), check=True, capture_output=True, text=True, env=environment)
    return Memory(**json.loads(done.stdout.splitlines()[-1]))


def _main(name: str, path: str, arrays: str, threads: str) -> None:
    with np.load(arrays) as file:
        inputs = {key.partition(":")[2]: file[key] for key in file.files}
    before = _status("VmRSS")
    engine = backend(name).open_model(Path(path), int(threads))
    prepared = engine.prepare(inputs)
    for _ in range(RUNS):
        engine.run(prepared)
    if "numba" in sys.modules:
        raise RuntimeError("numba was imported: the figure would be of the compiler")
    print(json.dumps(Memory(_status("VmRSS") - before, _status("VmHWM") - before)._asdict()))


def _status(field: str) -> float:
    """MiB."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":")) / 1024


if __name__ == "__main__":
    _main(*sys.argv[1:])
