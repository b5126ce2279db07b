"""Layers that bring inputs to a range: Normalization, Rescaling."""

from __future__ import annotations

import math as numbers
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from exporter.authoring.ops import array, math
from exporter.authoring.tensor import Operand
from exporter.authoring.variable import Variable
from exporter.layers.base import Layer

Array = np.ndarray[Any, Any]
EPSILON = 1e-7


class Normalization(Layer):
    """(x - mean) / sqrt(variance), both along `axis` (one, several or None for none); `invert` undoes that.

    mean, variance: given, or else weights that `adapt` computes from data.
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if (mean is None) != (variance is None) or np.shape(mean) != np.shape(variance):
            raise AuthoringError("Normalization: give both mean and variance, of one shape, or neither")
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        if np.ndim(mean) > len(self.axis):
            raise AuthoringError(f"Normalization: mean must have at most the axes {self.axis}, got shape {np.shape(mean)}")
        self.given_mean, self.given_variance, self.invert = mean, variance, invert
        self.supports_masking = True
        self.adapted_mean: Variable | None = None
        self.adapted_variance: Variable | None = None

    def build(self, input_shape: Any) -> None:
        rank = len(input_shape)
        if any(not -rank <= axis < rank or input_shape[axis] is None for axis in self.axis):
            raise AuthoringError(f"layer '{self.name}': axis {self.axis} must be axes of a known size, got {input_shape}")
        self.kept = sorted(axis % rank for axis in self.axis)
        self.sizes = [input_shape[axis] for axis in self.kept]
        self.line = [input_shape[axis] if axis in self.kept else 1 for axis in range(rank)]
        if self.given_mean is None:
            self.adapted_mean = self.add_weight(self.sizes, "zeros", trainable=False, name="mean")
            self.adapted_variance = self.add_weight(self.sizes, "ones", trainable=False, name="variance")
            self.count = self.add_weight((), "zeros", "int32", trainable=False, name="count")

    def adapt(self, data: Any, batch_size: int | None = None, steps: int | None = None) -> None:
        """Makes mean and variance those of the data: an array, or an iterable of batches, of which `steps` are taken.

        batch_size: without effect on an array. Raises AuthoringError where the sizes along `axis` differ.
        """
        if self.given_mean is not None:
            raise AuthoringError(f"layer '{self.name}' was made with a mean and a variance: it does not adapt")
        batches = [data] if isinstance(data, (np.ndarray, Operand)) else _taken(data, steps)
        count, mean, variance = 0, np.zeros(()), np.zeros(())
        for batch in batches:
            x = np.asarray(batch, np.float64)
            if not self.built:
                self.build((None, *x.shape[1:]))
            if x.ndim != len(self.line) or [x.shape[axis] for axis in self.kept] != self.sizes:
                raise AuthoringError(f"layer '{self.name}': expected data of shape {self.line}, got {x.shape}")
            axes = tuple(axis for axis in range(x.ndim) if axis not in self.kept)
            own = numbers.prod(x.shape[axis] for axis in axes)
            count += own
            share = own / count
            now, spread = x.mean(axis=axes), x.var(axis=axes)
            joined = mean * (1 - share) + now * share
            variance = (variance + (mean - joined) ** 2) * (1 - share) + (spread + (now - joined) ** 2) * share
            mean = joined
        if not count:
            raise AuthoringError(f"layer '{self.name}': there are no data to adapt to")
        for v, values in ((self.adapted_mean, mean), (self.adapted_variance, variance)):
            assert v is not None
            v.assign(values.astype(self.dtype))

    def _statistic(self, given: Any, adapted: Variable | None) -> Any:
        """A given statistic, or the adapted one, in the form that broadcasts with the input."""
        if adapted is not None:
            return array.reshape(adapted, self.line)
        values = np.asarray(given, self.dtype)
        line = [1] * len(self.line)
        for axis, size in zip(self.kept[len(self.kept) - values.ndim :], values.shape):
            line[axis] = size
        return np.broadcast_to(values.reshape(line), self.line)

    def call(self, inputs: Any) -> Any:
        x = math.cast(inputs, self.compute_dtype)
        mean = self._statistic(self.given_mean, self.adapted_mean)
        variance = self._statistic(self.given_variance, self.adapted_variance)
        scale = math.maximum(math.sqrt(variance), EPSILON)
        if self.invert:
            return math.add(math.multiply(x, scale), mean)
        return math.divide(math.subtract(x, mean), scale)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class Rescaling(Layer):
    """x * scale + offset, in the layer's dtype."""

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = scale, offset
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        scale, offset = np.asarray(self.scale, self.compute_dtype), np.asarray(self.offset, self.compute_dtype)
        return math.add(math.multiply(math.cast(inputs, self.compute_dtype), scale), offset)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def _taken(batches: Iterable[Any], steps: int | None) -> Iterable[Any]:
    for i, batch in enumerate(batches):
        if steps is not None and i >= steps:
            return
        yield batch[0] if isinstance(batch, tuple) else batch
