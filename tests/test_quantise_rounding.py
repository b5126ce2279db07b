"""QuantizeLinear's kernels divide by multiplying: with numbers around all halves, for scales of all sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt import ops
from edge_rt.lowering._spec import BoundNode
from edge_rt.lowering.rules import lower
from edge_rt.types import TensorType
from tests._kernel_runs import run_calls

Array = np.ndarray[Any, Any]


def quantised(x: Array, scale: Array, zero: Array) -> tuple[Array, Array]:
    """(by the kernel, by the reference)"""
    spec = ops.get("QuantizeLinear")
    attrs = spec.attrs()
    (want,) = spec.evaluate(attrs, x, scale, zero)
    assert want is not None
    inputs = [x, scale, zero]
    node = BoundNode(
        spec, attrs, [TensorType.of(a) for a in inputs], [TensorType.of(want)], [None] * 3, [True]
    )  # fmt: skip
    calls, made = lower(node), np.full(want.shape, 77, want.dtype)
    assert calls
    run_calls(calls, inputs, [made])  # type: ignore[arg-type]
    return made, want


def around_halves(scale: np.float32) -> Array:
    """Numbers next to whole and half steps: their neighbours, up to the third."""
    steps = (np.arange(-600, 601) / 2).astype(np.float32)
    middle = (steps.astype(np.float64) * float(scale)).astype(np.float32)
    made = [middle]
    for towards in (np.float32(np.inf), np.float32(-np.inf)):
        x = middle
        for _ in range(3):
            x = np.nextafter(x, towards)
            made.append(x)
    return np.concatenate(made)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_numbers_around_halves(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    scales = [np.float32(s) for s in (*(rng.random(60) * 2.0 ** rng.integers(-20, 20, 60)), 1e-30, 1e30, 1e-38, 3e38, 1e-44)]
    for scale in scales:
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            made, want = quantised(around_halves(scale), np.array(scale), np.array(3, dtype))
        np.testing.assert_array_equal(made, want, str(scale))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_what_is_no_usual_number(dtype: Any) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-45, -0.0, 0.0] * 20, np.float32)
    for scale in (np.float32(0.1), np.float32(1e-35), np.float32(1e35)):
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            made, want = quantised(x, np.array(scale), np.array(100, dtype))
        np.testing.assert_array_equal(made, want, str(scale))
