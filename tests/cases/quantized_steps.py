"""Arithmetic and means of 8-bit numbers, and tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.types import DType
from tests.cases._case import Case, integers
from tests.cases.int8 import whole_range


def _bytes(*shape: int, dtype: Any, seed: int = 0) -> Any:
    low = -128 if dtype == np.int8 else 0
    return integers(*shape, low=low, high=low + 256, dtype=dtype, seed=seed)


_TYPES = ((np.uint8, np.uint8, DType.UINT8), (np.int8, np.int8, DType.INT8), (np.uint8, np.int8, DType.INT8))

CASES = [
    *(
        Case(
            op, _bytes(*a, dtype=x), _bytes(*b, dtype=y, seed=1), output=output, a_zero=3, b_zero=-7 if y == np.int8 else 9,
            y_zero=-5 if output is DType.INT8 else 100, lo=lo, native=True,
            name=f"{a}-{b}-{x.__name__}-{y.__name__}-{lo}", **scales,
        )
        for op, scales in (("edge.QAdd", {"a_scale": 0.37, "b_scale": 0.81}), ("edge.QMul", {"scale": 0.013}))
        for x, y, output in _TYPES
        for a, b, lo in (
            ((1, 5, 7, 33), (1, 5, 7, 33), -np.inf),
            ((2, 4, 3, 17), (2, 1, 1, 17), -5.0),
            ((3,), (70, 40, 3), -np.inf),
            ((), (5,), -np.inf),
        )
    ),
    *(  # packed in each way that there is: from a zero point at the end of the range on, within limits; up to the end of 16
        # bits, and beyond it
        Case(
            op, whole_range(9, 37, dtype=x), whole_range(9, 37, dtype=y, seed=1), output=output, y_zero=y_zero, hi=hi,
            native=True,
            name=f"{x.__name__}-{output.value}-{y_zero}-{hi}-{scales}", **scales,
        )
        for op, factors in (
            ("edge.QAdd", [{"a_scale": a, "b_scale": -0.5} for a in (0.5, 124.9, 128.2, 1e30)]),
            ("edge.QMul", [{"scale": s} for s in (0.25, 0.492, 0.504, -1e30)]),
        )
        for scales in factors
        for x, y, output in _TYPES
        for y_zero in ((-128, 0, 127) if output is DType.INT8 else (0, 128, 255))
        for hi in (np.inf, 120.0)
    ),
    *(
        Case(
            "edge.QMean", np.full((1, *size, 40), 255, np.uint8), output=DType.UINT8, scale=1.0, native=True,
            name=f"full-{size}",
        )
        for size in ((1, 256), (1, 257), (2, 129), (30, 30))
    ),
    *(
        Case(
            "edge.QMean", _bytes(*shape, dtype=x), output=output, x_zero=4, scale=1.3, y_zero=2, hi=90.0, native=True,
            name=f"{shape}-{x.__name__}",
        )
        for x, _, output in _TYPES
        for shape in ((1, 1, 1, 5), (2, 7, 7, 130), (3, 4, 5, 16), (1, 9, 3, 65))
    ),
    *(
        Case("edge.Lookup", _bytes(3, 700, dtype=x), _bytes(256, dtype=y, seed=2), constants=(1,), native=True)
        for x in (np.int8, np.uint8)
        for y in (np.int8, np.uint8)
    ),
]  # fmt: skip
