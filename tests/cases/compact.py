"""GEMM and convolution over panels of f16, int8 and int4."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.ops._panels import pack_int4_panels, pack_panels, pack_q_panels
from tests.cases._case import Case, integers, normal

Array = np.ndarray[Any, Any]


def weights(kind: str, *shape: int, block: int = 0, zero: bool = False) -> tuple[Array, Array | None, Array | None]:
    """Random panels of matrices [..., k, n] in a format, their scales and zero points."""
    *batch, k, n = shape
    if kind == "f16":
        return pack_panels(normal(*shape, seed=1, scale=k**-0.5).astype(np.float16)), None, None
    top, pack = (128, pack_q_panels) if kind == "int8" else (8, pack_int4_panels)
    rows = (*batch, -(-k // block) if block else 1, n)
    scale = np.abs(normal(*rows, seed=4, scale=1.5 * max(k, 1) ** -0.5 / top)) + np.float32(1e-4)
    zeros = integers(*rows, low=-top, high=top, dtype=np.int8, seed=5) if zero else None
    q = integers(*shape, low=-top, high=top, dtype=np.int8, seed=1)
    return pack(q), pack_panels(scale), None if zeros is None else pack_panels(zeros)


def gemm(
    kind: str, m: int, k: int, n: int, *, block: int = 0, zero: bool = False, epilogue: bool = False, name: str = ""
) -> Case:
    panels, scale, zeros = weights(kind, k, n, block=block, zero=zero)
    more: dict[str, Any] = {"block": block} if block else {}
    if epilogue:
        more |= {"lo": -0.5, "hi": 1.0, "activation": "Tanh"}
    return Case(
        "edge.Gemm", normal(m, k), panels, normal(n, seed=2) if epilogue else None,
        normal(m, n, seed=3) if epilogue else None, scale, zeros, n=n, native=True, **more,
        name=f"{kind}-{m}x{k}x{n}{f'-by-{block}' if block else ''}{'-zero' if zero else ''}{name}",
    )  # fmt: skip


def conv(kind: str, x: tuple[int, ...], n: int, kernel: int, group: int = 1, **more: Any) -> Case:
    k = kernel * kernel * x[3] // group
    panels, scale, zeros = weights(kind, group, k, n // group, block=more.get("block", 0), zero=kind != "f16")
    return Case(
        "edge.Conv", normal(*x), panels, normal(n, seed=2), None, scale, zeros, n=n, kernel=(kernel, kernel), group=group,
        native=True, name=f"{kind}-{x}-{n}-{kernel}-{group}".replace(" ", ""), **more,
    )  # fmt: skip


def _given(kind: str, shape: tuple[int, ...]) -> tuple[Array | None, ...]:
    """Inputs of an edge.Gemm from the panels on."""
    panels, scale, zeros = weights(kind, *shape, zero=kind != "f16")
    return panels, None, None, scale, zeros


CASES = [
    *(
        gemm(kind, m, k, n, zero=kind != "f16" and k % 2 == 0, epilogue=n % 2 == 0)
        for kind in ("f16", "int8", "int4")
        for m, k, n in (
            (1, 1, 1), (1, 64, 130), (1, 701, 64), (1, 1000, 1000), (2, 33, 80), (3, 7, 17), (4, 330, 66), (5, 15, 8),
            (12, 700, 48), (13, 16, 32), (25, 33, 31), (121, 321, 40),
        )
    ),
    *(
        gemm(kind, m, k, 50, block=block, zero=m % 2 == 1)
        for kind in ("int8", "int4")
        for m in (1, 4, 9)
        for k, block in ((64, 16), (100, 32), (700, 128), (30, 64))
    ),
    *(
        Case("edge.Gemm", normal(2, 3, 5, 20), *_given(kind, (3, 20, 9)), n=9, native=True, name=f"{kind}-batches")
        for kind in ("f16", "int8", "int4")
    ),
    Case("edge.Gemm", normal(3, 0), *_given("int8", (0, 9)), n=9, native=True, name="int8-empty"),
    *(
        conv(kind, *rest, **more)
        for kind in ("f16", "int8", "int4")
        for rest, more in (
            (((1, 5, 6, 3), 20, 3), {"pads": (1, 1, 1, 1)}),
            (((2, 7, 7, 24), 32, 3), {"strides": (2, 2), "group": 2}),
            (((1, 2, 2, 40), 18, 1), {"strides": (2, 2)}),
            (((1, 3, 3, 8), 8, 2), {}),
            (((1, 4, 9, 160), 40, 3), {"pads": (1, 1, 1, 1)}),
        )
    ),
    conv("int4", (1, 6, 6, 16), 20, 3, pads=(1, 1, 1, 1), block=48),
]  # fmt: skip
