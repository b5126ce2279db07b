"""1x1 convolutions by steps: pixels are picked out first where tiles are small, and nothing changes but the time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt.native.features import choose_target, cpu_features
from edge_rt.ops._panels import pack_panels
from edge_rt.targets import TARGETS
from tests._kernel_runs import calls_of, run_calls

TARGET, OTHER = TARGETS["x86-64-v3"], "x86-64-v4-vnni"
STEPS = {"kernel": (1, 1), "strides": (2, 2), "pads": (0, 0, 0, 0), "dilations": (1, 1), "group": 1}
on_x86 = pytest.mark.skipif(choose_target(cpu_features())[0].arch != TARGET.arch, reason="kernels of x86-64")


def given(shape: tuple[int, int, int, int], n: int, group: int = 1) -> list[Any]:
    random = np.random.default_rng(0)
    weights = random.standard_normal((group, shape[3] // group, n // group)).astype(np.float32)
    panels = np.stack([pack_panels(w) for w in weights])
    return [random.standard_normal(shape).astype(np.float32), panels, random.standard_normal(n).astype(np.float32)]


@on_x86
@pytest.mark.parametrize(
    ("shape", "n", "strides"),
    [((1, 14, 14, 64), 48, (2, 2)), ((2, 9, 7, 20), 40, (2, 3)), ((1, 13, 15, 800), 17, (2, 1)), ((3, 1, 5, 8), 16, (1, 4))],
)  # fmt: skip
@pytest.mark.parametrize("activation", ["", "Swish"])
def test_same_bits(shape: tuple[int, int, int, int], n: int, strides: tuple[int, int], activation: str) -> None:
    attributes = {**STEPS, "n": n, "strides": strides, "activation": activation}
    out = [-(-size // step) for size, step in zip(shape[1:3], strides)]
    residual = np.random.default_rng(1).standard_normal((shape[0], *out, n)).astype(np.float32)
    inputs = [*given(shape, n), residual]
    (calls, made), (in_place, _) = (calls_of("edge.Conv", inputs, name, **attributes) for name in (TARGET.name, OTHER))
    assert [c.spec.symbol for c in calls] == ["copy_4", *(c.spec.symbol for c in in_place)]
    want = np.full(made.static_shape, np.nan, np.float32)
    run_calls(in_place, inputs, [want], None, TARGET)
    assert np.isfinite(want).all()
    for parts in (None, 1, 3):
        y = np.full(made.static_shape, np.nan, np.float32)
        run_calls(calls, inputs, [y], parts, TARGET)
        np.testing.assert_array_equal(y, want)


@pytest.mark.parametrize("changes", [{"strides": (1, 1)}, {"kernel": (1, 3)}, {"pads": (0, 1, 0, 0)}, {"group": 2}])
def test_others_stay_where_they_are(changes: dict[str, Any]) -> None:
    attributes = {**STEPS, "n": 32, **changes}
    inputs = given((1, 8, 9, 64), 32, attributes["group"])
    if "kernel" in changes:
        inputs[1] = np.concatenate([inputs[1]] * 3, axis=2)
    assert [c.spec.symbol for c in calls_of("edge.Conv", inputs, TARGET.name, **attributes)[0]] == ["gemm_f32"]
