"""What more threads bring on a free machine, cost beside another process that burns a core, and burn themselves.

Each runtime has a process of its own, so that nobody's helpers spin on anybody else's time, and they take turns: one thread
and more. First in a loop, then with pauses, and the neighbour only last: whoever learns from it that a core is busy shall
not be timed on a free machine while still wary of it. What counts are rounds during which the machine was free: a virtual
machine's cores may be one core, or nobody's, for a while (`freedom.py`).
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import exporter
from bench.apart import PERIOD_S, Apart, write_inputs
from bench.freedom import SHARE, Freedom
from bench.models import BenchModel, find
from bench.peers import OURS, PEERS, PeerError, backend
from bench.statistics import Ratio, median_ratio

NEIGHBOUR = "while True: pass"

LEAST_ROUNDS = 4

Times = np.ndarray[Any, Any]


class Kind(NamedTuple):
    """Of turns. shared: on more threads than one. paced: with a pause of PERIOD_S before each call. burned: beside the
    neighbour."""

    shared: bool
    paced: bool = False
    burned: bool = False


ONE, MORE = Kind(False), Kind(True)
PACED_ONE, PACED_MORE = Kind(False, paced=True), Kind(True, paced=True)
BURNED_ONE, BURNED_MORE = Kind(False, burned=True), Kind(True, burned=True)
PHASES = (ONE, MORE), (PACED_ONE, PACED_MORE), (ONE, BURNED_ONE, BURNED_MORE)
"""Kinds that take turns, phase by phase."""


class Figures(NamedTuple):
    """One runtime. us, more_us: one thread alone and more, medians. speed_up: of more threads, without the neighbour, in a
    loop; paced_speed_up: with a pause of PERIOD_S before each call. burned_*: mean and 95th percentile of latency beside the
    neighbour, relative to one thread alone. *_ms: processor time of a call, in a loop and with one call in PERIOD_S.
    idle: percent of a processor while nobody calls. free: the share of rounds during which the machine was."""

    us: float
    more_us: float
    speed_up: Ratio
    paced_speed_up: Ratio
    burned_one_mean: float
    burned_one_p95: float
    burned_mean: float
    burned_p95: float
    loop_ms: float
    paced_ms: float
    idle: float
    free: float


class Round(NamedTuple):
    """Of one runtime: what its turns took, and how free the machine was, the least of before and after each of them."""

    times: Mapping[Kind, Times]
    free: float


class Measured(NamedTuple):
    """By runtime: figures; or why there are none."""

    figures: dict[str, Figures]
    errors: dict[str, str]


def measure(model: BenchModel, names: Sequence[str], threads: int, rounds: int, turn_ms: float, idle_s: float) -> Measured:
    """What each runtime takes, or why it does not load the model.

    Each round is one turn of each kind of a phase for each runtime, in random order: a machine that is slow for a while is
    slow for all. What is compared with each other are a runtime's neighbouring turns.
    Raises PeerError where ours does not load the model.
    """
    shuffled, freedom = random.Random(0), Freedom(threads)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as processes:
        apart, errors = _start(model, names, threads, Path(folder), processes)
        taken: dict[str, list[list[Round]]] = {name: [[] for _ in PHASES] for name in apart}
        burns = processes.enter_context(_neighbour())

        def turn(process: Apart, kind: Kind) -> Times:
            burns(kind.burned)
            times = process.call("turn", int(kind.shared), turn_ms / 1e3, PERIOD_S if kind.paced else 0.0)
            burns(False)
            return np.array(times)

        burns(False)
        for phase, _ in product(range(len(PHASES)), range(rounds)):
            for name in shuffled.sample(list(apart), len(apart)):
                times, free = {}, [freedom.wait()]
                for kind in shuffled.sample(PHASES[phase], len(PHASES[phase])):
                    times[kind] = turn(apart[name], kind)
                    free.append(freedom.now())
                taken[name][phase].append(Round(times, min(free)))
        figures = {
            name: _figures(taken[name], [process.call("processor_time", 1, period) for period in (0.0, PERIOD_S)],
                           process.call("idle_percent", idle_s))
            for name, process in apart.items()
        }  # fmt: skip
    return Measured(figures, errors)


def _start(
    model: BenchModel, names: Sequence[str], threads: int, folder: Path, processes: ExitStack
) -> tuple[dict[str, Apart], dict[str, str]]:
    """A process for each runtime, and why others have none."""
    arrays = write_inputs(folder / "inputs.npz", model.inputs)
    apart: dict[str, Apart] = {}
    errors: dict[str, str] = {}
    for name in names:
        path = _file_of(name, model, folder)
        if path is None:
            errors[name] = f"no {backend(name).FORMAT} file"
            continue
        try:
            apart[name] = processes.enter_context(Apart(name, path, arrays, threads))
        except PeerError as error:
            if name == OURS:
                raise
            errors[name] = str(error)
    return apart, errors


def _file_of(name: str, model: BenchModel, folder: Path) -> Path | None:
    if name != OURS:
        return model.files.get(backend(name).FORMAT)
    path = folder / f"{model.name}.edge"
    exporter.export(model.files["onnx"], path, inputs=model.inputs, test_vectors=False)
    return path


def _figures(phases: Sequence[Sequence[Round]], processor_ms: Sequence[float], idle: float) -> Figures:
    free = [sum(r.free >= SHARE for r in rounds) for rounds in phases]
    looped, paced, burned = (
        [r.times for r in sorted(rounds, key=lambda r: -r.free)[: max(count, LEAST_ROUNDS)]]
        for rounds, count in zip(phases, free)
    )

    def speed_up(counted: Sequence[Mapping[Kind, Times]], one: Kind, more: Kind) -> Ratio:
        return median_ratio([(float(np.median(times[more])), float(np.median(times[one]))) for times in counted])

    def relative(kind: Kind) -> Times:
        return np.concatenate([times[kind] / times[ONE].mean() for times in burned])

    one, more = relative(BURNED_ONE), relative(BURNED_MORE)
    us, more_us = (float(np.median(np.concatenate([times[kind] for times in looped]))) * 1e6 for kind in (ONE, MORE))
    loop_ms, paced_ms = processor_ms
    return Figures(
        us, more_us, speed_up(looped, ONE, MORE), speed_up(paced, PACED_ONE, PACED_MORE),
        float(one.mean()), float(np.percentile(one, 95)), float(more.mean()), float(np.percentile(more, 95)),
        loop_ms, paced_ms, idle, sum(free) / sum(map(len, phases)),
    )  # fmt: skip


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


def table(rows: Sequence[tuple[str, str, Figures]]) -> str:
    """Markdown. rows: model, runtime, figures."""
    lines = [
        "| model | runtime | 1 thread, us | more, us | more, free | with pauses | 1, a core burned: mean (p95) "
        "| more, a core burned: mean (p95) "
        "| CPU ms a call, in a loop | one in 20 ms | idle, % | free rounds |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for model, name, f in rows:
        lines.append(
            f"| {model} | {name} | {f.us:.0f} | {f.more_us:.0f} | {_ratio(f.speed_up)} | {_ratio(f.paced_speed_up)} "
            f"| {f.burned_one_mean:.2f} ({f.burned_one_p95:.2f}) "
            f"| {f.burned_mean:.2f} ({f.burned_p95:.2f}) | {f.loop_ms:.2f} | {f.paced_ms:.2f} | {f.idle:.1f} "
            f"| {f.free:.0%} |"
        )
    return "\n".join(lines)


def _ratio(ratio: Ratio) -> str:
    return f"{ratio.value:.2f}x ±{ratio.spread * ratio.value:.2f}"


def add(commands: Any) -> None:
    """The command `burn`."""
    parser = commands.add_parser(
        "burn", help="threads, beside a busy core too",
        description="What more threads bring, beside a process that burns a core too, and the processor time they take.",
    )  # fmt: skip
    parser.add_argument("--models", nargs="+", default=["mobilenetv2"], metavar="NAME", help="default: mobilenetv2")
    parser.add_argument("--peers", nargs="*", default=list(PEERS), choices=list(PEERS), help="default: all")
    parser.add_argument("--threads", type=int, default=2, metavar="N", help="default: 2")
    parser.add_argument("--rounds", type=int, default=12, help="turns of each kind (default: 12)")
    parser.add_argument("--turn-ms", type=float, default=250, help="length of one (default: 250)")
    parser.add_argument("--idle-s", type=float, default=10, help="seconds of doing nothing (default: 10)")
    parser.set_defaults(function=_burn)


def _burn(options: argparse.Namespace) -> int:
    rows: list[tuple[str, str, Figures]] = []
    for model in map(find, options.models):
        names = (OURS, *options.peers)
        found = measure(model, names, options.threads, options.rounds, options.turn_ms, options.idle_s)
        for name, why in found.errors.items():
            print(f"{model.name}: {name}: {why}", file=sys.stderr, flush=True)
        added = [(model.name, name, figures) for name, figures in found.figures.items()]
        print("\n".join(table(added).splitlines()[2:]), file=sys.stderr, flush=True)
        rows += added
    print(table(rows))
    return 0
