"""Arithmetic on symbolic sizes agrees with arithmetic on the numbers that the symbols stand for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_rt.dims import Sym, ceil_div, floor_div, is_limited, maximum, minimum, product, symbol
from edge_rt.errors import SymbolicDimError
from edge_rt.ops._rules import joined

H, W = symbol("h"), symbol("w")

leaf = st.one_of(st.integers(-6, 6), st.sampled_from([H, W]))
polynomial = st.recursive(
    leaf,
    lambda inner: st.tuples(st.sampled_from("+-*"), inner, inner).map(
        lambda t: t[1] + t[2] if t[0] == "+" else t[1] - t[2] if t[0] == "-" else t[1] * t[2]
    ),
    max_leaves=6,
)


def value(x: Any, h: int, w: int) -> int:
    """Evaluates a polynomial through its printed form."""
    return int(eval(str(x), {"h": h, "w": w})) if isinstance(x, Sym) else x


@given(polynomial, polynomial, st.integers(-9, 9), st.integers(-9, 9))
def test_ring(a: Any, b: Any, h: int, w: int) -> None:
    assert value(a + b, h, w) == value(a, h, w) + value(b, h, w)
    assert value(a - b, h, w) == value(a, h, w) - value(b, h, w)
    assert value(a * b, h, w) == value(a, h, w) * value(b, h, w)
    assert a + b == b + a
    assert (a + b) * a == a * a + b * a


def test_results_without_symbols_are_numbers() -> None:
    assert type(H - H) is int
    assert type((H + 3) - H) is int
    assert H * 4 // H == 4
    assert (4 * H) // 2 == 2 * H
    assert floor_div(H * W, W) == H
    assert product([2, H, 3]) == 6 * H
    assert maximum(H, H + 1) == H + 1
    assert minimum(H, H + 1) == H


def test_what_cannot_be_divided_is_an_atom() -> None:
    assert str((H + 1) // 2) == "floor((h+1)/2)"
    assert floor_div(H + 1, 2) == (H + 1) // 2
    assert ceil_div(7, 2) == 4
    assert str(maximum(H, 3)) == str(maximum(3, H))


@pytest.mark.parametrize("decide", [bool, int, float, lambda x: x < 3, lambda x: x >= W, lambda x: range(x)])
def test_deciding_on_an_unknown_size_is_an_error(decide: Any) -> None:
    with pytest.raises(SymbolicDimError, match="the size h is not known yet"):
        decide(H)


@pytest.mark.parametrize("size", [H, 2 * W, H * W + 1], ids=str)
def test_a_size_and_its_minimum_with_a_number_broadcast_to_the_size(size: Any) -> None:
    assert is_limited(minimum(512, size), size)
    assert joined(minimum(512, size), size) == joined(size, minimum(512, size)) == size
    for other in (minimum(1, size), minimum(size, symbol("limit")), minimum(512, size) + 1, maximum(512, size), 512):
        assert not is_limited(other, size)
        if not isinstance(other, int):
            assert joined(other, size) is None
