"""Numbers out of times."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np


class Summary(NamedTuple):
    """Microseconds per call: over all samples of all turns."""

    median: float
    p95: float
    least: float


def summary(turns: Sequence[Sequence[float]]) -> Summary:
    """turns: the samples of each turn."""
    samples = np.concatenate([np.asarray(turn) for turn in turns])
    return Summary(float(np.median(samples)), float(np.percentile(samples, 95)), float(samples.min()))


def turn_ratio(peer: Sequence[Sequence[float]], ours: Sequence[Sequence[float]]) -> float:
    """Peer time / our time: the median over rounds of the ratio of the medians within a round.

    Both sides of each ratio come from neighbouring turns, so a machine that is slow for a while is slow for both.
    """
    return float(np.median([np.median(p) / np.median(o) for p, o in zip(peer, ours, strict=True)]))


def geometric_mean(values: Iterable[float]) -> float:
    """NaN if there are none."""
    logs = [math.log(v) for v in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan
