from __future__ import annotations

import numpy as np
import pytest

from edge_rt.types import DType
from exporter.passes.merge_transposes import merge_transposes
from exporter.passes.sink_transposes import sink_transposes
from tests.passes._quantised import QNet
from tests.passes._support import Net, fires, node, ops, stays

FIRST, LAST = (0, 3, 1, 2), (0, 2, 3, 1)


def images(g: Net, name="x", shape=("n", 4, 6, 3)):
    """A channels-last input as channels-first."""
    return g.add("Transpose", g.x(*shape, name=name), perm=FIRST)


SINK = {
    "relu": (lambda g, x: g.add("Relu", x), FIRST),
    "clip": (lambda g, x: g.add("Clip", x, g.number(0), g.number(1)), FIRST),
    "cast": (lambda g, x: g.add("Cast", x, to="int32"), FIRST),
    "add a constant": (lambda g, x: g.add("Add", g.w(3, 1, 1), x), FIRST),
    "multiply a number": (lambda g, x: g.add("Mul", x, g.number(2)), FIRST),
    "add its like": (lambda g, x: g.add("Add", x, images(g, "z")), FIRST),
    "add itself": (lambda g, x: g.add("Add", x, x), FIRST),
    "gate of one number per channel": (lambda g, x: g.add("Mul", x, g.x("n", 3, 1, 1, name="gate")), FIRST),
    "prelu": (lambda g, x: g.add("PRelu", x, g.w(3, 1, 1)), FIRST),
    "where": (lambda g, x: g.add("Where", g.add("Greater", x, g.number(0)), x, g.number(0)), FIRST),
    "concat": (lambda g, x: g.add("Concat", x, images(g, "z"), axis=1), FIRST),
    "concat constant": (lambda g, x: g.add("Concat", images(g, "z", (2, 4, 6, 3)), g.w(2, 1, 4, 6), axis=-3), FIRST),
    "reduce": (lambda g, x: g.add("ReduceMean", x, g.ints(2, 3)), FIRST),
    "reduce away": (lambda g, x: g.add("ReduceSum", x, g.ints(-1), keepdims=False), (0, 2, 1)),
    "reduce all": (lambda g, x: g.add("ReduceMax", x), FIRST),
    "softmax": (lambda g, x: g.add("Softmax", x, axis=1), FIRST),
    "argmax": (lambda g, x: g.add("ArgMax", x, axis=2), FIRST),
    "argmax away": (lambda g, x: g.add("ArgMax", x, axis=1, keepdims=False), None),
    "slice": (lambda g, x: g.add("Slice", x, g.ints(1), g.ints(3), g.ints(-3)), FIRST),
    "slice in order": (lambda g, x: g.add("Slice", x, g.ints(0, 1), g.ints(9, 3)), FIRST),
    "pad": (lambda g, x: g.add("Pad", x, g.ints(0, 1, 2, 3, 0, 0, 1, 0), g.number(7)), FIRST),
    "pad axes": (lambda g, x: g.add("Pad", x, g.ints(1, 2), None, g.ints(1)), FIRST),
    "gather": (lambda g, x: g.add("Gather", x, g.ints(2, 0), axis=1), FIRST),
    "gather one": (lambda g, x: g.add("Gather", x, g.constant(np.int64(1)), axis=2), (0, 2, 1)),
    "squeeze": (lambda g, x: g.add("Squeeze", images(g, "z", ("n", 1, 6, 3)), g.ints(2)), (0, 2, 1)),
    "unsqueeze": (lambda g, x: g.add("Unsqueeze", x, g.ints(2, 5)), (0, 5, 1, 2, 3, 4)),
    "flatten space": (lambda g, x: g.add("Reshape", x, g.ints(0, 3, 24)), (0, 2, 1)),
    "split channels": (lambda g, x: g.add("Reshape", x, g.ints(0, 3, 1, 4, 6)), None),
    "join batch and ones": (lambda g, x: g.add("Reshape", x, g.ints(-1, 1, 3, 4, 6)), None),
}


@pytest.mark.parametrize("name", SINK)
def test_sinks(name):
    g = Net()
    build, perm = SINK[name]
    g.output(build(g, images(g)), "y")
    fires(sink_transposes, g)
    if perm is None:
        return
    assert g.outputs[0].producer.op.name == "Transpose"
    if perm == FIRST:
        assert g.outputs[0].producer.attrs.perm == FIRST


