"""LSTM and GRU, with plain and with packed weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.ops.edge_gemm import pack_panels
from tests.cases._case import Case, normal


def _case(op: str, seq: int, batch: int, size: int, hidden: int, *, lengths: Any = None, bias: bool = True,
          states: bool = True, **attrs: Any) -> list[Case]:  # fmt: skip
    gates = 4 if op == "LSTM" else 3
    dirs = 2 if attrs.get("direction") == "bidirectional" else 1
    x, w = normal(seq, batch, size), normal(dirs, gates * hidden, size, seed=1, scale=0.3)
    r, b = normal(dirs, gates * hidden, hidden, seed=2, scale=0.3), normal(dirs, 2 * gates * hidden, seed=3)
    state = [normal(dirs, batch, hidden, seed=4 + i) if states else None for i in range(2 if op == "LSTM" else 1)]
    counts = None if lengths is None else np.array(lengths, np.int32)
    panels = [np.ascontiguousarray(pack_panels(m, transposed=True)) for m in (w, r)]
    name = f"{seq}-{batch}-{size}-{hidden}-{'-'.join(f'{k}={v}' for k, v in attrs.items())}-{bias}{states}{lengths}"
    return [
        Case(op, x, w, r, b if bias else None, counts, *state, hidden_size=hidden, native=True, name=name, **attrs),
        Case(
            "edge.Lstm" if op == "LSTM" else "edge.Gru", x, *panels, b.reshape(dirs, 2, -1) if bias else None, counts,
            *state, hidden_size=hidden, native=True, name=name, **attrs,
        ),
    ]  # fmt: skip


CASES = [
    *(c for op in ("LSTM", "GRU") for case in (
        _case(op, 5, 1, 7, 16),
        _case(op, 5, 3, 7, 10, direction="reverse"),
        _case(op, 6, 6, 20, 33, direction="bidirectional"),
        _case(op, 4, 1, 3, 1, bias=False, states=False),
        _case(op, 1, 2, 8, 5),
        _case(op, 6, 4, 5, 9, direction="bidirectional", lengths=[6, 1, 0, 3]),
        _case(op, 4, 2, 5, 9, clip=0.5),
    ) for c in case),
    *_case("LSTM", 4, 2, 5, 9, input_forget=1),
    *_case("GRU", 4, 2, 5, 9, linear_before_reset=1),
    *_case("GRU", 4, 5, 5, 19, linear_before_reset=1, direction="bidirectional", lengths=[4, 2, 0, 1, 3]),
    *_case("GRU", 4, 5, 5, 19, linear_before_reset=1, bias=False),
]  # fmt: skip
