from __future__ import annotations

import numpy as np
import pytest

from edge_rt.ops.edge_elementwise import INSTRUCTIONS, MAX_INPUTS, MAX_INSTRUCTIONS
from edge_rt.types import DType
from exporter.passes.fuse_elementwise import SPELLING, fuse_elementwise
from tests.passes._support import Net, fires, node, ops, stays


def test_a_chain_is_one_program():
    g = Net()
    x, z = g.x("n", 5), g.x(5, name="z")
    y = g.add("Tanh", g.add("Add", g.add("Mul", x, g.number(0.5)), z))
    g.output(g.add("Sub", y, x), "y")
    fires(fuse_elementwise, g, times=1)
    assert ops(g) == ["edge.Elementwise"]
    assert g.nodes[0].attrs.program == ("Mul 0 1", "Add 3 2", "Tanh 4", "Sub 5 0")


def test_a_value_that_the_program_uses_twice():
    g = Net()
    x = g.x("n", 5)
    a = g.add("Exp", x)
    g.output(g.add("Mul", g.add("Neg", a), g.add("Sqrt", a)), "y")
    fires(fuse_elementwise, g, times=1)
    assert ops(g) == ["edge.Elementwise"]


ATTRIBUTES = {
    "LeakyRelu": {"alpha": 0.3},
    "Elu": {"alpha": 0.3},
    "Celu": {"alpha": 0.3},
    "ThresholdedRelu": {"alpha": 0.3},
    "Swish": {"alpha": 0.3},
    "HardSigmoid": {"alpha": 0.3, "beta": 0.2},
    "Selu": {},
    "Shrink": {"bias": 0.1, "lambd": 0.2},
    "Gelu": {"approximate": "tanh"},
}


@pytest.mark.parametrize("op", sorted(set(SPELLING) - {"Mod", "GeluTanh"}))
def test_every_operator_is_spelled_as_it_computes(op):
    g = Net()
    x = g.add("Sigmoid", g.x("n", 50))
    if op in ("Acosh",):
        x = g.add("Add", x, g.number(1))
    count = {"Clip": 1, "Max": 3, "Min": 3, "Sum": 3, "Swish": 1, "HardSigmoid": 1, "Selu": 1, "Shrink": 1}
    count |= dict.fromkeys(("LeakyRelu", "Elu", "Celu", "ThresholdedRelu", "Gelu"), 1)
    others = [g.x("n", 50, name=f"z{i}") for i in range(1, count.get(op, INSTRUCTIONS.get(op, (2,))[0]))]
    limits = [g.number(0.25), g.number(0.75)] if op == "Clip" else []
    g.output(g.add(op, x, *others, *limits, **ATTRIBUTES.get(op, {})), "y")
    fires(fuse_elementwise, g, times=1)
    assert ops(g) == ["edge.Elementwise"]


@pytest.mark.parametrize(("exponent", "program"), [(2, ["Mul 0 0"]), (0.5, ["Sqrt 0"]), (3, ["Pow 0 1"])])
def test_squares_and_roots_are_no_powers(exponent: float, program: list[str]):
    g = Net()
    power = g.add("Pow", g.add("Sigmoid", g.x("n", 5)), g.number(exponent))
    g.output(g.add("Neg", power), "y")
    fires(fuse_elementwise, g, times=1)
    made = [text.split()[0] for text in node(g, "edge.Elementwise").attrs.program]
    assert made == ["Sigmoid", program[0].split()[0], "Neg"]


def test_a_clip_with_one_limit():
    g = Net()
    y = g.add("Clip", g.add("Neg", g.x(9)), None, g.number(0.5))
    g.output(g.add("Clip", y, g.number(-0.5)), "y")
    fires(fuse_elementwise, g, times=1)
    assert ops(g) == ["edge.Elementwise"]


def test_intermediates_that_are_used_or_given_out_end_a_program():
    g = Net()
    y = g.add("Exp", g.add("Neg", g.x(4)))
    g.output(g.add("Abs", y), "a")
    g.output(g.add("Cos", g.add("Sin", y)), "b")
    g.output(g.add("Sqrt", g.add("Softmax", y)), "c")
    fires(fuse_elementwise, g, times=2)
    assert sorted(ops(g)) == ["Abs", "Softmax", "Sqrt", "edge.Elementwise", "edge.Elementwise"]


def test_a_smaller_intermediate_is_computed_once():
    g = Net()
    small = g.add("Sigmoid", g.add("Neg", g.x(1, 5, name="small")))
    g.output(g.add("Mul", g.x(8, 5), small), "y")
    fires(fuse_elementwise, g, times=1)
    assert ops(g) == ["edge.Elementwise", "Mul"]


def test_programs_have_limits():
    g = Net()
    y = g.x(4)
    for i in range(MAX_INPUTS + 3):
        y = g.add("Add", y, g.x(4, name=f"z{i}"))
    g.output(y, "a")
    w = g.x(4, name="w")
    for _ in range(MAX_INSTRUCTIONS + 5):
        w = g.add("Sin", w)
    g.output(w, "b")
    fires(fuse_elementwise, g, times=4)
    for n in g.nodes:
        assert len(n.inputs) <= MAX_INPUTS
        assert len(n.attrs.program) <= MAX_INSTRUCTIONS


def test_equal_numbers_are_one_input():
    g = Net()
    y = g.add("Mul", g.add("Add", g.x(4), g.number(2)), g.constant(np.float32(2)))
    g.output(y, "y")
    fires(fuse_elementwise, g, times=1)
    assert len(node(g, "edge.Elementwise").inputs) == 2


def test_single_nodes_other_dtypes_and_other_operators_stay():
    g = Net()
    g.output(g.add("Relu", g.x(4)), "a")
    g.output(g.add("Abs", g.add("Neg", g.x(4, name="i", dtype=DType.INT32))), "b")
    g.output(g.add("Cast", g.add("Greater", g.add("Exp", g.x(4, name="z")), g.number(1)), to="float32"), "c")
    stays(fuse_elementwise, g)
