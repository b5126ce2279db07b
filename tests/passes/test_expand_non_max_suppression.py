"""expand_non_max_suppression."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.passes.expand_non_max_suppression import expand_non_max_suppression
from tests.passes._support import Net, fires, ops, stays


@pytest.mark.parametrize("shape", [(), (1,)])
@pytest.mark.parametrize("inputs", [3, 4, 5])
def test_selection(shape: tuple[int, ...], inputs: int) -> None:
    g = Net()
    numbers = [np.full(shape, 2), np.full(shape, 0.4, np.float32), np.full(shape, 0.1, np.float32)]
    given = [g.constant(v) for v in numbers[: inputs - 2]]
    y = g.add("NonMaxSuppression", g.x("n", 6, 4, name="boxes"), g.x("n", 2, 6, name="scores"), *given)
    g.output(y, "y")
    fires(expand_non_max_suppression, g, times=1)
    assert ops(g) == [*["Reshape"] * (inputs - 2), "edge.SelectBoxes", "Slice"]


def test_what_stays() -> None:
    g = Net()
    g.output(g.add("NonMaxSuppression", g.x(1, 6, 4, name="boxes"), g.x(1, 2, 6, name="scores")), "no limit")
    stays(expand_non_max_suppression, g)
