from __future__ import annotations

import numpy as np
import pytest

from edge_rt.types import DType
from exporter.passes.pack_recurrent import pack_recurrent
from tests.passes._support import Net, fires, ops, stays

GATES = {"LSTM": 4, "GRU": 3}
OURS = {"LSTM": "edge.Lstm", "GRU": "edge.Gru"}
IN, HIDDEN = 5, 6


def recurrent(op: str, *, direction="forward", layout=0, bias=True, states=True, lengths=False, **attributes) -> Net:
    g = Net()
    dirs, columns = 2 if direction == "bidirectional" else 1, GATES[op] * HIDDEN
    x = g.x("t", 2, IN) if layout == 0 else g.x(2, "t", IN)
    inputs = [x, g.w(dirs, columns, IN), g.w(dirs, columns, HIDDEN), g.w(dirs, 2 * columns) if bias else None]
    inputs.append(g.constant(np.array([2, 3], np.int32)) if lengths else None)
    if states:
        shape = (dirs, 2, HIDDEN) if layout == 0 else (2, dirs, HIDDEN)
        inputs += [g.x(*shape, name=f"s{i}") for i in range(2 if op == "LSTM" else 1)]
    made = g.add(op, *inputs, direction=direction, layout=layout, hidden_size=HIDDEN, **attributes)
    for i, y in enumerate(made):
        g.output(y, f"y{i}")
    return g


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize("op", GATES)
def test_directions_and_layouts(op, layout, direction):
    g = recurrent(op, direction=direction, layout=layout)
    fires(pack_recurrent, g, times=1)
    assert OURS[op] in ops(g)
    assert op not in ops(g)


@pytest.mark.parametrize(
    ("op", "options"),
    [
        ("LSTM", {"bias": False, "states": False}),
        ("GRU", {"bias": False, "states": False}),
        ("LSTM", {"lengths": True}),
        ("GRU", {"lengths": True}),
        ("LSTM", {"clip": 0.25}),
        ("GRU", {"clip": 0.25}),
        ("LSTM", {"activations": ("Sigmoid", "Tanh", "Tanh")}),
        ("GRU", {"activations": ("sigmoid", "tanh")}),
        ("GRU", {"linear_before_reset": True}),
        ("LSTM", {"input_forget": True}),
    ],
)
def test_options(op, options):
    g = recurrent(op, **options)
    fires(pack_recurrent, g, times=1)
    assert OURS[op] in ops(g)


def test_only_the_final_state_is_used():
    g = recurrent("LSTM", layout=1)
    g.outputs, g.output_names = g.outputs[1:2], ["state"]
    fires(pack_recurrent, g, times=1)


def test_computed_weights_are_packed_at_run_time():
    g = Net()
    made = g.add("GRU", g.x("t", 1, IN), g.x(1, 18, IN, name="w"), g.x(1, 18, HIDDEN, name="r"), hidden_size=HIDDEN)
    g.output(made[0], "y")
    fires(pack_recurrent, g, times=1)
    assert ops(g) == ["edge.PackPanels", "edge.PackPanels", "edge.Gru"]


def test_stays():
    stays(pack_recurrent, recurrent("GRU", activations=("HardSigmoid", "Tanh")))
    stays(pack_recurrent, recurrent("LSTM", activations=("Sigmoid", "Tanh", "Relu")))
    g = Net()
    x = g.x(3, 1, IN)
    inputs = [x, g.w(1, 24, IN), g.w(1, 24, HIDDEN), None, None, None, None, g.w(1, 3 * HIDDEN)]
    g.output(g.add("LSTM", *inputs, hidden_size=HIDDEN)[0], "peepholes")
    stays(pack_recurrent, g)
    g = Net()
    double = [g.constant(np.ones(shape)) for shape in ((1, 18, IN), (1, 18, HIDDEN))]
    g.output(g.add("GRU", g.x(3, 1, IN, dtype=DType.FLOAT64), *double, hidden_size=HIDDEN)[0], "doubles")
    stays(pack_recurrent, g)
