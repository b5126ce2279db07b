"""Matrix products and the panel layout."""

from __future__ import annotations

import numpy as np

from edge_rt.ops.edge_gemm import ACTIVATIONS, pack_panels
from tests.cases._case import Case, normal

CASES = [
    *(
        Case("edge.PackPanels", normal(*shape), transposed=transposed, native=True)
        for shape in ((1, 1), (5, 16), (33, 7), (2, 9, 40), (20, 64))
        for transposed in (False, True)
    ),
    *(
        Case(
            "edge.Gemm", normal(m, k), pack_panels(normal(k, n, seed=1, scale=k**-0.5)), bias, residual,
            n=n, lo=lo, native=True, name=f"{m}x{k}x{n}-{epilogue}",
        )
        for m, k, n in (
            (1, 1, 1), (3, 7, 17), (2, 64, 130), (13, 16, 32), (12, 700, 48), (25, 33, 31), (121, 321, 40),
            (250, 9, 64), (1, 1000, 1000), (4, 12, 66), (5, 15, 8), (6, 30, 3),
            (49, 150, 112), (205, 300, 160), (230, 40, 190),
        )
        for epilogue, lo, bias, residual in (
            ("plain", -np.inf, None, None),
            ("bias", 0.0, normal(n, seed=2), None),
            ("residual", -0.5, normal(n, seed=2), normal(m, n, seed=3)),
        )
    ),
    *(
        Case(
            "edge.Gemm", normal(7, 20), pack_panels(normal(20, 40, seed=1, scale=0.2)), normal(40, seed=2), n=40,
            activation=name, native=True, name=f"activation-{name}",
        )
        for name in ACTIVATIONS
    ),
    Case(
        "edge.Gemm", normal(7, 20), pack_panels(normal(20, 40, seed=1, scale=0.2)), normal(40, seed=2), n=40,
        activation="LeakyRelu", alpha=0.3, native=True, name="slope",
    ),
    Case("edge.Gemm", normal(2, 3, 5, 7), pack_panels(normal(7, 9, seed=1)), n=9, native=True),
    Case("edge.Gemm", normal(2, 3, 5, 7), pack_panels(normal(3, 7, 9, seed=1)), n=9, native=True),
    Case("edge.Gemm", normal(4, 7), pack_panels(normal(2, 7, 30, seed=1)), n=30, native=True),
    Case("edge.Gemm", normal(0, 7), pack_panels(normal(7, 9, seed=1)), n=9, native=True),
    Case("edge.Gemm", normal(3, 0), pack_panels(normal(0, 9, seed=1)), normal(9), n=9, native=True),
    Case("edge.Gemm", normal(7), pack_panels(normal(7, 20, seed=1)), n=20, native=True),
    *(
        Case("MatMul", normal(*a), normal(*b, seed=1), native=True)
        for a, b in (
            ((5, 7), (7, 9)), ((2, 3, 5, 7), (7, 9)), ((2, 3, 5, 7), (2, 3, 7, 9)), ((2, 1, 5, 7), (3, 7, 9)),
            ((7,), (7, 9)), ((7,), (3, 7, 9)),
            ((4, 5, 7), (7,)), ((7,), (7,)), ((1, 130), (130, 200)), ((4, 64, 33), (4, 33, 64)),
            ((3, 1, 40), (3, 40, 24)), ((0, 3), (3, 4)), ((2, 0), (0, 5)), ((1, 1), (1, 1)),
        )
    ),
    *(
        Case(
            "Gemm", normal(*((7, 5) if turn_a else (5, 7))), normal(*((9, 7) if turn_b else (7, 9)), seed=1), c,
            alpha=alpha, transA=turn_a, transB=turn_b, native=True,
        )
        for turn_a in (False, True)
        for turn_b in (False, True)
        for alpha, c in (
            (1.0, None), (0.5, normal(9, seed=2)), (1.0, normal(1, 9, seed=2)), (1.0, normal(5, 9, seed=2)),
        )
    ),
    Case("Gemm", normal(5, 7), normal(7, 9), normal(5, 1), beta=0.5, name="beta"),
]  # fmt: skip
