"""Models that tests call, in NumPy too."""

from __future__ import annotations

from typing import Any

import numpy as np

import exporter as ex

L = ex.layers
X = np.random.default_rng(1).normal(size=(3, 8)).astype(np.float32)
Y = np.random.default_rng(2).normal(size=(3, 8)).astype(np.float32)


def two_towers() -> Any:
    """A shared layer, operators on tensors, two inputs, a dict of outputs."""
    a, b = ex.Input((8,), name="a"), ex.Input((8,), name="b")
    tower = L.Dense(6, "relu", name="tower")
    joined = tower(a) * 2.0 + tower(b)
    return ex.Model([a, b], {"score": L.Dense(2, name="head")(joined), "mean": ex.reduce_mean(joined, -1)}, name="towers")


def two_towers_in_numpy(model: Any, a: Any, b: Any) -> dict[str, Any]:
    tower, head = model.get_layer("tower"), model.get_layer("head")
    parts = [np.maximum(x @ tower.kernel.numpy() + tower.bias.numpy(), 0) for x in (a, b)]
    joined = parts[0] * 2 + parts[1]
    return {"score": joined @ head.kernel.numpy() + head.bias.numpy(), "mean": joined.mean(-1)}


def assert_same(got: Any, expected: Any) -> None:
    assert set(got) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-4, atol=1e-5)


@ex.register_serializable("tests")
class Residual(ex.Model):
    """A model as users write them."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.parts = [L.Dense(units, "relu"), L.Dense(units)]
        self.norm = L.BatchNormalization()

    def call(self, x: Any, training: bool | None = None) -> Any:
        y = x
        for part in self.parts:
            y = part(y)
        return self.norm(x + y)
