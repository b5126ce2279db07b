"""Constraints: what training does to weights after each step, with Keras 3's names, arguments and defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from exporter.authoring.ops import math, nn
from exporter.authoring.tensor import Tensor
from exporter.regularizers import _get

__all__ = ["Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "get"]

EPSILON = 1e-7


class Constraint:
    """Base. A subclass gives the constrained weight in `__call__` and has its constructor's arguments as attributes."""

    arguments: tuple[str, ...] = ()

    def __call__(self, w: Any) -> Any:
        return w

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.arguments}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        return cls(**config)


class MaxNorm(Constraint):
    """Scales down what has a norm above `max_value` along `axis`."""

    arguments = ("max_value", "axis")

    def __init__(self, max_value: float = 2, axis: int | Sequence[int] = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Tensor:
        norms = _norms(w, self.axis)
        wanted = math.clip_by_value(norms, 0, self.max_value)
        return math.multiply(w, math.divide(wanted, math.add(norms, EPSILON)))


class NonNeg(Constraint):
    """Makes negative weights 0."""

    def __call__(self, w: Any) -> Tensor:
        return nn.relu(w)


class UnitNorm(Constraint):
    """Scales to a norm of 1 along `axis`."""

    arguments = ("axis",)

    def __init__(self, axis: int | Sequence[int] = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Tensor:
        return math.divide(w, math.add(_norms(w, self.axis), EPSILON))


class MinMaxNorm(Constraint):
    """Moves norms along `axis` between `min_value` and `max_value`, by the share `rate` of the way."""

    arguments = ("min_value", "max_value", "rate", "axis")

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: int | Sequence[int] = 0
    ) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Tensor:
        norms = _norms(w, self.axis)
        clipped = math.clip_by_value(norms, self.min_value, self.max_value)
        wanted = math.add(math.multiply(self.rate, clipped), math.multiply(1 - self.rate, norms))
        return math.multiply(w, math.divide(wanted, math.add(norms, EPSILON)))


def _norms(w: Any, axis: int | Sequence[int]) -> Tensor:
    return math.sqrt(math.reduce_sum(math.square(w), axis, keepdims=True))


def get(identifier: Any) -> Callable[..., Any] | None:
    """A constraint for a name ("non_neg"), a config, a constraint or a function; None for None."""
    names = {"max_norm": MaxNorm, "non_neg": NonNeg, "unit_norm": UnitNorm, "min_max_norm": MinMaxNorm}
    return _get(identifier, names, "constraint")  # type: ignore[no-any-return]
