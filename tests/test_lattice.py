"""Whether weights are integers times a scale is found from their values alone."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.lattice import ULPS, exact_integers, is_exact_in_float16, rounded_integers


def lattice(bits, k=150, columns=40, zero=False, seed=0):
    """(values, scales, integers) of columns that are integers less a zero point, times a scale."""
    rng = np.random.default_rng(seed)
    top = 1 << (bits - 1)
    scale = (rng.random(columns) * 0.01 + 1e-4).astype(np.float32)
    n = rng.integers(-top, top, (k, columns)) - (rng.integers(-top, top, columns) if zero else 0)
    return n.astype(np.float32) * scale, scale, n


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("zero", [False, True])
@pytest.mark.parametrize("k", [1, 7, 150, 1000])
def test_integers_are_found_bit_by_bit(bits, zero, k):
    values, *_ = lattice(bits, k, zero=zero, seed=k)
    found = exact_integers(values, bits)
    assert found is not None
    assert found.q.min() >= -(1 << (bits - 1))
    assert found.q.max() < 1 << (bits - 1)
    if k > 2:
        np.testing.assert_array_equal(found.decoded(), values)
    assert (np.abs(found.decoded() - values) <= ULPS * np.spacing(np.abs(values))).all()


def test_integers_are_found_behind_factors_that_were_folded():
    values, *_ = lattice(8)
    for seed in (1, 2):
        values = values * np.random.default_rng(seed).random(40).astype(np.float32)
    found = exact_integers(values, 8)
    assert found is not None
    assert (np.abs(found.decoded() - values) <= ULPS * np.spacing(np.abs(values))).all()


def test_few_odd_values_among_many_even_ones():
    """The values that are looked at first suggest a step that is too long."""
    n = np.full((1000, 20), 126)
    n[::2] = -64
    n[3] = 1
    found = exact_integers(n.astype(np.float32) * np.float32(0.017), 8)
    assert found is not None
    np.testing.assert_array_equal(found.q, n)


def test_zeros():
    values = np.zeros((5, 3), np.float32)
    values[:, 1] = [0, 0.5, 0, -0.5, -0.0]
    found = exact_integers(values, 4)
    assert found is not None
    np.testing.assert_array_equal(found.decoded(), values)


def test_what_is_no_lattice():
    values, *_ = lattice(8)
    assert exact_integers(values, 4) is None
    assert exact_integers(np.random.default_rng(0).standard_normal((30, 9)).astype(np.float32), 8) is None
    for position in ((0, 0), (77, 39)):
        for off in (np.float32(1e-6), np.inf, np.nan):
            other = values.copy()
            other[position] += off
            assert exact_integers(other, 8) is None
    wide = np.array([[-200, 200, 1]], np.float32).T @ np.ones((1, 4), np.float32)
    assert exact_integers(wide, 8) is None
    assert exact_integers(np.full((4, 4), 1e-40, np.float32) * np.arange(4, dtype=np.float32), 8) is None


@pytest.mark.parametrize("bits", [4, 8])
def test_rounding_is_off_by_half_a_step(bits):
    values = np.random.default_rng(0).standard_normal((50, 9)).astype(np.float32)
    values[:, 4] = 0
    made = rounded_integers(values, bits)
    step = np.abs(values).max(axis=0) / ((1 << (bits - 1)) - 1)
    assert (np.abs(made.decoded() - values) <= step * 0.5001).all()
    again = rounded_integers(made.decoded(), bits)
    np.testing.assert_array_equal(again.q, made.q)


def test_float16():
    values = np.random.default_rng(0).standard_normal((100, 10)).astype(np.float16).astype(np.float32)
    assert is_exact_in_float16(values)
    for odd in (0.1, 1e6, 1e-9):
        values[77, 3] = odd
        assert not is_exact_in_float16(values)
