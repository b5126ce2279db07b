"""8-bit convolutions by Winograd's minimal filtering: which ones, the same numbers as without, in any number of parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt.lowering.gemm_int8 import GEMM_INT8
from edge_rt.lowering.winograd_int8 import WINOGRAD_INT8
from edge_rt.native.features import choose_target, cpu_features
from edge_rt.ops.edge_int8_panels import pack_q_conv
from edge_rt.targets import TARGETS
from tests._kernel_runs import calls_of, run_calls
from tests.test_int8 import BYTES, reference, whole_range

TARGET = TARGETS["x86-64-v3"]
on_x86 = pytest.mark.skipif(choose_target(cpu_features())[0].arch != TARGET.arch, reason="kernels of x86-64")


def given(shape: tuple[int, int, int, int], n: int, dtype: Any, zero: int, group: int = 1) -> list[Any]:
    """Inputs from all over their types, the ends more often."""
    x, w = whole_range(*shape, dtype=dtype), whole_range(n, shape[3] // group, 3, 3, dtype=np.int8, seed=1)
    x, w = (np.random.default_rng(i).permuted(v.reshape(-1)).reshape(v.shape) for i, v in enumerate((x, w)))
    scale = (np.random.default_rng(2).uniform(0.5, 2, n) / (shape[3] ** 0.5 * 5e2)).astype(np.float32)
    bias = np.random.default_rng(3).integers(-9999, 9999, n).astype(np.int32)
    return [x, *pack_q_conv(w, group), np.array([zero], dtype), None, scale, bias]


SAME = {"kernel": (3, 3), "strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1), "group": 1, "output": "uint8"}


@on_x86
@pytest.mark.parametrize("dtype", BYTES)
@pytest.mark.parametrize(
    ("shape", "n", "pads"),
    [
        ((1, 8, 8, 32), 16, (1, 1, 1, 1)), ((1, 7, 9, 64), 40, (1, 1, 1, 1)), ((2, 5, 7, 96), 33, (1, 1, 1, 1)),
        ((3, 9, 22, 32), 48, (0, 2, 1, 0)), ((1, 40, 41, 32), 20, (0, 0, 0, 0)), ((1, 7, 7, 320), 17, (1, 1, 1, 1)),
        ((1, 31, 29, 128), 64, (1, 1, 1, 1)),
    ],
)  # fmt: skip
def test_exact_and_shared(shape: tuple[int, int, int, int], n: int, pads: tuple[int, ...], dtype: Any) -> None:
    limits = np.iinfo(dtype)
    for zero, output in ((limits.min, "uint8"), (limits.max, "int8"), (7, "uint8")):
        inputs = given(shape, n, dtype, zero)
        attributes = {**SAME, "n": n, "pads": pads, "output": output, "y_zero": 0 if output == "uint8" else -9}
        calls, made = calls_of("edge.QConv", inputs, TARGET.name, **attributes)
        assert [c.spec for c in calls[1:]] == [WINOGRAD_INT8]
        (want,) = reference("edge.QConv", *inputs, **attributes)
        assert len(np.unique(want)) > 100
        for parts in (None, 1, 2, 3, 7):
            y = np.full(made.static_shape, 99, want.dtype)
            run_calls(calls, inputs, [y], parts, TARGET)
            np.testing.assert_array_equal(y, want)


@on_x86
@pytest.mark.parametrize("weight", [-128, 127])
@pytest.mark.parametrize("number", [0, 255])
def test_largest_sums(weight: int, number: int) -> None:
    """All weights and all numbers at the ends of their types, as many as are summed at most."""
    shape, n = (1, 6, 8, 1024), 16
    w = np.full((n, shape[3], 3, 3), weight, np.int8)
    w[1::2, ::2] = -1 - w[1::2, ::2]
    scale, x = np.full(n, 127 / (255 * 128 * 9 * 1024), np.float32), np.full(shape, number, np.uint8)
    inputs = [x, *pack_q_conv(w, 1), np.array([255 - number], np.uint8), None, scale, None]
    attributes = {**SAME, "n": n, "y_zero": 128}
    calls, made = calls_of("edge.QConv", inputs, TARGET.name, **attributes)
    assert calls[-1].spec is WINOGRAD_INT8
    y = np.empty(made.static_shape, np.uint8)
    run_calls(calls, inputs, [y], None, TARGET)
    np.testing.assert_array_equal(y, reference("edge.QConv", *inputs, **attributes)[0])


@on_x86
@pytest.mark.parametrize("limits", [{"lo": 20.0, "hi": 200.0}, {}])
def test_limits_and_large_factors(limits: dict[str, float]) -> None:
    """Results beyond what conversions hold become the ends of their range."""
    inputs = given((1, 12, 8, 32), 32, np.uint8, 3)
    inputs[5] = np.where(np.arange(32) % 3 == 0, np.float32(3e7), inputs[5])
    inputs[5][1] = np.nan
    attributes = {**SAME, "n": 32, "y_zero": 5, **limits}
    calls, made = calls_of("edge.QConv", inputs, TARGET.name, **attributes)
    y = np.empty(made.static_shape, np.uint8)
    run_calls(calls, inputs, [y], 3, TARGET)
    columns = np.arange(32) != 1
    (want,) = reference("edge.QConv", *inputs, **attributes)
    np.testing.assert_array_equal(y[..., columns], want[..., columns])


def kernel_of(shape: tuple[int, int, int, int], n: int = 32, target: str = TARGET.name, **changes: Any) -> str:
    attributes = {**SAME, "n": n, **changes}
    inputs = given(shape, n, np.uint8, 0, attributes["group"])
    return calls_of("edge.QConv", inputs, target, **attributes)[0][-1].spec.symbol


def test_which_ones() -> None:
    plain, shape = GEMM_INT8.symbol, (1, 14, 14, 64)
    assert kernel_of(shape) == kernel_of((1, 7, 7, 64)) == WINOGRAD_INT8.symbol
    for target in TARGETS:
        assert (kernel_of(shape, target=target) == plain) == (target != TARGET.name)
    for changes in ({"group": 2}, {"strides": (1, 2)}, {"dilations": (2, 2)}, {"rounding": "away"}):
        assert kernel_of(shape, **changes) == plain
    assert kernel_of(shape, n=12) == kernel_of((1, 14, 14, 48)) == kernel_of((1, 5, 5, 64)) == plain
