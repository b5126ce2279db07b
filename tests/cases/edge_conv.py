"""Convolutions over channels-last images."""

from __future__ import annotations

from typing import Any

from tests.cases._case import Case, normal
from tests.panels import pack_conv, pack_conv_transpose

ONES = (1, 1)


def conv(
    shape: tuple[int, int, int, int], n: int, kernel: tuple[int, int], *, group: int = 1, bias: bool = False,
    residual: bool = False, **attributes: Any,
) -> Case:  # fmt: skip
    depth = shape[3] // group
    weights = normal(n, depth, *kernel, seed=1, scale=(depth * kernel[0] * kernel[1]) ** -0.5)
    extra = [normal(n, seed=2) if bias or residual else None]
    if residual:
        extra.append(normal(*shape[:3], n, seed=3))
    name = "-".join(map(str, (*shape, n, *kernel, group, *attributes.values(), "bias" * bias, "residual" * residual)))
    return Case(
        "edge.Conv", normal(*shape), pack_conv(weights, group), *extra, n=n, kernel=kernel, group=group, native=True,
        name=name.replace(" ", ""), **attributes,
    )  # fmt: skip


def depthwise(
    shape: tuple[int, int, int, int], kernel: tuple[int, int], *, residual: bool = False, **attributes: Any
) -> Case:
    extra = [normal(shape[3], seed=2), normal(*shape, seed=3)] if residual else []
    name = "-".join(map(str, (*shape, *kernel, *attributes.values(), "residual" * residual))).replace(" ", "")
    weights = normal(*kernel, shape[3], seed=1)
    return Case(
        "edge.DepthwiseConv", normal(*shape), weights, *extra, kernel=kernel, native=True, name=name, **attributes
    )


