"""Finds out from values alone whether weights are small integers times a scale, or exact in float16; or rounds them so.

Columns are what share a scale. Values v of a column are integers n times s if s = max |v| / m for some m: the smallest m
up to the number of steps for which all v * m / max |v| are integers is looked for, with few values first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

BITS = {"int8": 8, "int4": 4}
ULPS = 4
"""Units in the last place by which a value may change: what two or three roundings leave, where passes multiplied weights
by something (a folded batch normalisation). Weights that nothing was done to come out as they are."""
ROUNDING = 4e-7
"""Relative error that these roundings may leave in v / max |v|."""
PROBED_COLUMNS = 8
"""Columns that are looked at first: most weights are no multiples of anything, and show it there."""
ROWS = (8, 64)
"""Values of a column that are looked at first; then all."""
NEIGHBOURS = (0, 1, -1, 2, -2)
"""Units in the last place by which the scale may be off when computed from the largest value alone."""


class Integers(NamedTuple):
    """Columns as float32((q - zero) * scale). q: int8[k, columns], within `bits`; scale: float32[columns]; zero:
    int8[columns], None where all are 0."""

    q: Array
    scale: Array
    zero: Array | None

    def decoded(self) -> Array:
        moved = self.q.astype(np.int16)
        if self.zero is not None:
            moved -= self.zero
        return moved.astype(np.float32) * self.scale


def exact_integers(values: Array, bits: int) -> Integers | None:
    """Columns float32[k, columns] as integers of so many bits that give all values to within ULPS, if there are any."""
    few = values[:, :: max(1, values.shape[1] // PROBED_COLUMNS)]
    return None if _integers(few, bits) is None else _integers(values, bits)


def _integers(values: Array, bits: int) -> Integers | None:
    largest = np.abs(values).max(axis=0, initial=0).astype(np.float64)
    steps = (1 << bits) - 1
    if not np.isfinite(largest).all() or (largest.size and largest.max() > np.finfo(np.float32).max / 2):
        return None
    is_zero = largest == 0
    # Subnormal numbers are not off by a relative error.
    if (largest[~is_zero] < 1e-30).any():
        return None
    count = np.ones(len(largest), np.int64)
    pending = np.flatnonzero(~is_zero)
    scale = np.ones(len(largest), np.float32)
    n = np.zeros(values.shape, np.int16)
    for rows in (*(r for r in ROWS if r < len(values)), len(values)):
        if not pending.size:
            break
        sample = values[np.linspace(0, len(values) - 1, rows).astype(int)][:, pending]
        count[pending] = _smallest(sample, largest[pending], count[pending], steps)
        if (count[pending] > steps).any():
            return None
        columns = values[:, pending]
        scale[pending] = _scale(columns, largest[pending], count[pending])
        n[:, pending] = np.rint(columns * (count[pending] / largest[pending]))
        off = np.abs(n[:, pending] * scale[pending] - columns) > ULPS * np.spacing(np.abs(columns))
        pending = pending[off.any(axis=0)]
    if pending.size:
        return None
    return _shifted(n, scale, bits)


def _smallest(sample: Array, largest: Array, first: Array, steps: int) -> Array:
    """For each column the smallest m from `first` on that makes all its values integers; steps + 1 where there is none."""
    ratio = sample / largest
    if ratio.size <= 256:
        all_m = np.arange(1, steps + 1)[:, None]
        scaled = ratio * all_m[..., None]
        fits = (np.abs(scaled - np.rint(scaled)) <= all_m[..., None] * ROUNDING).all(axis=1) & (all_m >= first)
        return np.asarray(np.where(fits.any(axis=0), fits.argmax(axis=0) + 1, steps + 1))
    found = np.full(len(largest), steps + 1, np.int64)
    left = np.arange(len(largest))
    for m in range(int(first.min(initial=steps)), steps + 1):
        scaled = ratio * m
        fits = (np.abs(scaled - np.rint(scaled)) <= m * ROUNDING).all(axis=0) & (first[left] <= m)
        if fits.any():
            found[left[fits]] = m
            left, ratio = left[~fits], ratio[:, ~fits]
            if not left.size:
                break
    return found


def _scale(columns: Array, largest: Array, count: Array) -> Array:
    """The float32 near largest / count that gives most values exactly."""
    base = (largest / count).astype(np.float32)
    sample = columns[:: max(1, len(columns) // ROWS[1])]
    n = np.rint(sample * (count / largest)).astype(np.float32)
    tried = np.stack([(base.view(np.int32) + k).view(np.float32) for k in NEIGHBOURS])
    exact = np.stack([(n * s == sample).sum(axis=0) for s in tried])
    return np.asarray(tried[exact.argmax(axis=0), np.arange(len(base))])


def _shifted(n: Array, scale: Array, bits: int) -> Integers | None:
    """Zero points that bring integers within the range of so many bits, where it is wide enough."""
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    least, most = n.min(axis=0, initial=0), n.max(axis=0, initial=0)
    zero = np.where(least < low, low - least, np.minimum(high - most, 0))
    if ((least + zero < low) | (most + zero > high)).any():
        return None
    if not zero.any():
        return Integers(n.astype(np.int8), scale, None)
    return Integers((n + zero).astype(np.int8), scale, zero.astype(np.int8))


def rounded_integers(values: Array, bits: int) -> Integers:
    """Columns float32[k, columns] rounded to integers of so many bits, symmetric about 0. values must be finite."""
    top = (1 << (bits - 1)) - 1
    largest = np.abs(values).max(axis=0, initial=0)
    scale = np.where(largest > 0, largest / np.float32(top), np.float32(1)).astype(np.float32)
    # A scale that underflows leaves nothing to divide by.
    scale[scale == 0] = 1
    return Integers(np.clip(np.rint(values / scale), -top, top).astype(np.int8), scale, None)


def is_exact_in_float16(values: Array) -> bool:
    """Whether rounding to float16 changes no value."""
    flat = values.reshape(-1)
    with np.errstate(over="ignore"):
        for part in (flat[:: max(1, flat.size // 256)], flat):
            if not (part.astype(np.float16).astype(np.float32) == part).all():
                return False
    return True
