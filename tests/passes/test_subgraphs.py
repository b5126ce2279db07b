"""inline_if and narrow_captures."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph
from edge_rt.types import DType
from exporter.passes.inline_if import inline_if
from exporter.passes.narrow_captures import narrow_captures
from tests.passes._support import Net, fires, node, ops, stays


def branch(op: str, captures: int = 1) -> Graph:
    """(a, b, ...) -> op(a) * 2."""
    inner = Net()
    values = [inner.x(2, name=f"capture{i}") for i in range(captures)]
    inner.output(inner.add("Mul", inner.add(op, values[0]), inner.number(2)), "y")
    return inner


def test_a_known_condition_takes_its_branch():
    for condition, op in ((True, "Exp"), (False, "Relu")):
        g = Net()
        x = g.x(2)
        y = g.add("If", g.constant(np.bool_(condition)), x, then_branch=branch("Exp"), else_branch=branch("Relu"))
        g.output(g.add("Abs", y), "y")
        fires(inline_if, g, times=1)
        assert ops(g) == [op, "Mul", "Abs"]


def test_a_condition_known_from_shapes_takes_its_branch():
    g = Net()
    x = g.x(2)
    small = g.add("Less", g.add("Size", x), g.constant(np.int64(5)))
    g.output(g.add("If", small, x, then_branch=branch("Exp"), else_branch=branch("Relu")), "y")
    fires(inline_if, g, times=1)
    assert ops(g) == ["Exp", "Mul"]


def test_a_condition_that_depends_on_an_input_or_an_unknown_size_stays():
    g = Net()
    x, condition = g.x(2), g.x(name="condition", dtype=DType.BOOL)
    g.output(g.add("If", condition, x, then_branch=branch("Exp"), else_branch=branch("Relu")), "y")
    small = g.add("Less", g.add("Size", g.x("n", name="other")), g.constant(np.int64(5)))
    g.output(g.add("If", small, x, then_branch=branch("Exp"), else_branch=branch("Relu")), "z")
    stays(inline_if, g)


def test_a_branch_that_gives_out_what_it_was_given():
    passes_on = Net()
    passes_on.output(passes_on.x(2), "y")
    g = Net()
    y = g.add("If", g.constant(np.bool_(True)), g.add("Abs", g.x(2)), then_branch=passes_on, else_branch=branch("Exp"))
    g.output(y, "y")
    fires(inline_if, g, times=1)
    assert ops(g) == ["Abs"]


def test_captured_constants_move_in_and_unused_captures_go():
    g = Net()
    x, condition = g.x(2), g.x(name="condition", dtype=DType.BOOL)
    then_branch, else_branch = branch("Exp", captures=3), branch("Relu", captures=3)
    y = g.add("If", condition, g.w(2), g.add("Abs", x), x, then_branch=then_branch, else_branch=else_branch)
    g.output(y, "y")
    fires(narrow_captures, g, times=3)
    assert len(node(g, "If").inputs) == 1
    assert then_branch.inputs == else_branch.inputs == []
    assert then_branch.nodes[0].inputs[0].is_constant


def test_captures_in_use_and_carried_values_stay():
    body = Net()
    i, go = body.x(name="i", dtype=DType.INT64), body.x(name="go", dtype=DType.BOOL)
    carried, capture = body.x(2, name="carried"), body.x(2, name="capture")
    body.output(body.add("And", go, body.add("Less", i, body.constant(np.int64(3)))), "go")
    body.output(body.add("Add", carried, capture), "carried")
    g = Net()
    trips = g.constant(np.int64(4))
    g.output(g.add("Loop", trips, g.constant(np.bool_(True)), g.w(2), g.x(2), body=body, carried=1), "y")
    stays(narrow_captures, g)


def test_a_constant_that_a_loop_captures_moves_in():
    body = Net()
    body.x(name="i", dtype=DType.INT64)
    go = body.x(name="go", dtype=DType.BOOL)
    carried, capture = body.x(2, name="carried"), body.x(2, name="capture")
    body.output(go, "go")
    body.output(body.add("Add", carried, capture), "carried")
    g = Net()
    trips = g.constant(np.int64(4))
    g.output(g.add("Loop", trips, g.constant(np.bool_(True)), g.x(2), g.w(2), body=body, carried=1), "y")
    fires(narrow_captures, g, times=1)
    assert len(node(g, "Loop").inputs) == 3


def test_a_constant_that_a_scan_captures_moves_in():
    body = Net()
    total, row, capture = body.x(2, name="total"), body.x(2, name="row"), body.x(2, name="capture")
    body.output(body.add("Add", total, body.add("Mul", row, capture)), "total")
    g = Net()
    g.output(g.add("Scan", g.x(2), g.x(5, 2, name="rows"), g.w(2), body=body, carried=1, num_scan_inputs=1), "y")
    fires(narrow_captures, g, times=1)
    assert len(node(g, "Scan").inputs) == 2
