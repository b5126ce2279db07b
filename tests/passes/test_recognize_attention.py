from __future__ import annotations

import numpy as np
import pytest

from edge_rt.graph import Value
from edge_rt.types import DType
from exporter.passes.recognize_attention import recognize_attention
from tests.passes._support import Net, fires, node, ops, stays


class Parts:
    """q, k and v [batch, heads, length, size] of a graph; k^T as a Transpose."""

    def __init__(self, heads: int = 2, mask: tuple[int | str, ...] = ("n", 1, 1, 5)) -> None:
        self.g = Net()
        self.q, self.v = self.g.x("n", heads, 3, 8, name="q"), self.g.x("n", heads, 5, 4, name="v")
        self.k = self.g.add("Transpose", self.g.x("n", 5, heads, 8, name="k"), perm=(0, 2, 3, 1))
        self.mask_shape = mask

    def finish(self, scores: Value, replaces_nan: bool = False) -> Net:
        g = self.g
        weights = g.add("Softmax", scores)
        if replaces_nan:
            weights = g.add("Where", g.add("IsNaN", weights), g.number(0), weights)
        g.output(g.add("MatMul", weights, self.v), "y")
        return g

    def finite_mask(self) -> Value:
        return self.g.add("Mul", self.g.x(*self.mask_shape, name="mask"), self.g.number(-1e4))


def scaled(p: Parts) -> Value:
    return p.g.add("Mul", p.g.add("MatMul", p.q, p.k), p.g.number(0.25))


def test_a_scaled_product():
    p = Parts()
    g = p.finish(scaled(p))
    fires(recognize_attention, g, times=1)
    assert ops(g) == ["Transpose", "Attention"]
    assert node(g, "Transpose").attrs.perm == (0, 2, 1, 3)
    assert node(g, "Attention").attrs.scale == 0.25


def test_scales_of_both_operands_and_no_scale():
    p = Parts()
    third = p.g.number(1 / 3)
    g = p.finish(p.g.add("MatMul", p.g.add("Mul", p.q, third), p.g.add("Div", p.k, p.g.number(2))))
    fires(recognize_attention, g, times=1)
    assert node(g, "Attention").attrs.scale == pytest.approx(1 / 6)
    plain = Parts()
    g = plain.finish(plain.g.add("MatMul", plain.q, plain.k))
    fires(recognize_attention, g, times=1)
    assert node(g, "Attention").attrs.scale == 1.0


@pytest.mark.parametrize("shape", [("n", 1, 1, 5), ("n", 2, 3, 5), (3, 5), (5,)])
def test_a_finite_mask(shape):
    p = Parts(mask=shape)
    g = p.finish(p.g.add("Add", p.finite_mask(), scaled(p)))
    fires(recognize_attention, g, times=1)
    assert ops(g) == ["Mul", "Transpose", "Attention"]


def test_a_mask_that_hides_everything_where_nans_are_replaced():
    p = Parts()
    seen = p.g.x("n", 1, 3, 1, name="seen", dtype=DType.BOOL)
    mask = p.g.add("Where", seen, p.g.number(0), p.g.number(-np.inf))
    g = p.finish(p.g.add("Add", scaled(p), mask), replaces_nan=True)
    fires(recognize_attention, g, times=1)
    assert ops(g) == ["Where", "Transpose", "Attention"]


def test_a_mask_that_may_hide_everything_stays():
    p = Parts()
    stays(recognize_attention, p.finish(p.g.add("Add", scaled(p), p.g.x("n", 1, 1, 5, name="mask"))))
    p = Parts()
    hidden = p.g.constant(np.full((3, 5), -np.inf, np.float32))
    stays(recognize_attention, p.finish(p.g.add("Add", scaled(p), hidden)))


def test_what_is_not_attention():
    p = Parts()
    stays(recognize_attention, p.finish(p.g.add("Mul", p.g.add("MatMul", p.q, p.k), p.g.number(-1))))
    p = Parts()
    stays(recognize_attention, p.finish(p.g.add("MatMul", p.q, p.g.x("n", 2, 8, 5, name="not_transposed"))))
    p = Parts()
    scores = scaled(p)
    p.g.output(scores, "scores")
    stays(recognize_attention, p.finish(scores))
    p = Parts()
    p.v = p.g.x("n", 1, 5, 4, name="one_head")
    stays(recognize_attention, p.finish(scaled(p)))
    p = Parts()
    weights = p.g.add("Softmax", scaled(p), axis=2)
    p.g.output(p.g.add("MatMul", weights, p.v), "y")
    stays(recognize_attention, p.g)
