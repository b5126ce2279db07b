"""Conv in ONNX's layout, as it reaches the device where export could not lay it out."""

from __future__ import annotations

from typing import Any

from tests.cases._case import Case, normal


def conv(x: tuple[int, ...], w: tuple[int, ...], *, bias: bool = False, **attributes: Any) -> Case:
    name = "-".join(map(str, (*x, *w, *attributes.values(), "bias" * bias))).replace(" ", "")
    weights = normal(*w, seed=1, scale=0.3)
    inputs = [normal(*x), weights, *([normal(w[0], seed=2)] if bias else [])]
    return Case("Conv", *inputs, native=True, name=name, **attributes)


CASES = [
    conv((2, 5, 7, 9), (20, 5, 3, 2), bias=True, strides=(2, 1), pads=(1, 0, 2, 1), dilations=(1, 2)),
    conv((2, 6, 7, 9), (4, 3, 3, 3), group=2, bias=True, auto_pad="SAME_UPPER", strides=(2, 2)),
    conv((1, 4, 8, 8), (8, 1, 3, 3), group=4, auto_pad="SAME_LOWER"),
    conv((2, 5, 7, 9), (18, 5, 1, 1), bias=True),
    conv((1, 1, 7, 9), (1, 1, 3, 3), pads=(1, 1, 1, 1)),
    conv((3, 8, 1, 1), (5, 8, 1, 1), bias=True),
    conv((2, 40, 30), (17, 40, 5), bias=True, strides=(2,), pads=(2, 1)),
    conv((1, 128, 1), (1, 128, 1), bias=True),
    conv((2, 1, 50), (6, 1, 10), dilations=(3,)),
    conv((0, 4, 8, 8), (3, 4, 3, 3)),
]
