"""Replays the test vectors of a bundle."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from edge_rt.model import Model

Array = np.ndarray[Any, Any]

TOLERANCE = 1e-3
"""Largest difference allowed for floats, relative to the output's largest magnitude; integers must be equal."""


class Difference(NamedTuple):
    """How far one output of one test vector is from what was stored."""

    vector: int
    signature: str
    output: str
    largest: float
    relative: float
    """`largest` over the largest magnitude of the stored output."""
    ok: bool


def replay(model: Model, signature: str | None = None) -> list[Difference]:
    """Runs every test vector (of one signature, if named) in a session of its own, and compares."""
    found = []
    for number, vector in enumerate(model.test_vectors):
        if signature not in (None, vector.signature):
            continue
        made = model.session().run(vector.inputs, signature=vector.signature)
        for name, stored in vector.outputs.items():
            largest, relative, ok = compare(made[name], stored)
            found.append(Difference(number, vector.signature, name, largest, relative, ok))
    return found


def compare(got: Array, stored: Array) -> tuple[float, float, bool]:
    """(largest difference, the same relative to the largest magnitude, whether it is allowed)."""
    if got.shape != stored.shape or got.dtype != stored.dtype:
        return float("inf"), float("inf"), False
    if stored.size == 0:
        return 0.0, 0.0, True
    if stored.dtype.kind not in "fc":
        differing = got != stored
        return float(np.count_nonzero(differing)), float(np.mean(differing)), not differing.any()
    wide = np.complex128 if stored.dtype.kind == "c" else np.float64
    same = (got == stored) | (np.isnan(got) & np.isnan(stored))
    with np.errstate(invalid="ignore"):
        error = np.where(same, 0, np.abs(got.astype(wide) - stored.astype(wide)))
    largest = float("inf") if np.isnan(error).any() else float(error.max())
    magnitude = float(np.abs(np.where(np.isfinite(stored), stored, 0)).max())
    relative = largest / magnitude if magnitude else largest
    return largest, relative, relative <= TOLERANCE
