"""Products of bytes that are added up as int16, at the edge of what those hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt.codegen.testing import call
from edge_rt.kernels.paired_rows_int8 import LOWERED, SEEN, row_looker
from edge_rt.lowering._spec import KernelSpec
from edge_rt.ops._panels import pack_q_panels
from edge_rt.ops.edge_int8_panels import column_sums, pack_q_conv
from edge_rt.targets import TARGETS, Target
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


@pytest.mark.parametrize("k", [4, 12, 20, 52, 320, 600, 1024, 1028])
@pytest.mark.parametrize("least", [0, 31, 32, 100])
def test_rows_far_from_zero_are_exact(k: int, least: int) -> None:
    """Sums of what rows lack are at the edge, too."""
    for rows, n in ((15, 16), (16, 33), (130, 40)):
        a, b = near(32767, rows, k, n, k + rows)
        a = np.maximum(a, least)
        inputs: list[Any] = [a, pack_q_panels(b), column_sums(b), None, None, None, None]
        attributes = {"n": n, "k": k, "output": "int32"}
        (want,) = reference("edge.QGemm", *inputs, **attributes)
        for parts in (None, 3):
            np.testing.assert_array_equal(run_kernels("edge.QGemm", *inputs, parts=parts, **attributes), want)


def test_strided_pixels_far_from_zero_are_exact() -> None:
    """1x1 windows of every other pixel, of which several lines and images are done together."""
    rng = np.random.default_rng(0)
    x = rng.integers(90, 210, (3, 13, 15, 24), np.uint8)
    weights = rng.choice(np.array([-128, -100, 5, 127], np.int8), (50, 1, 1, 24))
    inputs: list[Any] = [x, *pack_q_conv(weights, 1), None, None, None, None]
    attributes = {"n": 50, "group": 1, "kernel": (1, 1), "pads": (0, 0, 0, 0), "strides": (2, 2), "output": "int32"}
    (want,) = reference("edge.QConv", *inputs, **attributes)
    np.testing.assert_array_equal(run_kernels("edge.QConv", *inputs, **attributes), want)


LOOK = KernelSpec(
    "look_at_rows", "a:u8* offsets:i64* runs:i64 depth:i64 step:i64 how:i64* largest:u8* least:u8* lowered:u8*"
)


def look_kernel(target: Target) -> Any:
    """Looks at 36 rows: 12 pixels each of lines 1 to 3, of images of two lines."""
    look = row_looker()

    def body(
        a: Any, offsets: Any, runs: int, depth: int, step: int, how: Any, largest: Any, least: Any, lowered: Any,
        part: int, parts: int,
    ) -> None:  # fmt: skip
        rows = 1, 4, 2, 40 * step, 13 * step, 12, step
        how[0] = look(a, rows, 36, offsets, runs, depth, largest, least, lowered)

    return body


@pytest.mark.parametrize("k", [4, 24, 40, 120])
def test_rows_are_lowered_where_they_are_far_from_zero(k: int) -> None:
    rng = np.random.default_rng(k)

    def looked(a: Array, runs: int, offsets: list[int]) -> tuple[int, Array, Array, Array]:
        how, (largest, least), lowered = np.zeros(1, np.int64), np.zeros((2, k), np.uint8), np.zeros((36, k), np.uint8)
        call(
            LOOK, a=a, offsets=np.array(offsets), runs=runs, depth=k // runs // 4, step=k + 4, how=how, largest=largest,
            least=least, lowered=lowered, target=TARGETS["x86-64-v3"], factory=look_kernel,
        )  # fmt: skip
        return int(how[0]), largest, least, lowered

    a = rng.integers(60, 200, (80, k + 4), np.uint8)
    rows = np.concatenate([a[13:25], a[40:52], a[53:65]])[:, :k]
    for runs in {1, 2 if k % 8 == 0 else 1}:
        how, largest, least, lowered = looked(a, runs, [i * k // runs for i in range(runs)])
        assert how == LOWERED
        np.testing.assert_array_equal(least, rows.min(0))
        np.testing.assert_array_equal(largest, np.ptp(rows, 0))
        np.testing.assert_array_equal(lowered, rows - rows.min(0))
    how, largest, *_ = looked(a // 4, 1, [0])
    assert how == SEEN
    np.testing.assert_array_equal(largest, rows.max(0) // 4)
    assert looked(a, 1, [4])[0] == SEEN  # not where rows begin
