"""Measures one model on several runtimes that take turns."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import exporter
from bench.models import BenchModel
from bench.peers import OURS, Engine, backend
from bench.statistics import Summary, summary, turn_ratio
from exporter.verify import compare, instability

Array = np.ndarray[Any, Any]

SAMPLE_US = 50.0
"""Calls are timed together until a sample is at least so long: the clock itself takes a good part of a microsecond."""
LOADS = 3
"""How often a model is loaded for the load time, after a first time that imports and compiles."""


class Effort(NamedTuple):
    """How much is measured. rounds: turns of each runtime; turn_ms: how long a turn is, at least one sample."""

    rounds: int = 15
    turn_ms: float = 100.0
    seed: int = 0


class Timing(NamedTuple):
    """One runtime. load_ms: to a model ready to run; first_ms: its first inference."""

    backend: str
    us: Summary
    load_ms: float
    first_ms: float


class Result(NamedTuple):
    """One model on some number of threads. ratios: peer time / our time. difference: the largest between our
    outputs and the peers', relative to the output's largest magnitude."""

    model: str
    threads: int
    timings: tuple[Timing, ...]
    ratios: dict[str, float]
    difference: float

    @property
    def fastest_peer(self) -> str:
        return min(self.ratios, key=lambda peer: self.ratios[peer])

    @property
    def ratio(self) -> float:
        """To the fastest peer: above 1 we are faster."""
        return self.ratios[self.fastest_peer]


class _Oracle:
    """An engine as exporter.verify asks for it."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.name, self.engine = name, engine

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self.engine.outputs(inputs)


def measure(model: BenchModel, peers: Sequence[str], threads: int, folder: Path, effort: Effort) -> Result:
    """Exports the model into `folder`, loads it everywhere, checks that outputs agree, and takes times.

    Raises VerificationError where outputs differ, and what export and the runtimes raise.
    """
    bundle = folder / f"{model.name}.edge"
    exporter.export(model.files["onnx"], bundle, inputs=model.inputs, test_vectors=False)
    files = {**model.files, "edge": bundle}
    backends = [OURS, *peers]
    paths = {name: files[backend(name).FORMAT] for name in backends}
    engines = {name: backend(name).open_model(paths[name], threads) for name in backends}
    difference = _check(engines, peers, model.inputs)
    starts = {name: [_start(name, paths[name], threads, model.inputs) for _ in range(LOADS)] for name in backends}
    turns = _take_turns(engines, model.inputs, effort)
    timings = tuple(
        Timing(name, summary(turns[name]), *(float(np.median(t)) for t in zip(*starts[name]))) for name in backends
    )
    return Result(model.name, threads, timings, {p: turn_ratio(turns[p], turns[OURS]) for p in peers}, difference)


def _check(engines: Mapping[str, Engine], peers: Sequence[str], inputs: Mapping[str, Array]) -> float:
    got, largest = engines[OURS].outputs(inputs), 0.0
    for peer in peers:
        expected = engines[peer].outputs(inputs)
        allowed = instability(_Oracle(peer, engines[peer]), inputs, expected)
        largest = max(largest, *(d.relative for d in compare(expected, got, allowed)))
    return largest


def _start(name: str, path: Path, threads: int, inputs: Mapping[str, Array]) -> tuple[float, float]:
    """Milliseconds of loading, and of the first inference."""
    begin = time.perf_counter()
    engine = backend(name).open_model(path, threads)
    loaded = time.perf_counter()
    engine.run(inputs)
    return (loaded - begin) * 1e3, (time.perf_counter() - loaded) * 1e3


def _take_turns(
    engines: Mapping[str, Engine], inputs: Mapping[str, Array], effort: Effort
) -> dict[str, list[list[float]]]:
    """Samples of each turn, in microseconds per call; the runtimes come in another order each round."""
    order, shuffle = list(engines), random.Random(effort.seed).shuffle
    counts = {name: _calls_per_sample(engine, inputs) for name, engine in engines.items()}
    turns: dict[str, list[list[float]]] = {name: [] for name in engines}
    for _ in range(effort.rounds):
        shuffle(order)
        for name in order:
            turns[name].append(_turn(engines[name], inputs, counts[name], effort.turn_ms))
    return turns


def _calls_per_sample(engine: Engine, inputs: Mapping[str, Array]) -> int:
    least = min(_sample(engine, inputs, 1) for _ in range(20))
    return max(1, round(SAMPLE_US / least))


def _turn(engine: Engine, inputs: Mapping[str, Array], calls: int, turn_ms: float) -> list[float]:
    """A call that brings weights and arena back into the caches, then samples until the time is up."""
    engine.run(inputs)
    end = time.perf_counter() + turn_ms / 1e3
    samples = [_sample(engine, inputs, calls)]
    while time.perf_counter() < end:
        samples.append(_sample(engine, inputs, calls))
    return samples


def _sample(engine: Engine, inputs: Mapping[str, Array], calls: int) -> float:
    run = engine.run
    begin = time.perf_counter_ns()
    for _ in range(calls):
        run(inputs)
    return (time.perf_counter_ns() - begin) / 1e3 / calls
