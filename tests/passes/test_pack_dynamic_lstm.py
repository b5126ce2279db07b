from __future__ import annotations

import numpy as np
import pytest

from exporter.passes.pack_dynamic_lstm import pack_dynamic_lstm
from tests.cases._case import integers, normal
from tests.passes._support import Net, fires, ops, stays

IN, HIDDEN = 5, 6


def recurrent(
    *, direction="forward", layout=0, bias=True, states=True, dtype=np.uint8, per_column=False, fixed=True, **attributes
) -> Net:  # fmt: skip
    g = Net()
    dirs, columns = 2 if direction == "bidirectional" else 1, 4 * HIDDEN
    x = g.x("t", 2, IN) if layout == 0 else g.x(2, "t", IN)
    low = 0 if dtype == np.uint8 else -128
    factors = []
    weights = []
    for seed, k in ((1, IN), (2, HIDDEN)):
        weights.append(g.constant(integers(dirs, k, columns, low=low, high=low + 256, dtype=dtype, seed=seed)))
        shape = (dirs, columns) if per_column else (dirs,)
        factors.append(g.constant(np.full(shape, 0.004, np.float32) + normal(*shape, seed=seed, scale=0.0005)))
        factors.append(g.constant(integers(*shape, low=low + 120, high=low + 136, dtype=dtype, seed=seed)))
    inputs = [x, *weights, g.w(dirs, 2 * columns) if bias else None, None]
    shape = (dirs, 2, HIDDEN) if layout == 0 else (2, dirs, HIDDEN)
    inputs += [g.x(*shape, name=f"s{i}") if states else None for i in range(2)]
    if not fixed:
        inputs[3] = g.x(dirs, 2 * columns, name="b")
    peepholes = attributes.pop("peepholes", None)
    inputs += [g.w(dirs, 3 * HIDDEN) if peepholes else None, *factors]
    made = g.add(
        "com.microsoft.DynamicQuantizeLSTM", *inputs, direction=direction, layout=layout, hidden_size=HIDDEN, **attributes
    )
    for i, y in enumerate(made):
        g.output(y, f"y{i}")
    return g


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("layout", [0, 1])
def test_directions_and_layouts(layout, direction):
    g = recurrent(direction=direction, layout=layout)
    fires(pack_dynamic_lstm, g, times=1)
    assert "edge.DynamicLstm" in ops(g)


@pytest.mark.parametrize(
    "options",
    [
        {"bias": False, "states": False},
        {"dtype": np.int8},
        {"per_column": True},
        {"clip": 0.5},
        {"input_forget": True},
        {"activations": ("Sigmoid", "Tanh", "Tanh")},
    ],
)
def test_options(options):
    g = recurrent(**options)
    fires(pack_dynamic_lstm, g, times=1)
    assert ops(g) == ["edge.DynamicLstm"]


def test_stays():
    stays(pack_dynamic_lstm, recurrent(activations=("Sigmoid", "Tanh", "Relu")))
    stays(pack_dynamic_lstm, recurrent(peepholes=True))
    stays(pack_dynamic_lstm, recurrent(fixed=False))
