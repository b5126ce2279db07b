"""Sums of columns: as exact as a tree of additions, and the same bits however the work and the lanes are cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt.codegen.testing import call
from edge_rt.lowering.reduce import REDUCE_F32, REDUCTIONS
from edge_rt.native.features import cpu_features, lacking
from edge_rt.targets import TARGETS

Array = np.ndarray[Any, Any]
SUMS: dict[str, Any] = {"ReduceSum": np.sum, "ReduceMean": np.mean}


def reduced(x: Array, name: str, **options: Any) -> Array:
    outer, size, inner = x.shape
    out = np.full((outer, inner), np.nan, np.float32)
    call(REDUCE_F32, x=x, out=out, outer=outer, size=size, inner=inner, code=REDUCTIONS.index(name), **options)
    return out


@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize(("rows", "columns"), [(1, 70), (15, 3), (16, 16), (31, 64), (512, 24), (20_000, 100)])
def test_sums_of_columns_are_as_exact_as_a_tree(name: str, rows: int, columns: int) -> None:
    x = np.random.default_rng(rows).standard_normal((2, rows, columns)).astype(np.float32) + 1
    exact = SUMS[name](x, axis=1, dtype=np.float64)
    scale = np.abs(x).sum(axis=1, dtype=np.float64) / (rows if name == "ReduceMean" else 1)
    assert np.max(np.abs(reduced(x, name) - exact) / scale) < 2.5e-7


@pytest.mark.parametrize("name", ["ReduceSum", "ReduceMean", "ReduceL2", "ReduceProd", "ReduceLogSum"])
def test_bits_do_not_depend_on_parts_or_lanes(name: str) -> None:
    x = np.random.default_rng(0).uniform(0.5, 1.5, (3, 333, 150)).astype(np.float32)
    expected = reduced(x, name)
    assert np.array_equal(reduced(x, name, parts=7), expected)
    others = [t for t in TARGETS.values() if not lacking(t, cpu_features())]
    assert others
    for target in others:
        assert np.array_equal(reduced(x, name, target=target), expected), target.name


def test_specials_pass_through_columns() -> None:
    x = np.zeros((1, 40, 20), np.float32)
    x[0, 17, 3], x[0, 39, 5], x[0, :2, 7] = np.nan, np.inf, (np.inf, -np.inf)
    with np.errstate(invalid="ignore"):
        for name, function in (("ReduceSum", np.sum), ("ReduceMax", np.max), ("ReduceMin", np.min)):
            assert np.array_equal(reduced(x, name), function(x, axis=1), equal_nan=True), name
