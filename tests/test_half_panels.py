"""Products whose columns are an odd number of half panels: AVX-512 sums them by twos; elsewhere they are as others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_rt.lowering._spec import Call, In, Out
from edge_rt.lowering.gemm import K_BLOCK, gemm_call
from edge_rt.ops._panels import pack_panels
from tests._kernel_runs import run_calls
from tests.cases._case import normal

Array = np.ndarray[Any, Any]


def argument(call: Call, name: str) -> Any:
    return call.args[[p.name for p in call.spec.params].index(name)]


def call_of(m: int, n: int, k: int, **more: Any) -> Call:
    return gemm_call(In(0), In(1), Out(0), m=m, n=n, k=k, batches=[[0, 0, 0, 0]], **more)


def run(call: Call, inputs: list[Array], y: Array, parts: int | None = None) -> Array:
    run_calls([call], inputs, [y], parts)
    return y


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_product(data: Any) -> None:
    draw = data.draw
    m, k = draw(st.integers(64, 400)), 2 * draw(st.integers(1, K_BLOCK // 2))
    n = draw(st.sampled_from([24, 40]) | st.integers(17, 24) | st.integers(33, 40))
    a, b, bias, residual = normal(m, k), normal(k, n, seed=1), normal(n, seed=2), normal(m, n, seed=3)
    has_bias, has_residual = draw(st.booleans()), draw(st.booleans())
    inputs = [a, pack_panels(b), bias, residual]
    call = call_of(m, n, k, bias=In(2) if has_bias else 0, residual=In(3) if has_residual else 0)
    assert argument(call, "halves") == (3 if n <= 24 else 5)
    wanted = a.astype(np.float64) @ b + (bias if has_bias else 0) + (residual if has_residual else 0)
    made = [run(call, inputs, np.full((m, n), np.nan, np.float32), parts) for parts in (None, 1, 2, 5)]
    most = np.abs(a).astype(np.float64) @ np.abs(b) + np.abs(bias) + np.abs(residual)
    assert (np.abs(made[0] - wanted) <= most * (k + 3) * np.finfo(np.float32).eps / 2).all()
    for other in made[1:]:
        np.testing.assert_array_equal(made[0], other)


@pytest.mark.parametrize("n", [23, 24, 40])
def test_what_is_not_finite_stays_in_its_row_and_column(n: int) -> None:
    m, k = 100, 12
    a, b = normal(m, k), normal(k, n, seed=1)
    wanted = a @ b
    a[7, 3], b[4, n - 1] = np.inf, np.nan
    got = run(call_of(m, n, k), [a, pack_panels(b)], np.zeros((m, n), np.float32))
    assert np.isnan(got[:, n - 1]).all()
    assert not np.isfinite(got[7]).any()
    others = np.delete(got, 7, 0)[:, :-1]
    np.testing.assert_allclose(others, np.delete(wanted, 7, 0)[:, :-1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n", [24, 40])
def test_each_matrix_of_a_batch_has_its_own_panels(n: int) -> None:
    m, k, count = 70, 16, 3
    a, b = normal(count, m, k), normal(count, k, n, seed=1)
    panels = pack_panels(b)
    offsets = [[i * m * k, i * panels.shape[1], 0, i * m * n] for i in (0, 1, 2)]
    call = gemm_call(In(0), In(1), Out(0), m=m, n=n, k=k, batches=offsets)
    assert argument(call, "halves")
    for parts in (None, 1, 2):
        got = run(call, [a, panels], np.zeros((count, m, n), np.float32), parts)
        np.testing.assert_allclose(got, a @ b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("m", "n", "k"), [(63, 24, 16), (64, 25, 16), (64, 16, 16), (64, 24, 15), (64, 24, K_BLOCK + 2), (64, 56, 16)]
)
def test_others_are_summed_one_by_one(m: int, n: int, k: int) -> None:
    """Few rows, whole panels, many panels, odd k, and so many k that they would not stay near."""
    assert argument(call_of(m, n, k), "halves") == 0


def test_rows_have_the_same_bits_in_larger_products() -> None:
    """Tiles of all heights sum alike."""
    m, n, k = 157, 24, 32
    a, panels = normal(m, k), pack_panels(normal(k, n, seed=1))
    whole = run(call_of(m, n, k), [a, panels], np.zeros((m, n), np.float32))
    for rows in (64, 65, 66, 67, 68, 69, 70, 71, 72, 73):
        some = run(call_of(rows, n, k), [a[:rows], panels], np.zeros((rows, n), np.float32))
        np.testing.assert_array_equal(some, whole[:rows])
