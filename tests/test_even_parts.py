"""Layers of few pixels are shared out by columns, and evenly: two cores have as much to do, and what one made it reads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt.ops._panels import WIDTH, pack_panels
from edge_rt.targets import TARGETS
from tests._kernel_runs import calls_of

NARROW = [name for name, target in TARGETS.items() if target.lanes < 16]
WINDOW = {"kernel": (3, 3), "strides": (1, 1), "pads": (1, 1, 1, 1), "dilations": (1, 1)}


def arguments(op: str, inputs: list[Any], target: str, **attributes: Any) -> tuple[dict[str, Any], int]:
    """Of the only call, and its parts."""
    ((call,), _) = calls_of(op, inputs, target, **attributes)
    return dict(zip(call.spec.names, call.args)), call.parts


def of_first_half(units: int, parts: int) -> int:
    """Units of the first of two members, who has half of the parts: see kernels/executor.py."""
    return units * (parts // 2) // parts


@pytest.mark.parametrize("target", NARROW)
@pytest.mark.parametrize(("m", "n", "k"), [(49, 160, 960), (49, 96, 576), (196, 240, 40)])
def test_columns_of_products(target: str, m: int, n: int, k: int) -> None:
    """Where no blocks of several panels are even. Two threads would have six and four panels of ten otherwise."""
    inputs = [np.zeros((m, k), np.float32), pack_panels(np.zeros((k, n), np.float32)), None, None]
    given, parts = arguments("edge.Gemm", inputs, target, n=n)
    row_blocks, panels = -(-m // given["row_block"]), n // WIDTH
    col_blocks = -(-panels // given["col_block"])
    units = row_blocks * col_blocks
    assert parts >= 4
    assert row_blocks * panels - 2 * of_first_half(units, parts) * given["col_block"] in (0, 1)


def test_wide_tiles_stay_wide() -> None:
    """Of AVX-512, which tiles of one panel would not fill; and rows so few that tiles of one panel waste registers."""
    weights = pack_panels(np.zeros((960, 160), np.float32))
    wide, _ = arguments("edge.Gemm", [np.zeros((49, 960), np.float32), weights, None, None], "x86-64-v4-vnni", n=160)
    few, _ = arguments("edge.Gemm", [np.zeros((1, 960), np.float32), weights, None, None], "x86-64-v3", n=160)
    assert wide["col_block"] > 1
    assert few["col_block"] > 1


@pytest.mark.parametrize(("size", "channels", "by_channels"), [(7, 960, True), (10, 96, False), (14, 384, False)])
def test_depthwise_convolutions(size: int, channels: int, by_channels: bool) -> None:
    """As the products before: by channels where there are fewer pixels, else by rows."""
    inputs = [np.zeros((1, size, size, channels), np.float32), np.zeros((3, 3, channels), np.float32), None, None]
    given, parts = arguments("edge.DepthwiseConv", inputs, TARGETS["armv8-a"].name, **WINDOW)
    assert parts > 1
    assert (given["band"] == size) == by_channels
    if by_channels:
        assert channels % given["channel_block"] == 0
        assert channels // given["channel_block"] % 2 == 0
