"""Measures one model on several runtimes that take turns."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import exporter
from bench.memory import Memory, measure_memory
from bench.models import BenchModel
from bench.peers import OURS, Engine, PeerError, backend
from bench.statistics import Summary, summary, turn_ratio
from edge_rt.errors import VerificationError
from exporter.verify import Difference, compare, instability

Array = np.ndarray[Any, Any]

SAMPLE_US = 50.0
"""Calls are timed together until a sample is at least so long: the clock itself takes a good part of a microsecond."""
LOADS = 3
"""How often a model is loaded for the load time, after a first time that imports and compiles."""


REST_S = 0.025
"""Between turns on several threads: helpers of the runtime before stop spinning, and are nobody else's burden."""
INT8_BOUND = 0.25
"""Allowed between int8 models that different converters quantised: the norm of the difference / that of the output."""


class Effort(NamedTuple):
    """How much is measured. rounds: turns of each runtime; turn_ms: how long a turn is, at least one sample."""

    rounds: int = 15
    turn_ms: float = 100.0
    seed: int = 0
    memory: bool = True


class Timing(NamedTuple):
    """One runtime. load_ms: to a model ready to run; first_ms: its first inference. memory: in a fresh process."""

    backend: str
    us: Summary
    load_ms: float
    first_ms: float
    memory: Memory | None