def transposed(
    shape: tuple[int, int, int, int], n: int, kernel: tuple[int, int], *, group: int = 1, bias: bool = False,
    **attributes: Any,
) -> Case:  # fmt: skip
    weights = normal(shape[3], n // group, *kernel, seed=1, scale=shape[3] ** -0.5)
    name = "-".join(map(str, (*shape, n, *kernel, group, *attributes.values(), "bias" * bias))).replace(" ", "")
    return Case(
        "edge.ConvTranspose", normal(*shape), pack_conv_transpose(weights, group), normal(n, seed=2) if bias else None,
        n=n, kernel=kernel, group=group, native=True, name=name, **attributes,
    )  # fmt: skip


CASES = [
    # windows that slide: few and many channels, groups, cut-off columns, no padding, dilated rows, blocks of channels
    conv((1, 12, 23, 6), 40, (3, 3), pads=(1, 1, 1, 1), bias=True),
    conv((2, 5, 31, 160), 50, (3, 3), pads=(1, 1, 1, 1), residual=True),
    conv((1, 7, 8, 48), 96, (1, 3), pads=(0, 1, 0, 0), group=2, lo=0.0),
    conv((1, 9, 17, 10), 16, (5, 3), pads=(4, 2, 4, 0), dilations=(2, 1)),
    conv((1, 7, 7, 512), 64, (3, 3), pads=(1, 1, 1, 1)),
    conv((1, 15, 15, 256), 33, (3, 3), strides=(2, 2), pads=(1, 1, 1, 1)),
    conv((1, 9, 9, 131), 32, (3, 3)),
    conv((1, 8, 8, 3), 16, (3, 3), strides=(2, 2), pads=(1, 1, 1, 1), bias=True),
    conv((2, 9, 7, 5), 20, (3, 3), pads=(1, 1, 1, 1), residual=True, lo=-0.5, hi=1.0),
    conv((1, 12, 12, 16), 24, ONES, bias=True, lo=0.0, hi=6.0),
    conv((1, 12, 12, 16), 24, ONES, strides=(2, 2)),
    conv((1, 6, 6, 12), 12, ONES, group=3),
    conv((1, 10, 11, 8), 9, (5, 3), strides=(2, 1), pads=(2, 0, 1, 3), dilations=(1, 2)),
    conv((1, 10, 10, 8), 32, (3, 3), pads=(2, 2, 2, 2), dilations=(2, 2), group=2, residual=True),
    conv((2, 1, 30, 4), 17, (1, 7), strides=(1, 2), pads=(0, 3, 0, 3)),
    conv((1, 14, 14, 64), 32, (3, 3), pads=(1, 1, 1, 1), bias=True, activation="Swish"),
    conv((1, 6, 6, 12), 12, (3, 3), pads=(1, 1, 1, 1), group=4, bias=True),
    conv((1, 6, 6, 12), 24, (3, 3), pads=(1, 1, 1, 1), group=12, bias=True),
    conv((1, 40, 40, 3), 16, (7, 7), strides=(2, 2), pads=(3, 3, 3, 3), bias=True),
    conv((1, 3, 3, 4), 1, (3, 3), pads=(2, 2, 2, 2)),
    conv((1, 2, 2, 4), 4, (3, 3), pads=(2, 2, 2, 2), dilations=(2, 2)),
    conv((1, 5, 5, 700), 40, (3, 3), pads=(1, 1, 1, 1), residual=True),
    conv((1, 30, 30, 1), 8, (5, 5), bias=True),
    conv((0, 8, 8, 3), 16, (3, 3)),
    conv((1, 300, 1, 8), 16, (5, 1), pads=(2, 0, 2, 0), bias=True),
    conv((1, 1, 700, 4), 24, (1, 3), pads=(0, 1, 0, 1)),
    conv((2, 40, 3, 8), 16, (3, 3), pads=(1, 1, 1, 1), residual=True),
    conv((1, 260, 5, 8), 40, (3, 3), strides=(1, 2), pads=(1, 1, 1, 1), group=2),
    conv((2, 64, 33, 20), 18, (3, 2), strides=(2, 1), pads=(0, 1, 1, 0), bias=True, activation="HardSwish"),
    conv((1, 16, 16, 128), 40, (3, 3), dilations=(3, 3)),
    conv((1, 7, 7, 260), 300, (3, 3), pads=(1, 1, 1, 1), bias=True, lo=0.0),
    conv((1, 4, 4, 330), 33, (3, 3), pads=(1, 1, 1, 1), residual=True),
    # by transforms: whole and cut-off tiles, padding of all sides, many and few channels, many weights, blocks of tiles
    conv((1, 16, 16, 32), 32, (3, 3), pads=(1, 1, 1, 1), lo=0.0),
    conv((1, 18, 18, 16), 16, (3, 3), bias=True),
    conv((2, 13, 15, 24), 40, (3, 3), pads=(2, 0, 0, 2), residual=True, lo=-0.5, hi=1.0),
    conv((1, 17, 13, 37), 9, (3, 3), pads=(0, 2, 2, 0), bias=True, activation="HardSwish"),
    conv((3, 12, 12, 70), 48, (3, 3), pads=(1, 1, 1, 1), residual=True, activation="LeakyRelu", alpha=0.1),
    conv((1, 14, 14, 260), 50, (3, 3), pads=(1, 1, 1, 1), bias=True, lo=0.0),
    conv((1, 40, 40, 64), 64, (3, 3), pads=(1, 1, 1, 1), residual=True),
    conv((1, 56, 28, 96), 24, (3, 3), pads=(1, 1, 1, 1), bias=True, activation="Swish"),
    conv((1, 20, 20, 512), 64, (3, 3), pads=(1, 1, 1, 1)),
    conv((1, 12, 12, 16), 16, (3, 3), pads=(2, 2, 2, 2), activation="HardSigmoid"),
    conv((1, 12, 12, 16), 16, (3, 3), pads=(2, 2, 2, 2), activation="Selu"),
    depthwise((1, 8, 8, 16), (3, 3), pads=(1, 1, 1, 1), residual=True, lo=0.0, hi=6.0),
    depthwise((2, 9, 7, 20), (3, 3), strides=(2, 2), pads=(1, 1, 1, 1)),
    depthwise((1, 9, 9, 5), (3, 3), pads=(1, 1, 1, 1), residual=True),
    depthwise((1, 9, 9, 2), (3, 3), pads=(1, 1, 1, 1), activation="HardSwish"),
    depthwise((1, 12, 13, 40), (5, 5), pads=(2, 2, 2, 2), activation="Sigmoid"),
    depthwise((1, 9, 9, 20), (3, 3), pads=(1, 1, 1, 1), activation="LeakyRelu", alpha=0.1),
    depthwise((1, 12, 13, 40), (5, 5), strides=(2, 2), pads=(1, 2, 2, 1)),
    depthwise((1, 14, 14, 33), (7, 7), pads=(3, 3, 3, 3), residual=True),
    depthwise((1, 14, 14, 33), (3, 3), pads=(2, 2, 2, 2), dilations=(2, 2), residual=True),
    depthwise((1, 1, 50, 17), (1, 9), pads=(0, 4, 0, 4)),
    depthwise((1, 2, 2, 16), (5, 5), pads=(2, 2, 2, 2)),
    depthwise((1, 20, 20, 3), (3, 3), strides=(3, 3)),
    depthwise((1, 4, 100, 64), (4, 4), strides=(2, 2), pads=(1, 1, 2, 2)),
    depthwise((1, 5, 5, 600), (3, 3), pads=(1, 1, 1, 1)),
    depthwise((1, 6, 3, 16), (3, 2)),
    depthwise((0, 6, 3, 16), (3, 2)),
    depthwise((1, 7, 9, 8), (3, 3), pads=(1, 1, 1, 1), residual=True, hi=1.0),
    depthwise((1, 8, 12, 13), (3, 3), strides=(2, 2), pads=(0, 0, 1, 1), activation="Swish"),
    depthwise((1, 9, 11, 10), (3, 3), strides=(2, 2), pads=(1, 1, 1, 1)),
    depthwise((1, 6, 5, 24), (3, 3), pads=(1, 1, 1, 1), residual=True),
    depthwise((1, 5, 4, 16), (3, 3), pads=(1, 1, 1, 1)),
    depthwise((1, 7, 7, 24), (5, 5), pads=(2, 2, 2, 2), residual=True),
    depthwise((1, 6, 19, 16), (5, 5), pads=(2, 2, 2, 2)),
    depthwise((1, 6, 9, 16), (3, 3), pads=(0, 0, 0, 0)),
    depthwise((1, 70, 61, 40), (3, 3), pads=(1, 1, 1, 1), residual=True, activation="HardSwish"),
    depthwise((1, 70, 61, 40), (3, 3), strides=(2, 2), pads=(0, 0, 1, 1)),
    depthwise((1, 25, 5, 64), (3, 3), pads=(1, 1, 1, 1), lo=0.0),
    depthwise((2, 3, 2, 18), (3, 3), pads=(1, 1, 1, 1)),
    depthwise((1, 4, 1, 16), (3, 3), pads=(1, 1, 1, 1)),
    depthwise((1, 1, 3, 16), (3, 3), strides=(2, 2), pads=(1, 1, 1, 1)),
    depthwise((1, 9, 6, 16), (3, 3), pads=(2, 2, 2, 2)),
    depthwise((1, 9, 15, 16), (5, 5), strides=(2, 2), pads=(2, 2, 2, 2)),
    depthwise((1, 11, 3, 37), (5, 5), strides=(2, 2), pads=(2, 2, 2, 2)),
    depthwise((1, 7, 7, 48), (7, 7), pads=(3, 3, 3, 3)),
    depthwise((1, 15, 4, 10), (3, 3), strides=(2, 2), pads=(1, 1, 1, 1)),
    transposed((1, 5, 6, 8), 16, (2, 2), strides=(2, 2), bias=True),
    transposed((2, 5, 6, 8), 70, (3, 3), strides=(2, 2), pads=(1, 1, 1, 1), output_padding=(1, 1)),
    transposed((1, 5, 6, 8), 12, (4, 3), strides=(2, 1), pads=(1, 0, 2, 1), group=2, bias=True, lo=0.0),
    transposed((1, 5, 6, 8), 3, (3, 3), dilations=(2, 3), activation="Tanh"),
    transposed((1, 5, 6, 8), 3, (3, 3), activation="LeakyRelu", alpha=0.1),
    transposed((1, 1, 9, 4), 5, (1, 4), strides=(1, 3)),
    transposed((2, 40, 40, 16), 32, (4, 4), strides=(2, 2), pads=(1, 1, 1, 1), bias=True),
    transposed((1, 9, 90, 4), 64, (5, 5), strides=(3, 3)),
    transposed((1, 3, 3, 4), 4, (1, 1), strides=(4, 4), bias=True),
    transposed((2, 5, 9, 8), 1, (2, 2), strides=(2, 2), bias=True, activation="Sigmoid"),
    transposed((1, 5, 6, 8), 1, (3, 4), strides=(2, 1), pads=(1, 2, 1, 2), lo=-0.5, hi=0.5),
    transposed((1, 5, 6, 8), 2, (3, 3), group=2, dilations=(1, 4), pads=(0, 5, 0, 7), bias=True),
    # depthwise: blocks of pixels and what is left, several vectors of channels and a part of one, taps that meet nothing
    transposed((2, 9, 13, 21), 21, (4, 4), group=21, strides=(2, 2), pads=(1, 1, 1, 1), bias=True),
    transposed((1, 5, 12, 40), 40, (3, 3), group=40, strides=(2, 2), pads=(1, 1, 1, 1), output_padding=(1, 1), lo=0.0),
    transposed((1, 4, 7, 16), 16, (2, 2), group=16, strides=(2, 2), bias=True, activation="HardSwish"),
    transposed((1, 6, 9, 5), 5, (16, 16), group=5, strides=(8, 8), pads=(4, 4, 4, 4), bias=True),
    transposed((1, 7, 10, 19), 19, (5, 3), group=19, pads=(2, 1, 2, 1), hi=0.5),
    transposed((2, 5, 8, 33), 33, (3, 4), group=33, strides=(4, 3), dilations=(2, 3), pads=(3, 0, 1, 5), bias=True),
    transposed((1, 3, 4, 8), 8, (2, 1), group=8, strides=(3, 4), pads=(1, 0, 0, 0), activation="Selu"),
    transposed((1, 1, 1, 17), 17, (4, 4), group=17, strides=(2, 2), pads=(1, 1, 1, 1)),
    transposed((1, 6, 7, 1), 1, (4, 4), strides=(2, 2), pads=(1, 1, 1, 1), bias=True),
    transposed((0, 4, 4, 8), 8, (2, 2), group=8, strides=(2, 2)),
    transposed((2, 70, 64, 24), 24, (4, 4), group=24, strides=(2, 2), pads=(1, 1, 1, 1), bias=True),
]
