from __future__ import annotations

import numpy as np
import pytest

from edge_rt.types import DType
from exporter.passes.sink_dequantize import sink_dequantize
from tests.passes._quantised import QNet, fires_within
from tests.passes._support import node, ops, stays


@pytest.mark.parametrize("dtype", [DType.UINT8, DType.INT8])
@pytest.mark.parametrize(
    ("op", "more", "attributes"),
    [
        ("Reshape", [[2, -1]], {}),
        ("Flatten", [], {}),
        ("Transpose", [], {"perm": (0, 2, 3, 1)}),
        ("Squeeze", [[0]], {}),
        ("Unsqueeze", [[1]], {}),
        ("Slice", [[1], [3], [1]], {}),
        ("Gather", [[2, 0]], {"axis": 1}),
        ("Expand", [[3, 4, 6, 6]], {}),
        ("Tile", [[1, 2, 1, 1]], {}),
        ("DepthToSpace", [], {"blocksize": 2}),
        ("Pad", [[0, 0, 1, 1, 0, 0, 1, 1]], {}),
        ("Pad", [[0, 0, 1, 1, 0, 0, 1, 1]], {"mode": "reflect"}),
    ],
)
def test_moves(op, more, attributes, dtype):
    g = QNet()
    y = g.add(op, g.real(g.bytes(1, 4, 6, 6, dtype=dtype)), *(g.ints(*values) for values in more), **attributes)
    g.output(y, "y")
    fires_within(0, sink_dequantize, g)
    assert ops(g) == [op, "DequantizeLinear"]


def test_max_pool_and_split():
    g = QNet()
    x = g.real(g.bytes(1, 4, 6, 6, dtype=DType.INT8))
    g.output(g.add("MaxPool", x, kernel_shape=(3, 3), pads=(1, 1, 1, 1))[0], "pool")
    for i, part in enumerate(g.add("Split", x, axis=1, num_outputs=2)):
        g.output(part, f"part{i}")
    fires_within(0, sink_dequantize, g, times=2)
    assert ops(g) == ["MaxPool", "DequantizeLinear", "Split", "DequantizeLinear", "DequantizeLinear"]


def test_concat_of_equals():
    g = QNet()
    g.output(g.add("Concat", *(g.real(g.bytes(2, n)) for n in (3, 4)), axis=1), "y")
    fires_within(0, sink_dequantize, g)
    assert ops(g) == ["Concat", "DequantizeLinear"]


def test_transposed_weights_keep_their_scales():
    g = QNet()
    w = g.add("Transpose", g.real(g.stored(5, 7), g.scales(5), np.zeros(5), axis=0), perm=(1, 0))
    g.output(w, "y")
    fires_within(0, sink_dequantize, g)
    assert node(g, "DequantizeLinear").attrs.axis == 1


def test_stays():
    g = QNet()
    parts = [g.real(g.bytes(2, 3), scale) for scale in (0.02, 0.03)]
    g.output(g.add("Concat", *parts, axis=1), "other scales")
    stays(sink_dequantize, g)
    g = QNet()
    x = g.real(g.bytes(2, 3), g.scales(3), np.zeros(3))
    g.output(g.add("Reshape", x, g.ints(3, 2)), "scales of channels")
    stays(sink_dequantize, g)
    g = QNet()
    pooled = g.add("MaxPool", g.real(g.bytes(1, 4, 6, 6)), kernel_shape=(2, 2))
    g.output(pooled[1], "indices")
    stays(sink_dequantize, g)
    g = QNet()
    g.output(g.add("Pad", g.real(g.bytes(2, 3)), g.ints(0, 1, 0, 1), g.number(1.0)), "filled with 1")
    stays(sink_dequantize, g)
