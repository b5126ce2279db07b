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


class Ratio(NamedTuple):
    """A median, and the bounds between which it lies with a certainty of 95 %, whatever the distribution."""

    value: float
    low: float
    high: float

    @property
    def spread(self) -> float:
        """Half of the distance between the bounds, relative to the value."""
        return (self.high - self.low) / 2 / self.value


def median_ratio(pairs: Sequence[tuple[float, float]]) -> Ratio:
    """The median of peer / ours. pairs: of times that neighbouring turns took, ours and the peer's.

    A machine that is slow for a while is slow for both.
    """
    ratios = sorted(peer / ours for ours, peer in pairs)
    margin = 1.96 * math.sqrt(len(ratios))  # twice 1.96 standard deviations of how many of them lie below the median
    outside = max(0, math.floor((len(ratios) - margin) / 2))
    return Ratio(float(np.median(ratios)), ratios[outside], ratios[-1 - outside])


def geometric_mean(values: Iterable[float]) -> float:
    """NaN if there are none."""
    logs = [math.log(v) for v in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan
