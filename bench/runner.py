"""Measures one model on several runtimes that take turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import exporter
from bench.apart import Apart, write_inputs
from bench.errors import Refused
from bench.memory import Memory, measure_memory
from bench.models import BenchModel
from bench.peers import OURS, Engine, PeerError, backend
from bench.statistics import Ratio, Summary, summary
from bench.turns import Effort, Take, take_turns, turn_of
from edge_rt.errors import VerificationError
from exporter.verify import Difference, compare, instability

Array = np.ndarray[Any, Any]

LOADS = 3
"""How often a model is loaded for the load time, after a first time that imports and compiles."""
INT8_BOUND = 0.25
"""Allowed between int8 models that different converters quantised, in terms of the output's norm; more where quantising
itself changes the outputs more than that."""


class Timing(NamedTuple):
    """One runtime. load_ms: to a model ready to run; first_ms: its first inference. memory: in a fresh process."""

    backend: str
    us: Summary
    load_ms: float
    first_ms: float
    memory: Memory | None


class Result(NamedTuple):
    """One model on some number of threads. ratios: peer time / our time. difference: the largest between our
    outputs and the peers', relative to the output's largest magnitude. absent: peers left out, and why. quiet: the share of
    turns in which the machine was undisturbed."""

    model: str
    threads: int
    timings: tuple[Timing, ...]
    ratios: dict[str, Ratio]
    difference: float
    absent: dict[str, str]
    quiet: float

    @property
    def fastest_peer(self) -> str:
        return min(self.ratios, key=lambda peer: self.ratios[peer].value)

    @property
    def ratio(self) -> Ratio:
        """To the fastest peer: above 1 we are faster."""
        return self.ratios[self.fastest_peer]

    @property
    def memory_ratio(self) -> float | None:
        """The smallest resident memory of the peers / ours; None if it was not measured."""
        found = {t.backend: t.memory.rss for t in self.timings if t.memory is not None}
        ours = found.pop(OURS, None)
        return min(found.values()) / ours if ours and found else None


class _Oracle:
    """An engine as exporter.verify asks for it."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.name, self.engine = name, engine

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self.engine.outputs(inputs)


def measure(
    model: BenchModel, peers: Sequence[str], threads: int, folder: Path, effort: Effort, tell: Callable[[str], None]
) -> Result:
    """Exports the model into `folder`, loads it everywhere, checks that outputs agree, and takes times.

    A peer without a file of the model, or whose outputs are not those of the first peer that has one, is left out. `tell`
    hears whose turn it is whenever a runtime could end the process. Raises VerificationError where our outputs differ from
    the first peer's, Refused if there is no peer left, and what export and the runtimes raise.
    """
    bundle = folder / f"{model.name}.edge"
    exporter.export(model.files["onnx"], bundle, inputs=model.inputs, test_vectors=False)
    files = {**model.files, "edge": bundle}
    formats = {peer: backend(peer).FORMAT for peer in peers}
    absent = {p: model.missing.get(f, f"no {f} file") for p, f in formats.items() if f not in files}
    paths = {name: files[backend(name).FORMAT] for name in (OURS, *peers) if name not in absent}
    engines: dict[str, Engine] = {}
    for name, path in paths.items():
        tell(name)
        try:
            engines[name] = backend(name).open_model(path, threads)
            engines[name].outputs(model.inputs)
        except PeerError as error:
            absent[name] = str(error)
            engines.pop(name, None)
    tell(OURS)
    difference, wrong = check_outputs(engines, model)
    absent |= wrong
    backends = [name for name in engines if name not in wrong]
    starts, memory = {}, {}
    for name in backends:
        tell(name)
        starts[name] = [_start(name, paths[name], threads, model.inputs) for _ in range(LOADS)]
        if effort.memory:
            memory[name] = measure_memory(name, paths[name], model.inputs, threads)
    tell(OURS)
    with ExitStack() as processes:
        if threads == 1:
            takes = {name: _turn_of(engines[name], model.inputs, effort.turn_ms) for name in backends}
        else:
            engines.clear()
            arrays = write_inputs(folder / "inputs.npz", model.inputs)
            apart = {name: processes.enter_context(Apart(name, paths[name], arrays, threads)) for name in backends}
            takes = {name: process.taker(effort.turn_ms) for name, process in apart.items()}
        turns = take_turns(takes, threads, effort)
    timings = tuple(
        Timing(name, summary(turns.samples(name)), *(float(np.median(t)) for t in zip(*starts[name])), memory.get(name))
        for name in backends
    )
    ratios = {peer: turns.ratio(peer) for peer in backends[1:]}
    return Result(model.name, threads, timings, ratios, difference, absent, turns.quiet)


def _turn_of(engine: Engine, inputs: Mapping[str, Array], turn_ms: float) -> Take:
    prepared = engine.prepare(inputs)
    return turn_of(lambda: engine.run(prepared), turn_ms)


def check_outputs(engines: Mapping[str, Engine], model: BenchModel) -> tuple[float, dict[str, str]]:
    """Compares all outputs with the first peer's. Gives the largest relative difference that is allowed and occurs, and
    the peers that are wrong, with the reason. Raises VerificationError if ours are, Refused if there is no peer."""
    peers = [name for name in engines if name != OURS]
    if not peers:
        raise Refused("no peer has a file of this model; `python -m bench zoo` makes them")
    first = peers[0]
    expected = engines[first].outputs(model.inputs)
    allowed = instability(_Oracle(first, engines[first]), model.inputs, expected)
    bound = _int8_bound(model, expected) if model.is_int8 else 0.0
    largest, wrong = 0.0, {}
    for name in (OURS, *peers[1:]):
        got = engines[name].outputs(model.inputs)
        try:
            got = _named(expected, got)
            found = _compare_int8(expected, got, bound) if model.is_int8 else compare(expected, got, allowed)
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


def _int8_bound(model: BenchModel, expected: Mapping[str, Array]) -> float:
    """INT8_BOUND, or how far the outputs are from those of the float model."""
    if model.plain is None:
        return INT8_BOUND
    plain = _named(expected, backend("onnxruntime").open_model(model.plain, 1).outputs(model.inputs))
    return max(INT8_BOUND, *(_distance(array, plain[name]) for name, array in expected.items()))


def _distance(array: Array, other: Array) -> float:
    """The norm of the difference, relative to that of `array`."""
    return float(np.linalg.norm(other.astype(np.float64) - array) / np.linalg.norm(array))


def _compare_int8(expected: Mapping[str, Array], got: Mapping[str, Array], bound: float) -> list[Difference]:
    found = []
    for name, array in expected.items():
        relative = _distance(array, got[name])
        found.append(Difference(name, float(np.abs(got[name].astype(np.float64) - array).max()), relative))
        if not relative <= bound:
            raise VerificationError(f"{name}: differs by {relative:.2g} of its norm, allowed are {bound:.2g}")
    return found


def _start(name: str, path: Path, threads: int, inputs: Mapping[str, Array]) -> tuple[float, float]:
    """Milliseconds of loading, and of the first inference."""
    begin = time.perf_counter()
    engine = backend(name).open_model(path, threads)
    loaded = time.perf_counter()
    engine.run(engine.prepare(inputs))
    return (loaded - begin) * 1e3, (time.perf_counter() - loaded) * 1e3
