from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt.graph import Graph, Value
from edge_rt.interpreter import evaluate
from edge_rt.types import DType
from exporter.passes import optimize
from exporter.passes.widen_float16 import widen_float16
from tests.passes._support import Net, node, ops, samples, stays

HALF, SINGLE = DType.FLOAT16, DType.FLOAT32
EPS = 2.0**-11
"""The largest relative error of rounding to float16."""


class HalfNet(Net):
    """Inputs and random constants are float16."""

    def h(self, *shape: int, name: str = "x") -> Value:
        return self.x(*shape, name=name, dtype=HALF)

    def c(self, *shape: int) -> Value:
        data = self.w(*shape).data
        assert data is not None
        return self.constant(data.astype(np.float16))


def widens(graph: Graph, times: int, inputs: list[Any] | None = None) -> list[Any]:
    """Asserts that so many nodes are widened, at once, and that results are those of float16 but for roundings."""
    inputs = samples(graph) if inputs is None else inputs
    expected = evaluate(graph, inputs)
    assert widen_float16(graph) == times
    graph.retype()
    graph.verify()
    assert widen_float16(graph) == 0
    made = evaluate(graph, inputs)
    for got, want in zip(made, expected, strict=True):
        assert got.dtype == want.dtype
        scale = max(1.0, float(np.abs(want.astype(np.float64)).max(initial=0)))
        np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=0, atol=16 * EPS * scale)
    return made


def test_casts_are_at_the_borders_only():
    g = HalfNet()
    y = g.add("Relu", g.add("MatMul", g.h(3, 8), g.c(8, 8)))
    g.output(g.add("Softmax", g.add("Transpose", g.add("Add", y, g.c(8)))), "y")
    widens(g, 5)
    assert ops(g) == ["Cast", "MatMul", "Relu", "Add", "Transpose", "Softmax", "Cast"]
    assert [v.type.dtype for v in (*g.inputs, *g.outputs)] == [HALF, HALF]
    assert all(v.type.dtype is SINGLE for v in g.constants())


def test_nothing_is_rounded_in_between():
    g = HalfNet()
    x = g.h(4)
    y = g.add("Sub", g.add("Add", x, g.constant(np.float16(1000))), g.constant(np.float16(1000)))
    g.output(y, "y")
    given = np.array([0.3, 0.01, 1.7, -2.4], np.float16)
    assert not np.array_equal(evaluate(g, [given])[0], given)
    assert widen_float16(g) == 2
    g.retype()
    assert np.abs(evaluate(g, [given])[0] - given).max() < 1e-3


def test_what_lies_beyond_float16_in_between_stays_finite():
    g = HalfNet()
    x = g.h(2)
    g.output(g.add("Sqrt", g.add("Mul", x, x)), "y")
    given = np.array([300, 65504], np.float16)
    assert np.isinf(evaluate(g, [given])[0]).all()
    assert widen_float16(g) == 2
    g.retype()
    np.testing.assert_array_equal(evaluate(g, [given])[0], given)


def test_a_value_that_also_leaves_is_rounded_once():
    g = HalfNet()
    y = g.add("Exp", g.h(5))
    g.output(y, "y")
    g.output(g.add("Sigmoid", y), "z")
    g.output(g.add("Cast", y, to=DType.INT32), "whole")
    g.output(g.add("Shape", y), "shape")
    widens(g, 2)
    assert ops(g).count("Cast") == 4
    assert node(g, "Sigmoid").inputs[0].type.dtype is SINGLE


def test_casts_of_the_model():
    g = HalfNet()
    x = g.x(6)
    rounded = g.add("Cast", x, to=HALF)
    wide = g.add("Cast", g.add("Mul", rounded, g.constant(np.float16(1.001))), to=SINGLE)
    g.output(g.add("Exp", wide), "y")
    (made,) = widens(g, 1)
    x_half = samples(g)[0].astype(np.float16).astype(np.float32)
    np.testing.assert_allclose(made, np.exp(x_half * np.float32(np.float16(1.001))), rtol=1e-6)
    optimize(g)
    assert [n.attrs.to for n in g.nodes if n.op.name == "Cast"] == [HALF, SINGLE]


def test_moves_alone_stay():
    g = HalfNet()
    parts = g.add("Split", g.add("Transpose", g.h(4, 6)), axis=0, num_outputs=2)
    g.output(g.add("Concat", *reversed(parts), axis=0), "y")
    g.output(g.add("Gather", g.c(20, 3), g.x(2, name="ids", dtype=DType.INT64)), "rows")
    stays(widen_float16, g)


def test_rows_of_a_table_are_widened_not_the_table():
    g = HalfNet()
    table = g.c(20, 8)
    rows = g.add("Gather", table, g.x(3, name="ids", dtype=DType.INT64))
    g.output(g.add("Softmax", g.add("Unsqueeze", rows, g.ints(0))), "y")
    widens(g, 2)
    assert ops(g)[:2] == ["Gather", "Cast"]
    assert node(g, "Gather").inputs[0] is table


def test_a_moved_weight_is_widened_as_a_constant():
    g = HalfNet()
    g.output(g.add("MatMul", g.h(2, 8), g.add("Transpose", g.c(5, 8))), "y")
    widens(g, 2)
    assert ops(g).count("Cast") == 2


