"""Networks that the field measures, with seeded weights: the same numbers in the format of every runtime."""

from __future__ import annotations

from collections.abc import Callable

from bench.zoo import small, vision
from bench.zoo.network import Network

ZOO: dict[str, Callable[[Network], None]] = {
    "mlp": small.mlp,
    "ad": small.ad,
    "dscnn": small.dscnn,
    "resnet8": small.resnet8,
    "vww": vision.vww,
    "gru": small.gru,
    "vit": vision.vit,
    "mobilenetv3-small": vision.mobilenetv3_small,
    "mobilenetv2": vision.mobilenetv2,
    "mobilenetv1": vision.mobilenetv1,
    "efficientnet-b0": vision.efficientnet_b0,
    "resnet50": vision.resnet50,
}

INT8 = "-int8"
"""Ends the name of a quantised model."""

QUANTISED = (
    "ad", "dscnn", "resnet8", "vww", "gru", "vit", "mobilenetv3-small", "mobilenetv2", "mobilenetv1", "efficientnet-b0",
    "resnet50",
)  # fmt: skip
"""Those that there are as int8 too, with float32 inputs and outputs."""

NAMES = [*ZOO, *(name + INT8 for name in QUANTISED)]
