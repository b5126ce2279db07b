"""Selection of boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.cases._case import Case, normal


def _boxes(batch: int, n: int, seed: int = 0) -> Any:
    """Two corners of each, in any order; some without area, some equal."""
    rng = np.random.default_rng(seed)
    first = rng.random((batch, n, 2))
    boxes = np.concatenate([first, first + rng.uniform(-0.3, 0.5, (batch, n, 2))], axis=2).astype(np.float32)
    boxes[:, 1::7] = boxes[:, ::7][:, : len(boxes[0, 1::7])]
    boxes[:, 3, 2:] = boxes[:, 3, :2]
    return boxes


def _scores(*shape: int) -> Any:
    """With equal ones."""
    return np.round(np.random.default_rng(1).random(shape), 2).astype(np.float32)


def _one(value: float) -> Any:
    return np.array([value], np.float32)


_LIMIT = np.array([7])
CASES = [
    Case("edge.SelectBoxes", _boxes(2, 60), _scores(2, 3, 60), _LIMIT, _one(0.3), _one(0.4), native=True),
    Case("edge.SelectBoxes", _boxes(2, 60), _scores(2, 3, 60), _LIMIT, _one(0.0), native=True, name="no-threshold"),
    Case("edge.SelectBoxes", _boxes(1, 60), _scores(1, 2, 60), np.array([1 << 40]), None, _one(0.1), native=True,
         name="no-limit"),
    Case("edge.SelectBoxes", np.abs(_boxes(1, 40)), _scores(1, 2, 40), _LIMIT, _one(0.5), _one(0.2), center_point_box=1,
         native=True, name="centres"),
    Case("edge.SelectBoxes", _boxes(1, 5), _scores(1, 2, 5), np.array([0]), _one(0.5), native=True, name="none-wanted"),
    Case("edge.SelectBoxes", _boxes(1, 5), -_scores(1, 2, 5), _LIMIT, _one(0.5), _one(0.0), native=True, name="none-found"),
    Case("edge.SelectBoxes", normal(1, 0, 4), normal(1, 2, 0), _LIMIT, _one(0.5), _one(0.0), native=True, name="no-boxes"),
]  # fmt: skip
