from __future__ import annotations

import pytest

from exporter.passes.fold_pad import fold_pad
from tests.passes._support import Net, fires, node, ops, stays

EDGES = (0, 0, 1, 2, 0, 0, 3, 0)


def padded(g: Net, amounts=EDGES, value: float | None = None, **attributes):
    x = g.x("n", 2, 7, 7)
    return g.add("Pad", x, g.ints(*amounts), None if value is None else g.number(value), **attributes)


def test_a_convolution_pads_for_itself():
    g = Net()
    g.output(g.add("Conv", padded(g), g.w(3, 2, 3, 3), pads=(1, 0, 0, 1)), "y")
    fires(fold_pad, g, times=1)
    assert ops(g) == ["Conv"]
    assert node(g, "Conv").attrs.pads == (2, 2, 3, 1)


def test_with_axes():
    g = Net()
    pad = g.add("Pad", g.x("n", 2, 7, 7), g.ints(1, 2), None, g.ints(-1))
    g.output(g.add("Conv", pad, g.w(3, 2, 3, 3), auto_pad="VALID"), "y")
    fires(fold_pad, g, times=1)
    assert node(g, "Conv").attrs.pads == (0, 1, 0, 2)


def test_a_max_pool_takes_minus_infinity():
    g = Net()
    g.output(g.add("MaxPool", padded(g, (0, 0, 1, 1, 0, 0, 1, 1), float("-inf")), kernel_shape=(3, 3))[0], "y")
    fires(fold_pad, g, times=1)
    assert ops(g) == ["MaxPool"]


def test_an_average_pool_counts_the_zeros():
    g = Net()
    g.output(g.add("AveragePool", padded(g, (0, 0, 1, 1, 0, 0, 1, 1)), kernel_shape=(3, 3)), "y")
    fires(fold_pad, g, times=1)
    assert node(g, "AveragePool").attrs.count_include_pad


@pytest.mark.parametrize(
    ("amounts", "value", "attributes", "op", "window"),
    [
        (EDGES, None, {"mode": "edge"}, "Conv", {}),
        ((0, 1, 1, 1, 0, 0, 1, 1), None, {}, "Conv", {"channels": 3}),
        ((0, 0, 1, -1, 0, 0, 1, 1), None, {}, "Conv", {}),
        (EDGES, 1.0, {}, "Conv", {}),
        (EDGES, None, {}, "Conv", {"auto_pad": "SAME_UPPER"}),
        (EDGES, 0.0, {}, "MaxPool", {}),
        (EDGES, None, {}, "AveragePool", {"ceil_mode": True}),
        (EDGES, None, {}, "AveragePool", {"pads": (1, 1, 1, 1)}),
    ],
)
def test_stays(amounts, value, attributes, op, window):
    g = Net()
    pad = padded(g, amounts, value, **attributes)
    channels = window.pop("channels", 2)
    if op == "Conv":
        y = g.add("Conv", pad, g.w(3, channels, 3, 3), **window)
    else:
        y = g.add(op, pad, kernel_shape=(3, 3), **window)
    g.output(y[0] if isinstance(y, tuple) else y, "y")
    stays(fold_pad, g)


def test_stays_where_the_padded_tensor_is_used_or_given_out():
    g = Net()
    pad = padded(g)
    g.output(g.add("Conv", pad, g.w(3, 2, 3, 3)), "y")
    g.output(pad, "padded")
    stays(fold_pad, g)


def test_stays_where_the_amounts_are_computed():
    g = Net()
    amounts = g.x(8, name="amounts", dtype=g.ints(1).type.dtype)
    g.output(g.add("Conv", g.add("Pad", g.x(1, 2, 7, 7), amounts), g.w(3, 2, 3, 3)), "y")
    stays(fold_pad, g)