@pytest.mark.parametrize("op", ["Equal", "Unique", "IsInf", "NonZero"])
def test_what_asks_for_the_float16_number_gets_it(op):
    """1 + 2**-12 is 1 in float16, 2**-30 is 0, and 2**16 infinity."""
    g = HalfNet()
    x = g.h(3)
    y = g.add("Mul", x, x)
    made = g.add(op, y, g.constant(np.ones(1, np.float16))) if op == "Equal" else g.add(op, y)
    g.output(made[0] if op == "Unique" else made, "y")
    given = [np.array([1 + 2.0**-10, 2.0**-15, 256], np.float16), np.array([1, 0, 2], np.float16)]
    expected = [evaluate(g, [x])[0] for x in given]
    assert widen_float16(g) == 2
    for stage in (g.retype, lambda: optimize(g)):
        stage()
        for x, want in zip(given, expected, strict=True):
            np.testing.assert_array_equal(evaluate(g, [x])[0], want)


def test_state_keeps_its_type():
    g = HalfNet()
    state = g.variable("total", np.zeros(3, np.float16))
    state.update = g.add("Add", state.value, g.h(3))
    g.output(g.add("Relu", state.update), "y")
    widens(g, 2)
    assert state.value.type.dtype is state.update.type.dtype is HALF
    kept = {"total": np.full(3, 2, np.float16)}
    evaluate(g, [np.ones(3, np.float16)], kept)
    assert kept["total"].dtype == np.float16
    np.testing.assert_array_equal(kept["total"], 3)


def body(op: str) -> Graph:
    inner = HalfNet()
    x = inner.h(3, name="capture")
    inner.output(inner.add("Mul", inner.add(op, x), inner.c(3)), "y")
    return inner


def test_branches_take_and_give_float16():
    g = HalfNet()
    y = g.add("Exp", g.h(3))
    chosen = g.add(
        "If", g.x(name="condition", dtype=DType.BOOL), y, then_branch=body("Tanh"), else_branch=body("Relu")
    )
    g.output(g.add("Neg", chosen), "y")
    before = [evaluate(g, [samples(g)[0], np.bool_(c)])[0] for c in (True, False)]
    optimize(g)
    taken = node(g, "If")
    assert taken.inputs[1].type.dtype is taken.output.type.dtype is HALF
    assert "edge.Elementwise" in ops(taken.attrs.then_branch)
    for condition, want in zip((True, False), before, strict=True):
        got = evaluate(g, [samples(g)[0], np.bool_(condition)])[0]
        np.testing.assert_allclose(got.astype(float), want.astype(float), rtol=8 * EPS)


def test_a_loop_carries_float16():
    inner = HalfNet()
    inner.x(name="i", dtype=DType.INT64)
    go, carried = inner.x(name="go", dtype=DType.BOOL), inner.h(2, name="carried")
    inner.output(go, "go")
    doubled = inner.add("Add", carried, carried)
    inner.output(doubled, "carried")
    inner.output(inner.add("Tanh", doubled), "scanned")
    g = HalfNet()
    last, scanned = g.add(
        "Loop", g.constant(np.int64(4)), g.constant(np.bool_(True)), g.h(2), body=inner, carried=1
    )
    g.output(last, "last")
    g.output(scanned, "scanned")
    want = evaluate(g, samples(g))
    optimize(g)
    for got, expected in zip(evaluate(g, samples(g)), want, strict=True):
        assert got.dtype == np.float16
        np.testing.assert_allclose(got.astype(float), expected.astype(float), rtol=2 * EPS)


@pytest.mark.parametrize(
    ("op", "more", "attributes"),
    [
        ("BitCast", (), {"to": DType.INT16}),
        ("RandomNormalLike", (), {"seed": 1.0}),
        ("Bernoulli", (), {"seed": 1.0}),
        ("EyeLike", (), {}),
        ("CastLike", (np.zeros(1, np.int32),), {}),
        ("QuantizeLinear", (np.float16(0.1), np.uint8(3)), {"precision": HALF}),
    ],
)
def test_meaning_depends_on_the_type(op, more, attributes):
    g = HalfNet()
    g.output(g.add(op, g.h(4, 4), *map(g.constant, more), **attributes), "y")
    stays(widen_float16, g)


def test_range_of_float16_stays():
    g = HalfNet()
    start, step = g.h(name="start"), g.h(name="step")
    g.output(g.add("Range", start, g.constant(np.float16(5)), step), "y")
    stays(widen_float16, g)


def test_quantisation_with_scales_of_float16():
    g = HalfNet()
    scale, zero = g.constant(np.float16(0.05)), g.constant(np.uint8(100))
    q = g.add("QuantizeLinear", g.h(4, 5), scale, zero)
    g.output(q, "q")
    g.output(g.add("DequantizeLinear", q, scale, zero, output_dtype=HALF), "y")
    inputs = samples(g)
    q_before, y_before = evaluate(g, inputs)
    assert widen_float16(g) == 2
    g.retype()
    g.verify()
    q_made, y_made = evaluate(g, inputs)
    assert np.abs(q_made.astype(int) - q_before.astype(int)).max() <= 1
    assert y_made.dtype == np.float16
    assert np.abs(y_made - y_before).max() <= 0.05 + 1e-3


def test_attributes_that_ask_for_float16_ask_for_float32():
    g = HalfNet()
    q, k, v = (g.h(1, 2, 5, 8, name=name) for name in "qkv")
    g.output(g.add("Attention", q, k, v, softmax_precision=HALF)[0], "y")
    widens(g, 1)
    assert node(g, "Attention").attrs.softmax_precision is SINGLE


def test_float32_and_float64_stay():
    g = Net()
    g.output(g.add("Exp", g.x(3)), "y")
    g.output(g.add("Exp", g.x(3, name="d", dtype=DType.FLOAT64)), "z")
    stays(widen_float16, g)