def test_sinks_through_several_outputs():
    g = Net()
    first, second = g.add("Split", images(g), g.ints(1, 2), axis=1, num_outputs=2)
    g.output(first, "a")
    g.output(second, "b")
    fires(sink_transposes, g, times=1)
    assert node(g, "Split").attrs.axis == 3
    assert ops(g) == ["Split", "Transpose", "Transpose"]


def test_sinks_through_a_chain_in_one_go_and_meets_its_inverse():
    g = Net()
    y = g.add("Sigmoid", g.add("Add", g.add("Relu", images(g)), g.w(3, 1, 1)))
    g.output(g.add("Flatten", g.add("Transpose", y, perm=LAST)), "y")
    fires(lambda graph: sink_transposes(graph) + merge_transposes(graph), g, times=4)
    assert ops(g) == ["Relu", "Add", "Sigmoid", "Flatten"]


def test_a_residual_whose_channels_last_form_exists():
    g = Net()
    x = g.x("n", 3, 4, 6)
    last = g.add("edge.MaxPool", g.add("Transpose", x, perm=LAST), kernel=(1, 1))
    g.output(g.add("Add", g.add("Transpose", last, perm=FIRST), x), "y")
    fires(sink_transposes, g, times=1)
    assert ops(g) == ["Transpose", "edge.MaxPool", "Transpose", "Add", "Transpose"]


def test_a_transpose_with_other_users_stays_for_them():
    g = Net()
    x = images(g)
    g.output(g.add("Relu", x), "y")
    g.output(x, "x")
    fires(sink_transposes, g, times=1)
    assert ops(g) == ["Transpose", "Relu", "Transpose"]


STAY = {
    "a large operand in another layout": lambda g, x: g.add("Add", x, g.x("n", 3, 4, 6, name="z")),
    "another permutation": lambda g, x: g.add("Mul", x, g.add("Transpose", g.x(6, 4, 3, "n", name="z"))),
    "an operand of higher rank": lambda g, x: g.add("Mul", x, g.x(2, "n", 3, 4, 6, name="z")),
    "concat with another layout": lambda g, x: g.add("Concat", x, g.x("n", 5, 4, 6, name="z"), axis=1),
    "flatten": lambda g, x: g.add("Flatten", x),
    "a reshape that mixes": lambda g, x: g.add("Reshape", x, g.ints(0, 12, 6)),
    "unknown axes": lambda g, x: g.add("ReduceSum", x, g.x(1, name="axes", dtype=DType.INT64)),
    "unknown padding": lambda g, x: g.add("Pad", x, g.x(8, name="pads", dtype=DType.INT64)),
    "another operator": lambda g, x: g.add("CumSum", x, g.constant(np.int64(1))),
}


@pytest.mark.parametrize("name", STAY)
def test_stays(name):
    g = Net()
    g.output(STAY[name](g, images(g)), "y")
    stays(sink_transposes, g)


def test_transposes_that_move_nothing_do_not_chase_each_other():
    g = Net()
    small = g.add("Transpose", g.x("n", 1, 1, 3), perm=FIRST)
    g.output(g.add("Add", small, g.x("n", 3, 1, 1, name="z")), "y")
    stays(sink_transposes, g)


@pytest.mark.parametrize("by_channel", [False, True])
def test_quantisation(by_channel):
    g = QNet()
    scale = g.constant(g.scales(3) if by_channel else np.float32(0.02))
    q = g.add("QuantizeLinear", images(g), scale, axis=1)
    g.output(g.add("DequantizeLinear", g.add("edge.Lookup", q, g.stored(256, dtype=np.uint8)), scale, axis=1), "y")
    fires(sink_transposes, g, times=3)
    assert ops(g) == ["QuantizeLinear", "edge.Lookup", "DequantizeLinear", "Transpose"]


def test_quantisation_while_it_runs():
    g = QNet()
    for i, y in enumerate(g.add("DynamicQuantizeLinear", images(g))):
        g.output(y, f"y{i}")
    fires(sink_transposes, g, times=1)
    assert ops(g) == ["DynamicQuantizeLinear", "Transpose"]


def test_sums_of_bytes():
    g = QNet()
    a, b = (g.add("Transpose", g.x(2, 4, 6, 3, name=n, dtype=DType.UINT8), perm=FIRST) for n in "ab")
    g.output(g.add("edge.QAdd", a, b, output="uint8", a_scale=0.7, b_scale=0.2), "y")
    fires(sink_transposes, g, times=1)
    assert ops(g) == ["edge.QAdd", "Transpose"]
