"""Runtimes that take turns: ours and a peer's, one right after the other, again and again.

On one thread they do so in one process, and the time that counts is that of the clock on the wall or of the process,
whichever is less: what other processes take of a busy machine belongs to nobody here. (A runtime that sleeps while it hands
work over gains by that.) On several threads it is the clock on the wall, and each has a process of its own (apart.py).
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.peers import OURS
from bench.quiet import SHARE, Quiet
from bench.statistics import Ratio, median_ratio

Run = Callable[[], Any]
Take = Callable[[], "list[float]"]
"""A turn: gives its samples, in microseconds per call."""

SAMPLE_US = 50.0
"""Calls are timed together until a sample is at least so long: the clock itself takes a good part of a microsecond."""
LEAST_PAIRS, LEAST_SHARE = 7, 1 / 3
"""At least so many pairs are taken and count, and where too few are undisturbed at least this share of them: those least
disturbed."""
NEAR, LOOSE = 1.25, 4.0
"""Peers that are so much slower than the fastest are compared with so many times less precision."""
PATIENCE_S = 0.2
"""How long a pair waits for an undisturbed moment."""
REST_S, MOST_REST_S, IDLE = 0.025, 0.5, 0.1
"""After turns on several threads: helpers stop spinning, and are nobody else's burden. At least and at most so many
seconds, until the process uses no more of a processor than this; OpenMP's spin for 0.2 s."""


class Effort(NamedTuple):
    """How much is measured: pairs of turns of turn_ms each (at least one sample) until a ratio is known to within
    `precision`, at most `pairs` undisturbed ones for each peer, and, once each has LEAST_PAIRS, `seconds` in all."""

    pairs: int = 60
    turn_ms: float = 15.0
    precision: float = 0.012
    seconds: float = 60.0
    seed: int = 0
    memory: bool = True


class Pair(NamedTuple):
    """Samples of neighbouring turns, in microseconds per call. quiet: what the probe said, the lower of before and after."""

    ours: list[float]
    peer: list[float]
    quiet: float

    @property
    def is_quiet(self) -> bool:
        return self.quiet >= SHARE


class Turns(NamedTuple):
    """pairs: by peer, those that count. quiet: the share of all turns taken that were undisturbed."""

    pairs: dict[str, list[Pair]]
    quiet: float

    def samples(self, name: str) -> list[list[float]]:
        """A runtime's turns."""
        if name == OURS:
            return [pair.ours for pairs in self.pairs.values() for pair in pairs]
        return [pair.peer for pair in self.pairs[name]]

    def ratio(self, peer: str) -> Ratio:
        return _ratio(self.pairs[peer])


def take_turns(takes: Mapping[str, Take], threads: int, effort: Effort) -> Turns:
    """takes: by runtime; one is ours. The order of peers, and within a pair, is random."""
    chance, quiet = random.Random(effort.seed), Quiet(threads)
    taken: dict[str, list[Pair]] = {name: [] for name in takes if name != OURS}
    end = time.perf_counter() + effort.seconds

    def pair(peer: str) -> Pair:
        before = quiet.wait(min(end, time.perf_counter() + PATIENCE_S))
        first = chance.choice((OURS, peer))
        times = {name: takes[name]() for name in (first, peer if first == OURS else OURS)}
        return Pair(times[OURS], times[peer], min(before, quiet.now()))

    left = list(taken)
    while left:
        chance.shuffle(left)
        for peer in left:
            taken[peer].append(pair(peer))
        late = time.perf_counter() >= end
        counted = {peer: _counted(pairs) for peer, pairs in taken.items()}
        least = min(_ratio(pairs).value for pairs in counted.values())
        enough = {peer for peer in left if _is_enough(counted[peer], least, effort)}
        left = [peer for peer in left if (len(taken[peer]) < LEAST_PAIRS if late else peer not in enough)]
    quiet.keep()
    together = [p.is_quiet for pairs in taken.values() for p in pairs]
    return Turns(counted, sum(together) / len(together))


def _counted(pairs: Sequence[Pair]) -> list[Pair]:
    ordered = sorted(pairs, key=lambda pair: -pair.quiet)
    undisturbed = sum(pair.is_quiet for pair in pairs)
    if undisturbed < LEAST_PAIRS:
        return ordered[: max(LEAST_PAIRS, math.ceil(LEAST_SHARE * len(ordered)))]
    return ordered[:undisturbed]


def _is_enough(pairs: Sequence[Pair], least: float, effort: Effort) -> bool:
    ratio = _ratio(pairs)
    wanted = effort.precision * (LOOSE if ratio.value > NEAR * least else 1)
    quiet = sum(pair.is_quiet for pair in pairs)
    return quiet >= effort.pairs or (quiet >= LEAST_PAIRS and ratio.spread <= wanted)


def _ratio(pairs: Sequence[Pair]) -> Ratio:
    return median_ratio([(float(np.median(p.ours)), float(np.median(p.peer))) for p in pairs])


def turn_of(run: Run, turn_ms: float) -> Take:
    """Turns of an inference that one thread of this process does."""
    calls = calls_per_sample(run, True)
    return lambda: take_samples(run, True, calls, turn_ms)


def rest() -> None:
    """Until helpers of this process have come to rest."""
    end = time.perf_counter() + MOST_REST_S
    used = math.inf
    while used > IDLE and time.perf_counter() < end:
        before, begin = time.process_time(), time.perf_counter()
        time.sleep(REST_S)
        used = (time.process_time() - before) / (time.perf_counter() - begin)


def calls_per_sample(run: Run, is_alone: bool) -> int:
    """As many as take SAMPLE_US, by the median of a few calls: a clock of processor time may stand still where a process
    changes its CPU. is_alone: on one thread, here and below."""
    run()
    end, tries = time.perf_counter() + 0.1, [_sample(run, is_alone, 1)]
    while time.perf_counter() < end:
        tries.append(_sample(run, is_alone, 1))
    return max(1, round(SAMPLE_US / float(np.median(tries))))


def take_samples(run: Run, is_alone: bool, calls: int, turn_ms: float) -> list[float]:
    """A call that brings weights and arena back into the caches, then samples until the time is up."""
    run()
    end = time.perf_counter() + turn_ms / 1e3
    samples = [_sample(run, is_alone, calls)]
    while time.perf_counter() < end:
        samples.append(_sample(run, is_alone, calls))
    return samples


def _sample(run: Run, is_alone: bool, calls: int) -> float:
    used, begin = time.process_time_ns(), time.perf_counter_ns()
    for _ in range(calls):
        run()
    taken = time.perf_counter_ns() - begin
    if is_alone:
        taken = min(taken, time.process_time_ns() - used)
    return taken / 1e3 / calls
