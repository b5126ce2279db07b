"""Normalisations and quantisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.types import DType
from tests.cases._case import Case, integers, normal

_X = normal(3, 6, 5, 7)


def _channels(n: int) -> tuple[Any, ...]:
    return normal(n, seed=1), normal(n, seed=2), normal(n, seed=3), np.abs(normal(n, seed=4)) + np.float32(0.1)


_UNEVEN = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 300, -300, 1e30, -1e30, np.nan, 127.5, 0], np.float32)

CASES = [
    *(Case("LayerNormalization", normal(4, n), normal(n, seed=1), b, native=True, name=f"{n}-{b is None}")
      for n in (1, 7, 16, 70, 768) for b in (None, normal(n, seed=2))),
    Case("LayerNormalization", _X, normal(6, 5, 7, seed=1), axis=1, epsilon=1e-3, native=True, name="axis"),
    *(Case("RMSNormalization", normal(4, n), normal(n, seed=1), native=True) for n in (1, 7, 16, 768)),
    Case("InstanceNormalization", _X, *_channels(6)[:2], native=True),
    Case("InstanceNormalization", normal(2, 3, 1000), *_channels(3)[:2], native=True),
    *(Case("GroupNormalization", _X, *_channels(6)[:2], num_groups=g, native=True, name=str(g)) for g in (1, 2, 6)),
    *(Case("BatchNormalization", normal(*s), *_channels(c), native=True)
      for s, c in (((3, 6, 5, 7), 6), ((4, 6), 6), ((2, 3, 100), 3), ((5,), 1))),
    *(Case("LRN", _X, size=n, native=True, name=str(n)) for n in (1, 2, 3, 5)),
    *(Case("QuantizeLinear", x, np.array(s, np.float32), np.array(z, t), native=True, name=f"{t.__name__}-{i}")
      for i, x in enumerate((_UNEVEN, normal(5000, scale=50.0), normal(0)))
      for s, z, t in ((1, 3, np.uint8), (0.7, -3, np.int8))),
    Case("QuantizeLinear", _X, np.abs(normal(6)) / 50, integers(6, high=200, dtype=np.uint8), native=True, name="axis"),
    Case("QuantizeLinear", _X, np.abs(normal(7)) / 50, axis=-1, native=True, name="last-axis"),
    *(Case("DequantizeLinear", integers(3, 6, 70, low=0 if t is np.uint8 else -5, dtype=t), normal(6),
           integers(6, dtype=t),
           native=True, name=t.__name__) for t in (np.int8, np.uint8, np.int32)),
    Case("DequantizeLinear", integers(1000, high=255, dtype=np.uint8), np.array(0.1, np.float32), native=True,
         name="tensor"),
    *(Case("DynamicQuantizeLinear", x, native=True)
      for x in (normal(1000), np.abs(normal(30)), -np.abs(normal(17)), np.zeros(5, np.float32), normal(20_000))),
    Case("QuantizeLinear", normal(9), np.array(0.1, np.float32), output_dtype=DType.INT8, native=True, name="dtype"),
]  # fmt: skip
