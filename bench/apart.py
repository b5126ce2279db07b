"""A runtime in a process of its own, which takes its turns when it is told to.

    python -m bench.apart BACKEND MODEL INPUTS.npz THREADS

loads the model twice, for one thread and for THREADS. Each line of standard input is a call of one of the functions in
ACTIONS, as JSON: [name, *arguments]; each line of standard output its result. A line says when the models are loaded.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.peers import Array, PeerError, backend
from bench.turns import Run, Take, calls_per_sample, rest, take_samples

PERIOD_S = 0.02
PACED_CALLS = 50
SETTLE = 0.25
"""The part of a turn that does not count: a runtime may take its time to notice what has changed."""
ROOT = Path(__file__).parent.parent


def turn(runs: Sequence[Run], which: int, seconds: float, pause: float) -> list[float]:
    """Seconds of each call of one engine, once things have settled; with a pause before each. Helpers that spin after it
    have come to rest when this returns."""
    run, begin = runs[which], time.perf_counter()
    times: list[float] = []
    while time.perf_counter() < begin + seconds or not times:
        time.sleep(pause)
        now = time.perf_counter()
        run()
        if now >= begin + SETTLE * seconds:
            times.append(time.perf_counter() - now)
    rest()
    return times


def calls(runs: Sequence[Run], which: int) -> int:
    """How many calls a sample has."""
    found = calls_per_sample(runs[which], False)
    rest()
    return found


def samples(runs: Sequence[Run], which: int, count: int, turn_ms: float) -> list[float]:
    """Microseconds per call of samples of `count` calls, one right after the other."""
    taken = take_samples(runs[which], False, count, turn_ms)
    rest()
    return taken


def processor_time(runs: Sequence[Run], which: int, period: float) -> float:
    """Milliseconds of processor time, of all threads, that a call takes: one call in `period` seconds, 0: in a loop."""
    run = runs[which]

    def calls() -> None:
        for _ in range(PACED_CALLS):
            time.sleep(period)
            run()

    calls()
    begin = time.process_time()
    calls()
    return (time.process_time() - begin) * 1e3 / PACED_CALLS


def idle_percent(_: Sequence[Run], seconds: float) -> float:
    """Percent of a processor that this process takes while it sleeps."""
    time.sleep(0.2)
    begin = time.process_time()
    time.sleep(seconds)
    return 100 * (time.process_time() - begin) / seconds


ACTIONS: Mapping[str, Callable[..., Any]] = {f.__name__: f for f in (turn, calls, samples, processor_time, idle_percent)}


def write_inputs(path: Path, inputs: Mapping[str, Array]) -> Path:
    """As `Apart` takes them."""
    np.savez(path, **{f"{i:03}:{key}": array for i, (key, array) in enumerate(inputs.items())})  # type: ignore[arg-type]
    return path


class Apart:
    """The process, ended at the end of a `with`. Raises PeerError where it ends by itself, then or at a call."""

    def __init__(self, name: str, path: Path, inputs: Path, threads: int, tree: Path = ROOT) -> None:
        """inputs: see `write_inputs`. tree: whose edge-rt it is."""
        command = [sys.executable, "-m", "bench.apart", name, str(path.absolute()), str(inputs.absolute()), str(threads)]
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by `close`)
        self._process = subprocess.Popen(
            command, cwd=tree, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said
        )
        try:
            self._answer()
        except PeerError:
            self.close()
            raise

    def call(self, action: str, *arguments: Any) -> Any:
        """What the action gives."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([action, *arguments]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def taker(self, turn_ms: float) -> Take:
        """Turns on more threads than one."""
        count = self.call("calls", 1)
        return lambda: [float(us) for us in self.call("samples", 1, count, turn_ms)]

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            status = self._process.wait()
            self._said.seek(0)
            raise PeerError("\n".join(self._said.read().strip().splitlines()[-1:]) or f"the process ended with {status}")
        return json.loads(line)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._said.close()

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def main(name: str, path: str, arrays: str, threads: str) -> None:
    with np.load(arrays) as stored:
        inputs = {key.partition(":")[2]: stored[key] for key in sorted(stored)}
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a runtime prints is no answer
    runs: list[Run] = []
    for number in (1, int(threads)):
        engine = backend(name).open_model(Path(path), number)
        given = engine.prepare(inputs)
        runs.append(lambda engine=engine, given=given: engine.run(given))  # type: ignore[misc]
        runs[-1]()
    print("null", file=answers, flush=True)
    for line in sys.stdin:
        action, *arguments = json.loads(line)
        print(json.dumps(ACTIONS[action](runs, *arguments)), file=answers, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
