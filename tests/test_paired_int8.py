"""Products of bytes that are added up as int16, at the edge of what those hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt.ops._panels import pack_q_panels
from edge_rt.ops.edge_int8_panels import column_sums, pack_q_conv
from tests.test_int8 import Array, reference, run_kernels


def near(limit: int, rows: int, k: int, n: int, seed: int) -> tuple[Array, Array]:
    """Bytes a [rows, k], in places of two kinds, and b [k, n] so that two or four neighbouring products of the largest a sum
    to about `limit`, of either sign."""
    rng = np.random.default_rng(seed)
    most = rng.choice([127, 128, 200, 255], k)
    a = np.where(rng.random((rows, k)) < 0.5, most, rng.integers(0, 1 + most, (rows, k)))
    together = rng.choice([2, 4], (1, n))
    b = rng.choice([-1, 1], (-(-k // 8), n)).repeat(8, 0)[:k] * limit / (together * most[:, None])
    return a.astype(np.uint8), np.clip(np.rint(b + rng.uniform(-1, 1, b.shape)), -128, 127).astype(np.int8)


@pytest.mark.parametrize("k", [4, 12, 52, 512, 600, 1700])
@pytest.mark.parametrize("limit", [32767, -32768, 30000])
def test_sums_at_the_edge_are_exact(k: int, limit: int) -> None:
    for rows, n in ((4, 16), (9, 33), (130, 16)):
        a, b = near(limit, rows, k, n, k + rows)
        inputs: list[Any] = [a, pack_q_panels(b), column_sums(b), None, None, None, None]
        attributes = {"n": n, "k": k, "output": "int32"}
        (want,) = reference("edge.QGemm", *inputs, **attributes)
        for parts in (None, 3):
            np.testing.assert_array_equal(run_kernels("edge.QGemm", *inputs, parts=parts, **attributes), want)


def test_windows_share_no_maxima() -> None:
    """Each run of a window has its own largest numbers."""
    x, b = near(32767, 2 * 9 * 11, 12, 9 * 20, 0)
    weights = b[:, : 9 * 20].reshape(12, 3, 3, 20).transpose(3, 0, 1, 2)
    image = x.reshape(2, 9, 11, 12)
    image[:, ::3] //= 4
    inputs: list[Any] = [image, *pack_q_conv(np.ascontiguousarray(weights), 1), None, None, None, None]
    attributes = {"n": 20, "group": 1, "kernel": (3, 3), "pads": (1, 1, 1, 1), "strides": (1, 1), "output": "int32"}
    (want,) = reference("edge.QConv", *inputs, **attributes)
    np.testing.assert_array_equal(run_kernels("edge.QConv", *inputs, **attributes), want)
