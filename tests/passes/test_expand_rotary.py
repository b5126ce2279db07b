"""expand_rotary."""

from __future__ import annotations

import pytest

from edge_rt.types import DType
from exporter.passes.expand_rotary import expand_rotary
from tests.passes._support import Net, fires, ops, stays


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("turned", [0, 4])
@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("places", [False, True])
def test_rotary(interleaved: int, turned: int, merged: bool, places: bool) -> None:
    g = Net()
    x = g.x("n", 5, 24, name="x") if merged else g.x("n", 3, 5, 8, name="x")
    width = (turned or 8) // 2
    angles = [g.x(9, width, name=n) if places else g.x("n", 5, width, name=n) for n in ("cos", "sin")]
    positions = [g.x("n", 5, name="positions", dtype=DType.INT64)] if places else []
    attributes = {"interleaved": interleaved, "rotary_embedding_dim": turned, **({"num_heads": 3} if merged else {})}
    g.output(g.add("RotaryEmbedding", x, *angles, *positions, **attributes), "y")
    fires(expand_rotary, g, times=1)
    assert "RotaryEmbedding" not in ops(g)


def test_what_stays() -> None:
    g = Net()
    x = g.x(2, 3, 5, "size")
    g.output(g.add("RotaryEmbedding", x, g.x(2, 5, 4, name="cos"), g.x(2, 5, 4, name="sin")), "unknown size")
    half = g.x(2, 3, 5, 8, name="half", dtype=DType.FLOAT16)
    angles = [g.x(2, 5, 4, name=n, dtype=DType.FLOAT16) for n in ("c", "s")]
    g.output(g.add("RotaryEmbedding", half, *angles), "halves")
    stays(expand_rotary, g)
