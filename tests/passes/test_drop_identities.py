from __future__ import annotations

import numpy as np
import pytest

from edge_rt.graph import Value
from edge_rt.types import DType
from exporter.passes.drop_identities import drop_identities
from tests.passes._support import Net, fires, ops, stays

SAME = {
    "identity": lambda g, x: g.add("Identity", x),
    "cast": lambda g, x: g.add("Cast", x, to="float32"),
    "reshape": lambda g, x: g.add("Reshape", x, g.ints(0, 3, -1)),
    "transpose": lambda g, x: g.add("Transpose", x, perm=(0, 1, 2)),
    "concat": lambda g, x: g.add("Concat", x, axis=1),
    "dropout": lambda g, x: g.add("Dropout", x)[0],
    "add zero": lambda g, x: g.add("Add", g.number(0), x),
    "subtract zero": lambda g, x: g.add("Sub", x, g.number(0)),
    "times one": lambda g, x: g.add("Mul", x, g.constant(np.ones((3, 4), np.float32))),
    "by one": lambda g, x: g.add("Div", x, g.number(1)),
    "to the one": lambda g, x: g.add("Pow", x, g.number(1)),
    "pad": lambda g, x: g.add("Pad", x, g.ints(0, 0, 0, 0, 0, 0)),
    "tile": lambda g, x: g.add("Tile", x, g.ints(1, 1, 1)),
    "slice": lambda g, x: g.add("Slice", x, g.ints(0), g.ints(2**31 - 1), g.ints(0)),
    "clip": lambda g, x: g.add("Clip", x),
    "expand": lambda g, x: g.add("Expand", x, g.ints(1, 3, 1)),
}

OTHER = {
    "cast": lambda g, x: g.add("Cast", x, to="int32"),
    "transpose of equal sizes": lambda g, x: g.add("Transpose", g.add("Relu", g.x(3, 3, name="z")), perm=(1, 0)),
    "zero minus x": lambda g, x: g.add("Sub", g.number(0), x),
    "one by x": lambda g, x: g.add("Div", g.number(1), x),
    "almost zero": lambda g, x: g.add("Add", x, g.number(1e-30)),
    "zero that broadcasts": lambda g, x: g.add("Add", x, g.constant(np.zeros((2, 1, 3, 4), np.float32))),
    "expand": lambda g, x: g.add("Expand", x, g.ints(2, 1, 3, 1)),
    "pad": lambda g, x: g.add("Pad", x, g.ints(0, 1, 0, 0, -1, 0)),
    "reverse": lambda g, x: g.add("Slice", x, g.ints(-1), g.ints(-9), g.ints(1), g.ints(-1)),
    "clip": lambda g, x: g.add("Clip", x, g.number(-9)),
    "concat": lambda g, x: g.add("Concat", x, x, axis=1),
}


@pytest.mark.parametrize("name", SAME)
def test_drops(name):
    g = Net()
    x = g.add("Relu", g.x("n", 3, 4))
    g.output(g.add("Exp", SAME[name](g, x)), "y")
    fires(drop_identities, g, times=1)
    assert ops(g) == ["Relu", "Exp"]


@pytest.mark.parametrize("name", OTHER)
def test_keeps(name):
    g = Net()
    made: Value = OTHER[name](g, g.add("Exp", g.x("n", 3, 4)))
    g.output(g.add("Abs", made), "y")
    stays(drop_identities, g)


def test_keeps_what_joins_an_input_to_an_output():
    g = Net()
    g.output(g.add("Identity", g.x(2)), "y")
    g.output(g.add("Identity", g.w(2)), "constant")
    stays(drop_identities, g)


def test_drops_before_an_output_what_has_a_producer():
    g = Net()
    g.output(g.add("Identity", g.add("Relu", g.x(2))), "y")
    fires(drop_identities, g, times=1)
    assert g.output_names == ["y"]


def test_keeps_a_dropout_that_trains_or_whose_mask_is_read():
    g = Net()
    x = g.add("Exp", g.x(2, 3))
    y, mask = g.add("Dropout", x, g.number(0.5))
    g.output(y, "y")
    g.output(mask, "mask")
    training = g.input("training", g.constant(np.bool_(False)).type)
    g.output(g.add("Dropout", x, g.number(0.5), training)[0], "z")
    stays(drop_identities, g)


def test_logic():
    g = Net()
    x = g.add("Not", g.x(2, dtype=DType.BOOL))
    y = g.add("And", g.constant(np.bool_(True)), g.add("Or", x, g.constant(np.bool_(False))))
    g.output(g.add("Not", y), "y")
    g.output(g.add("And", x, g.constant(np.bool_(False))), "false")
    fires(drop_identities, g, times=2)
    assert ops(g) == ["Not", "Not", "And"]
