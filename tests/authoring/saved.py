"""Modules that tests save."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import exporter as ex

ROWS = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)


class Dense(ex.Module):
    def __init__(self, inputs: int, outputs: int, name: str | None = None) -> None:
        super().__init__(name)
        self.w = ex.Variable(ex.random.normal([inputs, outputs]), name="w")
        self.b = ex.Variable(ex.random.normal([outputs]), name="b")

    @ex.function
    def __call__(self, x: Any) -> Any:
        return ex.nn.relu(x @ self.w + self.b)


class Net(ex.Module):
    def __init__(self) -> None:
        super().__init__("net")
        self.layers = (Dense(3, 4, "one"), Dense(4, 2, "two"))
        self.unused = {"k/1": [None, ex.Variable(7, trainable=False, name="unused")]}

    @ex.function
    def __call__(self, x: Any, scale: float = 1.0, *, flip: bool = False) -> Any:
        for layer in self.layers:
            x = layer(x)
        return {"y": -x * scale if flip else x * scale, "largest": ex.reduce_max(x)}


class Counter(ex.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count = ex.Variable(0, name="count")
        self.step = ex.Variable(2, name="step")

    @ex.function(input_signature=[])
    def increment(self) -> None:
        self.count.assign_add(self.step)

    @ex.function(input_signature=[ex.TensorSpec([], "int32")])
    def add(self, n: Any) -> Any:
        self.count.assign_add(n)
        return self.count

    @ex.function(input_signature=[ex.TensorSpec([None])])
    def plus_count(self, x: Any) -> Any:
        return x + ex.cast(self.count, "float32")


def saved(obj: Any, folder: Path, **options: Any) -> Path:
    ex.save(obj, folder / "m.edge", **options)
    return folder / "m.edge"
