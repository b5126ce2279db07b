"""Reductions, ArgMax and ArgMin, Softmax."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.cases._case import Case, integers, normal


def _axes(*values: int) -> Any:
    return np.array(values, np.int64)


_X = normal(4, 3, 5, 70)
_FLOAT = [
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "ReduceMin",
    "ReduceProd",
    "ReduceL1",
    "ReduceL2",
    "ReduceSumSquare",
    "ReduceLogSumExp",
]
_SPECIAL = np.array([[1, np.nan, 2], [np.inf, 1, 2], [-np.inf, -np.inf, -np.inf], [-0.0, 0.0, -1]], np.float32)

CASES = [
    *(Case(op, _X, _axes(*axes), native=True, keepdims=k, name=f"{axes}{k}")
      for op in _FLOAT
      for axes, k in (((3,), 1), ((0, 1, 2, 3), 0), ((1, 2), 1), ((0,), 0), ((-1, -2), 0), ((0, 2), 1), ((1, 3), 0))),
    *(Case(op, np.abs(_X), _axes(2), native=True) for op in ("ReduceLogSum",)),
    *(Case(op, normal(*s), _axes(a), native=True)
      for op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceProd")
      for s, a in (((3, 1), 1), ((3, 17), 1), ((0, 5), 1), ((5, 0), 1), ((2, 3, 3), 1), ((2, 300, 67), 1), ((1000,), 0),
                   ((2, 5, 16), 1), ((7, 1, 3), 1))),
    Case("ReduceSum", normal(100_003), native=True, keepdims=0, name="long"),
    Case("ReduceMean", np.abs(normal(20_000, 3)), _axes(0), native=True, name="long-columns"),
    *(Case(op, _SPECIAL, _axes(a), native=True, name=f"special-{a}")
      for op in ("ReduceMax", "ReduceMin", "ReduceLogSumExp", "ReduceSum") for a in (0, 1)),
    Case("ReduceSum", _X, native=True, noop_with_empty_axes=1, name="noop"),
    Case("ReduceL1", _X, native=True, noop_with_empty_axes=1, name="noop"),
    *(Case(op, integers(4, 5, 70, low=-9, dtype=t), _axes(a), native=True, name=f"{t.__name__}-{a}")
      for op in ("ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd") for t in (np.int32, np.int64) for a in (0, 1, 2)),
    *(Case(op, x, native=True, axis=a, select_last_index=last, keepdims=last, name=f"{x.dtype}-{a}-{last}")
      for op in ("ArgMax", "ArgMin")
      for x in (normal(4, 5, 70), integers(4, 5, 70, high=3), integers(4, 5, 70, high=3, dtype=np.int32))
      for a in (0, 1, -1) for last in (0, 1)),
    Case("ArgMax", _SPECIAL, axis=1, native=True, name="special"),
    Case("ArgMin", _SPECIAL, axis=1, native=True, name="special"),
    *(Case(op, normal(*s, scale=5.0), native=True, axis=a)
      for op in ("Softmax", "LogSoftmax")
      for s, a in (((4, 5, 70), -1), ((4, 5, 70), 1), ((4, 5, 70), 0), ((3, 1), 1), ((1, 1000), 1), ((2, 16), 1),
                   ((2, 15), 1), ((0, 4), 1), ((3, 7, 33), 1))),
    Case("Softmax", np.array([[1e4, -1e4, 0], [-np.inf, 0, 1], [88, 89, 90]], np.float32), native=True, name="far"),
]  # fmt: skip
