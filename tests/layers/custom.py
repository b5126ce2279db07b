"""Layers as users write them."""

from __future__ import annotations

from typing import Any

import exporter as ex

L = ex.layers


class Scale(L.Layer):
    """x * w: a layer as users write them."""

    def __init__(self, start: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start
        self.builds = 0

    def build(self, input_shape: Any) -> None:
        self.builds += 1
        self.seen = input_shape
        self.w = self.add_weight((input_shape[-1],), ex.initializers.Constant(self.start), name="w", regularizer="l2")
        self.steps = self.add_weight((), "zeros", "int32", trainable=False, name="steps")

    def call(self, x: Any) -> Any:
        return x * self.w


class Block(L.Layer):
    """Two layers, one of them in a list, and a variable of its own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.zz = [L.Dense(3, name="first")]
        self.aa = L.Dense(2, name="second")
        self.modes: list[Any] = []

    def build(self, input_shape: Any) -> None:
        self.frozen_one = self.add_weight((1,), "zeros", trainable=False, name="f")
        self.own = self.add_weight((1,), "ones", name="o")

    def call(self, x: Any, training: Any = None) -> Any:
        self.modes.append(training)
        return self.aa(self.zz[0](x)) * self.own
