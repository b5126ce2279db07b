"""Operators that only move elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.cases._case import Case, normal


def _ints(*values: int) -> Any:
    return np.array(values, np.int64)


_X = normal(2, 3, 4, 5)
_TYPES = (np.float32, np.float16, np.int8, np.int64, bool)

CASES = [
    Case("Dropout", _X),
    *(Case(op, _X, *more, native=True, **attrs) for op, more, attrs in (
        ("Identity", (), {}), ("Reshape", (_ints(6, 20),), {}), ("Flatten", (), {"axis": 2}),
        ("Unsqueeze", (_ints(0),), {}),
    )),
    Case("Squeeze", _X[:1], _ints(0), native=True),
    *(Case("Transpose", _X.astype(t), perm=p, native=True, name=f"{t.__name__}-{p}")
      for t in _TYPES for p in ((0, 2, 3, 1), (3, 2, 1, 0), (0, 1, 3, 2), (1, 0, 2, 3), (2, 3, 0, 1))),
    *(Case("Transpose", normal(*s), native=True)
      for s in ((1, 7), (67, 130), (8, 8), (16, 5), (5, 16), (0, 3), (4, 4), (3,))),
    Case("Transpose", normal(2, 33, 70), perm=(0, 2, 1), native=True, name="batched"),
    *(Case("Transpose", normal(2, c, 9, 11).astype(t), perm=(0, 2, 3, 1), native=True, name=f"{c}-planes-{t.__name__}")
      for t in _TYPES for c in (2, 3, 4)),
    Case("Transpose", normal(2, 3, 2, 3, 2, 3), perm=(5, 3, 1, 4, 2, 0), native=True, name="6-d"),
    Case("Transpose", np.array(3.0, np.float32), native=True, name="scalar"),
    *(Case("DepthToSpace", normal(2, 12, 3, 5), blocksize=2, mode=m, native=True, name=m) for m in ("DCR", "CRD")),
    Case("SpaceToDepth", normal(2, 3, 4, 6), blocksize=2, native=True),
    Case("Expand", normal(3, 1, 5), _ints(2, 3, 4, 5), native=True),
    Case("Expand", normal(1), _ints(70), native=True),
    Case("Expand", _X, _ints(1), native=True, name="same"),
    Case("Tile", normal(2, 3), _ints(3, 4), native=True),
    Case("Tile", normal(2, 3), _ints(0, 4), native=True, name="none"),
    Case("Concat", _X, normal(2, 1, 4, 5), normal(2, 0, 4, 5), axis=1, native=True),
    *(Case("Concat", _X.astype(t), _X.astype(t), axis=-1, native=True, name=f"last-{t.__name__}") for t in _TYPES),
    Case("Concat", _X, axis=1, native=True, name="one"),
    Case("Concat", normal(70_000), normal(9), axis=0, native=True, name="long"),
    Case("Split", _X, axis=3, num_outputs=2, native=True),
    Case("Split", _X, _ints(1, 0, 2), axis=1, num_outputs=3, native=True),
    Case("Slice", _X, _ints(0, 1), _ints(2, 3), _ints(1, -1), native=True),
    Case("Slice", _X, _ints(-1, 3), _ints(-100, 0), _ints(2, 3), _ints(-1, -2), native=True, name="backwards"),
    Case("Slice", _X, _ints(1), _ints(1 << 40), _ints(0), native=True, name="to-the-end"),
    Case("Slice", _X, _ints(3), _ints(2), _ints(3), native=True, name="empty"),
    Case("Slice", normal(1000), _ints(1), _ints(999), _ints(0), _ints(3), native=True, name="steps"),
    Case("Pad", _X, _ints(0, 1, 2, 0, 0, 1, 0, 3), native=True),
    Case("Pad", _X, _ints(0, 1, 2, 0, 1, 1, 0, 3), np.array(1.5, np.float32), native=True, name="value"),
    Case("Pad", _X, _ints(2, -1, 1, -2), None, _ints(1, 3), native=True, name="cropping"),
    *(Case("Pad", _X.astype(np.int8), _ints(1, 2, 2, 3), None, _ints(2, -1), mode=m, native=True, name=m)
      for m in ("reflect", "edge", "wrap", "constant")),
    *(Case("Pad", normal(3), _ints(5, 7), mode=m, native=True, name=f"far-{m}") for m in ("reflect", "edge", "wrap")),
    Case("CenterCropPad", normal(5, 4, 3), _ints(3, 7), axes=(0, 1), native=True),
]  # fmt: skip
