"""What more threads bring on a free machine, cost beside another process that burns a core, and burn themselves.

    python -m bench.burn BACKEND MODEL INPUTS.npz THREADS ROUNDS TURN_MS IDLE_S      prints Figures as JSON

Each runtime has a process of its own, so that nobody's helpers spin on anybody else's time. In it one thread and more take
turns, with the neighbour stopped and running.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import exporter
from bench.models import BenchModel, find
from bench.peers import OURS, PEERS, PeerError, backend

PERIOD_S = 0.02
PACED_CALLS = 50
SETTLE = 0.25
"""The part of a turn that does not count: a runtime may take its time to notice what has changed."""
ROOT = Path(__file__).parent.parent
NEIGHBOUR = "while True: pass"


class Figures(NamedTuple):
    """One runtime. us: one thread alone, median. speed_up: of more threads, without the neighbour, in a loop;
    paced_speed_up: with a pause of PERIOD_S before each call. burned_*: mean and 95th percentile of latency beside the
    neighbour, relative to one thread alone. *_ms: processor time of a call, in a loop and with one call in PERIOD_S.
    idle: percent of a processor while nobody calls."""

    us: float
    speed_up: float
    paced_speed_up: float
    burned_one_mean: float
    burned_one_p95: float
    burned_mean: float
    burned_p95: float
    loop_ms: float
    paced_ms: float
    idle: float


def measure(runs: Sequence[Callable[[], Any]], rounds: int, turn_ms: float, idle_s: float) -> Figures:
    """runs: an inference on one thread, and one on more."""
    times: dict[tuple[int, bool], list[np.ndarray[Any, Any]]] = {(i, b): [] for b in (False, True) for i in (0, 1)}
    with _neighbour() as burns:
        for _ in range(rounds):
            for (i, burned), taken in times.items():
                burns(burned)
                taken.append(_turn(runs[i], turn_ms / 1e3))
    alone = [float(turn.mean()) for turn in times[0, False]]

    def relative(key: tuple[int, bool]) -> np.ndarray[Any, Any]:
        return np.concatenate([turn / mean for turn, mean in zip(times[key], alone)])

    one, more = relative((0, True)), relative((1, True))
    speed_up = float(np.median([np.median(a) / np.median(b) for a, b in zip(times[0, False], times[1, False])]))
    return Figures(
        float(np.median(np.concatenate(times[0, False]))) * 1e6, speed_up, paced_speed_up(runs, rounds, turn_ms),
        float(one.mean()), float(np.percentile(one, 95)), float(more.mean()), float(np.percentile(more, 95)),
        *processor_time(runs[1]), idle_percent(idle_s),
    )  # fmt: skip


def paced_speed_up(runs: Sequence[Callable[[], Any]], rounds: int, turn_ms: float) -> float:
    """Of more threads in calls with a pause of PERIOD_S before each: the median of neighbouring turns."""
    ratios = []
    for _ in range(rounds):
        one, more = (np.median(_turn(run, turn_ms / 1e3, PERIOD_S)) for run in runs)
        ratios.append(float(one / more))
    return float(np.median(ratios))


def processor_time(run: Callable[[], Any]) -> tuple[float, float]:
    """Milliseconds of processor time, of all threads, that a call takes: in a loop, and with one call in PERIOD_S."""
    results = []
    for period in (0.0, PERIOD_S):
        for _ in range(PACED_CALLS):
            time.sleep(period)
            run()
        begin = time.process_time()
        for _ in range(PACED_CALLS):
            time.sleep(period)
            run()
        results.append((time.process_time() - begin) * 1e3 / PACED_CALLS)
    return results[0], results[1]


def idle_percent(seconds: float) -> float:
    """Percent of a processor that this process takes while it sleeps."""
    time.sleep(0.2)
    begin = time.process_time()
    time.sleep(seconds)
    return 100 * (time.process_time() - begin) / seconds


@contextmanager
def _neighbour() -> Iterator[Callable[[bool], None]]:
    """burns(whether): starts and stops a process that takes all of a core."""
    process = subprocess.Popen([sys.executable, "-c", NEIGHBOUR])

    def burns(whether: bool) -> None:
        process.send_signal(signal.SIGCONT if whether else signal.SIGSTOP)

    try:
        yield burns
    finally:
        process.kill()
        process.wait()


def _turn(run: Callable[[], Any], seconds: float, pause: float = 0.0) -> np.ndarray[Any, Any]:
    """Seconds of each call, once things have settled."""
    begin, times = time.perf_counter(), []
    while time.perf_counter() < begin + seconds or not times:
        time.sleep(pause)
        now = time.perf_counter()
        run()
        if now >= begin + SETTLE * seconds:
            times.append(time.perf_counter() - now)
    return np.array(times)


def measure_apart(name: str, model: BenchModel, folder: Path, options: argparse.Namespace) -> Figures:
    """Figures of a runtime, in a process of its own. Raises PeerError where it does not load the model."""
    path = model.files.get(backend(name).FORMAT) if name != OURS else folder / f"{model.name}.edge"
    if path is None:
        raise PeerError(f"no {backend(name).FORMAT} file")
    if name == OURS:
        exporter.export(model.files["onnx"], path, inputs=model.inputs, test_vectors=False)
    arrays = folder / "inputs.npz"
    np.savez(arrays, **{f"{i}:{key}": a for i, (key, a) in enumerate(model.inputs.items())})  # type: ignore[arg-type]
    numbers = options.threads, options.rounds, options.turn_ms, options.idle_s
    command = [sys.executable, "-m", "bench.burn", name, str(path.absolute()), str(arrays), *map(str, numbers)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise PeerError(done.stderr.strip().splitlines()[-1])
    return Figures(**json.loads(done.stdout.splitlines()[-1]))


def table(rows: Sequence[tuple[str, str, Figures]]) -> str:
    """Markdown. rows: model, runtime, figures."""
    lines = [
        "| model | runtime | 1 thread, us | more, free | with pauses | 1, a core burned: mean (p95) "
        "| more, a core burned: mean (p95) "
        "| CPU ms a call, in a loop | one in 20 ms | idle, % |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for model, name, f in rows:
        lines.append(
            f"| {model} | {name} | {f.us:.0f} | {f.speed_up:.2f}x | {f.paced_speed_up:.2f}x "
            f"| {f.burned_one_mean:.2f} ({f.burned_one_p95:.2f}) "
            f"| {f.burned_mean:.2f} ({f.burned_p95:.2f}) | {f.loop_ms:.2f} | {f.paced_ms:.2f} | {f.idle:.1f} |"
        )
    return "\n".join(lines)


def add(commands: Any) -> None:
    """The command `burn`."""
    parser = commands.add_parser(
        "burn", help="threads, beside a busy core too",
        description="What more threads bring, beside a process that burns a core too, and the processor time they take.",
    )  # fmt: skip
    parser.add_argument("--models", nargs="+", default=["mobilenetv2"], metavar="NAME", help="default: mobilenetv2")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS), help="default: all")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="default: 2")
    parser.add_argument("--rounds", type=int, default=6, help="turns of each kind (default: 6)")
    parser.add_argument("--turn-ms", type=float, default=500, help="length of one (default: 500)")
    parser.add_argument("--idle-s", type=float, default=10, help="seconds of doing nothing (default: 10)")
    parser.set_defaults(function=_burn)


def _burn(options: argparse.Namespace) -> int:
    rows: list[tuple[str, str, Figures]] = []
    with tempfile.TemporaryDirectory() as folder:
        for model in map(find, options.models):
            for name in (OURS, *options.peers):
                try:
                    rows.append((model.name, name, measure_apart(name, model, Path(folder), options)))
                    print(table(rows[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
                except PeerError as error:
                    if name == OURS:
                        raise
                    print(f"{model.name}: {name}: {error}", file=sys.stderr, flush=True)
    print(table(rows))
    return 0


def _main(name: str, path: str, arrays: str, threads: str, rounds: str, turn_ms: str, idle_s: str) -> None:
    with np.load(arrays) as file:
        inputs = {key.partition(":")[2]: file[key] for key in file.files}
    runs = []
    for count in (1, int(threads)):
        engine = backend(name).open_model(Path(path), count)
        prepared = engine.prepare(inputs)
        runs.append(lambda engine=engine, prepared=prepared: engine.run(prepared))
    print(json.dumps(measure(runs, int(rounds), float(turn_ms), float(idle_s))._asdict()))


if __name__ == "__main__":
    _main(*sys.argv[1:])
