"""LSTM on dynamically quantised numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.ops._panels import pack_q_panels
from tests.cases._case import Case, integers, normal


def _columns(x: Any) -> Any:
    return np.pad(x, ((0, 0), (0, -x.shape[1] % 16)))


def _case(seq: int, batch: int, size: int, hidden: int, *, lengths: Any = None, extras: bool = True, **attrs: Any) -> Case:
    dirs = 2 if attrs.get("direction") == "bidirectional" else 1
    n = 4 * hidden
    weights = []
    for i, k in enumerate((size, hidden)):
        stored = integers(dirs, k, n, low=-128, high=128, dtype=np.int8, seed=i)
        zero = integers(dirs, n, low=-20, high=20, dtype=np.int32, seed=2 + i)
        scale = (0.002 + 0.0005 * np.abs(normal(dirs, n, seed=4 + i))).astype(np.float32)
        sums = stored.sum(axis=1, dtype=np.int32) - k * zero
        weights += [pack_q_panels(stored), *map(_columns, (scale, zero, sums))]
    more = [_columns(normal(dirs, n, seed=6)), *(normal(dirs, batch, hidden, seed=7 + i, scale=0.5) for i in range(2))]
    bias, h0, c0 = more if extras else [None] * 3
    counts = None if lengths is None else np.array(lengths, np.int32)
    name = f"{seq}-{batch}-{size}-{hidden}-{'-'.join(f'{k}={v}' for k, v in attrs.items())}-{extras}{lengths}"
    return Case(
        "edge.DynamicLstm", normal(seq, batch, size), *weights, bias, counts, h0, c0, hidden_size=hidden, native=True,
        name=name, **attrs,
    )  # fmt: skip


CASES = [
    _case(5, 1, 7, 16),
    _case(4, 3, 9, 10, direction="reverse"),
    _case(6, 6, 20, 33, direction="bidirectional"),
    _case(4, 1, 3, 1, extras=False),
    _case(1, 2, 8, 5),
    _case(6, 4, 5, 9, direction="bidirectional", lengths=[6, 1, 0, 3]),
    _case(4, 2, 5, 9, clip=0.5),
    _case(4, 5, 33, 40, input_forget=1),
]