class Result(NamedTuple):
    """One model on some number of threads. ratios: peer time / our time. difference: the largest between our
    outputs and the peers', relative to the output's largest magnitude. absent: peers left out, and why."""

    model: str
    threads: int
    timings: tuple[Timing, ...]
    ratios: dict[str, float]
    difference: float
    absent: dict[str, str]

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

    A peer without a file of the model, or whose outputs are not those of the first peer that has one, is left out.
    Raises VerificationError where our outputs differ from the first peer's, ValueError if there is no peer left, and
    what export and the runtimes raise.
    """
    bundle = folder / f"{model.name}.edge"
    exporter.export(model.files["onnx"], bundle, inputs=model.inputs, test_vectors=False)
    files = {**model.files, "edge": bundle}
    absent = {peer: f"no {backend(peer).FORMAT} file" for peer in peers if backend(peer).FORMAT not in files}
    paths = {name: files[backend(name).FORMAT] for name in (OURS, *peers) if name not in absent}
    engines: dict[str, Engine] = {}
    for name, path in paths.items():
        try:
            engines[name] = backend(name).open_model(path, threads)
        except PeerError as error:
            absent[name] = str(error)
    difference, wrong = check_outputs(engines, model)
    absent |= wrong
    backends = [name for name in engines if name not in wrong]
    starts = {name: [_start(name, paths[name], threads, model.inputs) for _ in range(LOADS)] for name in backends}
    memory = {name: measure_memory(name, paths[name], model.inputs, threads) for name in backends * effort.memory}
    prepared = {name: (engines[name], engines[name].prepare(model.inputs)) for name in backends}
    turns = _take_turns(prepared, effort, REST_S if threads > 1 else 0.0)
    timings = tuple(
        Timing(name, summary(turns[name]), *(float(np.median(t)) for t in zip(*starts[name])), memory.get(name))
        for name in backends
    )
    ratios = {peer: turn_ratio(turns[peer], turns[OURS]) for peer in backends[1:]}
    return Result(model.name, threads, timings, ratios, difference, absent)


def check_outputs(engines: Mapping[str, Engine], model: BenchModel) -> tuple[float, dict[str, str]]:
    """Compares all outputs with the first peer's. Gives the largest relative difference that is allowed and occurs, and
    the peers that are wrong, with the reason. Raises VerificationError if ours are, ValueError if there is no peer."""
    peers = [name for name in engines if name != OURS]
    if not peers:
        raise ValueError("no peer has a file of this model; `python -m bench zoo` makes them")
    first = peers[0]
    expected = engines[first].outputs(model.inputs)
    allowed = instability(_Oracle(first, engines[first]), model.inputs, expected)
    largest, wrong = 0.0, {}
    for name in (OURS, *peers[1:]):
        got = engines[name].outputs(model.inputs)
        try:
            got = _named(expected, got)
            found = _compare_int8(expected, got) if model.is_int8 else compare(expected, got, allowed)
            largest = max(largest, *(d.relative for d in found))
        except VerificationError as error:
            if name == OURS:
                raise
            wrong[name] = str(error)
    return largest, wrong


def _named(expected: Mapping[str, Array], got: Mapping[str, Array]) -> Mapping[str, Array]:
    """`got` by the names of `expected`: where a file format has lost them, outputs of one shape are in the same order."""
    if got.keys() == expected.keys():
        return got
    if sorted(a.shape for a in got.values()) != sorted(a.shape for a in expected.values()):
        shapes = ", ".join(f"{list(a.shape)}" for a in got.values())
        raise VerificationError(f"outputs have the shapes {shapes}")
    left = list(got.values())
    return {name: left.pop([a.shape for a in left].index(array.shape)) for name, array in expected.items()}


def _compare_int8(expected: Mapping[str, Array], got: Mapping[str, Array]) -> list[Difference]:
    found = []
    for name, array in expected.items():
        difference = got[name].astype(np.float64) - array
        relative = float(np.linalg.norm(difference) / np.linalg.norm(array))
        found.append(Difference(name, float(np.abs(difference).max()), relative))
        if not relative <= INT8_BOUND:
            raise VerificationError(f"{name}: differs by {relative:.2g} of its norm, allowed are {INT8_BOUND}")
    return found


def _start(name: str, path: Path, threads: int, inputs: Mapping[str, Array]) -> tuple[float, float]:
    """Milliseconds of loading, and of the first inference."""
    begin = time.perf_counter()
    engine = backend(name).open_model(path, threads)
    loaded = time.perf_counter()
    engine.run(engine.prepare(inputs))
    return (loaded - begin) * 1e3, (time.perf_counter() - loaded) * 1e3


def _take_turns(engines: Mapping[str, tuple[Engine, Any]], effort: Effort, rest_s: float) -> dict[str, list[list[float]]]:
    """Samples of each turn, in microseconds per call; the runtimes come in another order each round.

    engines: with their prepared inputs. rest_s: seconds of sleep before each turn.
    """
    order, shuffle = list(engines), random.Random(effort.seed).shuffle
    counts = {name: _calls_per_sample(*engine) for name, engine in engines.items()}
    turns: dict[str, list[list[float]]] = {name: [] for name in engines}
    for _ in range(effort.rounds):
        shuffle(order)
        for name in order:
            time.sleep(rest_s)
            turns[name].append(_turn(*engines[name], counts[name], effort.turn_ms))
    return turns


def _calls_per_sample(engine: Engine, inputs: Any) -> int:
    """As many as take SAMPLE_US, by the fastest of a few calls."""
    least, end = _sample(engine, inputs, 1), time.perf_counter() + 0.1
    while time.perf_counter() < end:
        least = min(least, _sample(engine, inputs, 1))
    return max(1, round(SAMPLE_US / least))


def _turn(engine: Engine, inputs: Any, calls: int, turn_ms: float) -> list[float]:
    """A call that brings weights and arena back into the caches, then samples until the time is up."""
    engine.run(inputs)
    end = time.perf_counter() + turn_ms / 1e3
    samples = [_sample(engine, inputs, calls)]
    while time.perf_counter() < end:
        samples.append(_sample(engine, inputs, calls))
    return samples


def _sample(engine: Engine, inputs: Any, calls: int) -> float:
    run = engine.run
    begin = time.perf_counter_ns()
    for _ in range(calls):
        run(inputs)
    return (time.perf_counter_ns() - begin) / 1e3 / calls
