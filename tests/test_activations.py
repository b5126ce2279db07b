"""Activations have the same bits in whatever company a number is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt.codegen.testing import call
from edge_rt.lowering.conv import DEPTHWISE_F32
from edge_rt.lowering.gemm import ACTIVATIONS

Array = np.ndarray[Any, Any]


def activated(x: Array, name: str) -> Array:
    """Of x [rows, columns], by a depthwise convolution that leaves each number as it is."""
    rows, columns = x.shape
    y = np.full_like(x, np.nan)
    geometry = np.array([1, 1, rows, columns, 1, 1, 1, 1, 0, 0, 1, 1, 1, rows], np.int64)
    call(
        DEPTHWISE_F32, x=x, w=np.ones(columns, np.float32), bias=None, residual=None, y=y, means=None,
        zeros=np.zeros(16, np.float32), geometry=geometry, band=1, band_alone=1, channel_block=columns, lo=-np.inf,
        hi=np.inf, activation=ACTIVATIONS[name], alpha=0.25, parts=1,
    )  # fmt: skip
    return y


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name])
def test_company(name: str) -> None:
    x = np.random.default_rng(0).normal(0, 3, (5, 83)).astype(np.float32)
    alone = np.concatenate([activated(x[:1, i : i + 1].copy(), name) for i in range(x.shape[1])], axis=1)
    for columns in (1, 7, 8, 12, 16, 24, 31, 32, 40, 83):
        whole = activated(x[:, :columns].copy(), name)
        assert np.array_equal(whole[:1], alone[:, :columns]), columns
        for rows in range(1, 5):
            assert np.array_equal(activated(x[:rows, :columns].copy(), name), whole[:rows]), (rows, columns)
