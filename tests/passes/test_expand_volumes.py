"""expand_volumes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exporter.passes.expand_volumes import expand_volumes
from tests.passes._support import Net, fires, ops, stays

RANK = {"Conv": 1, "ConvTranspose": 1, "MaxPool": 1, "AveragePool": 1, "Resize": 1, "Concat": 0}


def ranks(g: Net) -> list[int]:
    """Ranks of what windows go over."""
    return [n.inputs[0].type.rank for n in g.nodes if n.op.name in RANK and n.op.name != "Concat"]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("weights", "attributes"),
    [
        ((6, 4, 1, 1, 1), {}),
        ((6, 4, 1, 3, 3), {"pads": (0, 1, 1, 0, 1, 1)}),
        ((6, 4, 3, 3, 2), {"pads": (1, 1, 0, 1, 0, 1)}),
        ((6, 4, 2, 3, 2), {"strides": (2, 1, 3), "dilations": (2, 1, 1), "pads": (2, 0, 1, 0, 1, 3)}),
        ((6, 4, 3, 3, 3), {"auto_pad": "SAME_UPPER", "strides": (2, 2, 1)}),
        ((6, 2, 3, 1, 2), {"group": 2}),
        ((4, 1, 3, 3, 3), {"group": 4, "pads": (1, 1, 1, 1, 1, 1)}),
    ],
)
def test_convolutions(weights: tuple[int, ...], attributes: dict[str, Any], bias: bool) -> None:
    g = Net()
    g.output(g.add("Conv", g.x("n", 4, 6, 7, 5), g.w(*weights), *([g.w(weights[0])] if bias else []), **attributes), "y")
    fires(expand_volumes, g, times=1)
    assert set(ranks(g)) == {4}


@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": (2, 2, 2), "strides": (2, 2, 2)},
        {"kernel_shape": (1, 3, 3), "strides": (1, 2, 2), "pads": (0, 1, 1, 0, 1, 1)},
        {"kernel_shape": (3, 2, 3), "pads": (1, 0, 2, 1, 1, 0), "ceil_mode": 1, "strides": (2, 2, 2)},
        {"kernel_shape": (2, 2, 1), "dilations": (2, 1, 1), "auto_pad": "SAME_LOWER"},
    ],
)
def test_pools(op: str, attributes: dict[str, Any]) -> None:
    for counts in (0, 1) if op == "AveragePool" else (None,):
        g = Net()
        more = {} if counts is None else {"count_include_pad": counts}
        y = g.add(op, g.x("n", 3, 6, 7, 5), **attributes, **more)
        g.output(y[0] if isinstance(y, tuple) else y, "y")
        fires(expand_volumes, g, times=1)
        assert set(ranks(g)) == {4}


@pytest.mark.parametrize(
    ("weights", "attributes"),
    [
        ((4, 3, 2, 2, 2), {"strides": (2, 2, 2)}),
        ((4, 3, 1, 3, 2), {"strides": (1, 2, 3), "pads": (0, 1, 0, 0, 0, 1), "output_padding": (0, 1, 2)}),
    ],
)
@pytest.mark.parametrize("bias", [False, True])
def test_transposed_convolutions(weights: tuple[int, ...], attributes: dict[str, Any], bias: bool) -> None:
    g = Net()
    inputs = [g.x(2, 4, 3, 5, 6), g.w(*weights), *([g.w(weights[1])] if bias else [])]
    g.output(g.add("ConvTranspose", *inputs, **attributes), "y")
    fires(expand_volumes, g, times=1)
    assert set(ranks(g)) == {4}


def test_resizing() -> None:
    g = Net()
    x = g.x("n", 2, 3, 4, 5)
    g.output(g.add("Resize", x, None, g.constant(np.array([1, 1, 2, 1.5, 2], np.float32)), mode="linear"), "a")
    g.output(g.add("Resize", x, None, None, g.ints(5, 3, 7), axes=(2, 3, 4)), "b")
    g.output(g.add("Resize", x, None, None, g.ints(2), axes=(2,), mode="cubic"), "c")
    fires(expand_volumes, g, times=3)
    assert set(ranks(g)) == {4}


def test_what_stays() -> None:
    g = Net()
    x = g.x(2, 4, 5, 6, 7)
    g.output(g.add("Conv", x, g.x(3, 4, 1, 1, 1, name="w")), "computed weights")
    g.output(g.add("Conv", g.x(1, 4, "d", 6, 7, name="z"), g.w(3, 4, 1, 1, 1)), "unknown depth")
    g.output(g.add("Conv", g.x(1, 4, 6, 7, name="image"), g.w(3, 4, 1, 1)), "image")
    best, places = g.add("MaxPool", x, kernel_shape=(2, 2, 2))
    g.output(best, "largest")
    g.output(places, "places")
    g.output(g.add("ConvTranspose", x, g.w(4, 3, 3, 2, 2), strides=(2, 2, 2)), "windows that meet")
    g.output(g.add("ConvTranspose", x, g.w(4, 3, 2, 2, 2), strides=(2, 2, 2), group=2), "groups")
    stays(expand_volumes, g)
    assert "ConvTranspose" in ops(g)
