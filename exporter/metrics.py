"""Metrics: state that `update_state` grows and `result` reads. In layers they are no `weights`, but `metrics`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.authoring.module import Module
from exporter.authoring.ops import array, math
from exporter.authoring.tensor import Tensor
from exporter.authoring.variable import Variable

__all__ = ["Mean", "Metric", "Sum"]


class Metric(Module):
    """Base: subclasses make variables in the constructor with `add_variable`."""

    def add_variable(self, shape: tuple[int, ...] = (), dtype: str = "float32", name: str | None = None) -> Variable:
        """A new variable of zeros."""
        return Variable(array.zeros(shape, dtype), trainable=False, name=name)

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError

    def result(self) -> Tensor:
        raise NotImplementedError

    def reset_state(self) -> None:
        """Makes all variables zero."""
        for v in self.variables:
            v.assign(array.zeros(v.shape, v.dtype))

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor:
        """Updates, then gives the result."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        return cls(**config)


class Sum(Metric):
    """The sum of all values, weighted by `sample_weight`."""

    def __init__(self, name: str = "sum") -> None:
        super().__init__(name)
        self.total = self.add_variable(name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        self.total.assign_add(math.reduce_sum(_weighted(values, sample_weight)[0]))

    def result(self) -> Tensor:
        return self.total.value()


class Mean(Metric):
    """The mean of all values, weighted by `sample_weight`; 0 before the first."""

    def __init__(self, name: str = "mean") -> None:
        super().__init__(name)
        self.total = self.add_variable(name="total")
        self.count = self.add_variable(name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        weighted, weights = _weighted(values, sample_weight)
        self.total.assign_add(math.reduce_sum(weighted))
        self.count.assign_add(math.reduce_sum(weights))

    def result(self) -> Tensor:
        return math.divide(self.total, math.maximum(self.count, 1e-7)) * math.cast(self.count > 0, "float32")


def _weighted(values: Any, sample_weight: Any) -> tuple[Tensor, Tensor]:
    """Values times weights, and the weights broadcast to the values."""
    x = math.cast(values, "float32")
    ones = array.ones_like(x)
    if sample_weight is None:
        return x, ones
    weights = math.multiply(ones, math.cast(sample_weight, "float32"))
    return math.multiply(x, weights), weights
