"""Integer arithmetic, comparisons, logic, Where."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.cases._case import Case, integers, normal


def _extreme(dtype: Any, *shape: int, seed: int = 0) -> Any:
    """Integers of the whole range; the first ones are its ends."""
    info = np.iinfo(dtype)
    x = np.random.default_rng(seed).integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    x.reshape(-1)[:4] = [info.min, info.min, info.max, info.min + 1]
    return x


def _divisors(dtype: Any, *shape: int) -> Any:
    """Small integers but 0; the first ones are all ones (-1 where signed)."""
    info = np.iinfo(dtype)
    x = integers(*shape, low=max(info.min, -9), high=9, dtype=dtype)
    x[x == 0] = 5
    x.reshape(-1)[:2] = [-1 if info.min < 0 else 255, 1]
    return x


_TYPES = (np.int8, np.uint8, np.int32, np.int64)
_FLOATS = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1, 2, 3], np.float32)

CASES = [
    *(
        Case(op, _extreme(t, 3, 700), b, native=True)
        for op in ("Add", "Sub", "Mul", "Div", "Mod", "Min", "Max", "BitwiseAnd", "BitwiseOr", "BitwiseXor")
        for t in _TYPES
        for b in (_divisors(t, 3, 700), _divisors(t, 3, 1), _divisors(t, 2)[:1].reshape(()))
    ),
    *(
        Case("Mod", _extreme(t, 3, 70), _divisors(t, 3, 70), fmod=1, native=True, name=f"fmod-{t.__name__}")
        for t in _TYPES
    ),
    *(Case(op, _extreme(t, 700), native=True) for op in ("Abs", "Sign", "BitwiseNot") for t in _TYPES),
    *(Case(op, _extreme(t, 700), native=True) for op in ("Neg", "Relu") for t in (np.int8, np.int32, np.int64)),
    *(Case("Add", _extreme(np.int64, 4)[:n], _divisors(np.int64, 4)[:n], native=True) for n in (0, 1, 3)),
    Case("Max", *(integers(5, 3, low=-9, seed=i) for i in range(4)), native=True, name="4-inputs"),
    Case("Min", integers(5), native=True, name="one"),
    Case("Clip", integers(50, low=-99, high=99), np.array(-3), np.array(20), native=True),
    Case("Clip", integers(50, low=-99, high=99, dtype=np.int32), None, np.array(20, np.int32), native=True),
    *(
        Case("BitShift", integers(50, high=255, dtype=np.uint8), integers(50, high=12, dtype=np.uint8), direction=d,
             native=True, name=d)
        for d in ("LEFT", "RIGHT")
    ),
    *(
        Case(op, integers(3, 700, high=5, dtype=t), b, native=True)
        for op in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
        for t in _TYPES
        for b in (integers(3, 700, high=5, dtype=t, seed=1), integers(700, high=5, dtype=t, seed=1))
    ),
    *(
        Case(op, _FLOATS[:, None], _FLOATS, native=True, name=f"special-{op}")
        for op in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
    ),
    Case("Equal", integers(9, high=2).astype(bool), integers(9, high=2, seed=1).astype(bool), native=True),
    Case("IsNaN", _FLOATS, native=True),
    *(
        Case("IsInf", _FLOATS, detect_negative=n, detect_positive=p, native=True, name=f"{n}{p}")
        for n in (0, 1)
        for p in (0, 1)
    ),
    *(
        Case(op, integers(7, 9, high=2).astype(bool), integers(9, high=2, seed=1).astype(bool), native=True)
        for op in ("And", "Or", "Xor")
    ),
    Case("Not", integers(77, high=2).astype(bool), native=True),
    *(
        Case("Where", c, normal(4, 5, 60).astype(t), b.astype(t), native=True)
        for t in (np.float32, np.float16, np.int8, np.uint8, np.int32, np.int64, bool)
        for c, b in (
            (integers(4, 5, 60, high=2).astype(bool), normal(4, 5, 60, seed=1)),
            (integers(5, 1, high=2).astype(bool), normal(60, seed=1)),
            (np.array(True), normal(4, 1, 1, seed=1)),
        )
    ),
]  # fmt: skip
