from __future__ import annotations

import numpy as np
import pytest

from exporter.passes.fold_scale_and_shift import fold_scale_and_shift
from exporter.passes.hoist_channel_constants import hoist_channel_constants
from tests.passes._support import Net, fires, ops, stays


def last(g: Net, name="x"):
    """f32[n, 4, 4, 5]: a convolution of 5 filters with channels last."""
    return g.add("Transpose", g.add("Conv", g.x("n", 3, 5, 5, name=name), g.w(5, 3, 2, 2)), perm=(0, 2, 3, 1))


@pytest.mark.parametrize("op", ["Add", "Div", "Mul", "Sub"])
def test_a_constant_of_channels(op):
    g = Net()
    g.output(g.add(op, last(g), g.constant(np.arange(1, 6, dtype=np.float32))), "y")
    fires(hoist_channel_constants, g, times=1)
    assert ops(g) == ["Conv", op, "Transpose"]


def test_a_constant_in_front():
    g = Net()
    g.output(g.add("Sub", g.w(1, 5), last(g)), "y")
    fires(hoist_channel_constants, g, times=1)


def test_a_batch_normalisation_ends_in_the_weights():
    g = Net()
    g.output(g.add("Add", g.add("Mul", last(g), g.w(5)), g.w(5)), "y")
    fires(lambda graph: sum(p(graph) for _ in range(2) for p in (hoist_channel_constants, fold_scale_and_shift)), g, times=4)
    assert ops(g) == ["Conv", "Transpose"]


def test_stays():
    g = Net()
    g.output(g.add("Mul", last(g, "a"), g.w(4, 5)), "varies along an axis of the image")
    g.output(g.add("Mul", last(g, "b"), g.w(2, 1, 4, 4, 5)), "makes it larger")
    used = last(g, "c")
    g.output(g.add("Mul", used, g.w(5)), "used elsewhere")
    g.output(used, "other use")
    g.output(g.add("Div", g.w(5), last(g, "d")), "reciprocal")
    g.output(g.add("Mul", g.add("Transpose", g.x(2, 3, 4, name="e"), perm=(0, 2, 1)), g.w(3)), "no convolution")
    stays(hoist_channel_constants, g)
