"""Layers that add noise in training, and do nothing else."""

from __future__ import annotations

import math as numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from exporter.authoring.dispatch import apply
from exporter.authoring.ops import array, math
from exporter.authoring.ops.random import generator
from exporter.authoring.tensor import EagerTensor
from exporter.layers.activation_layers import Elementwise
from exporter.layers.reshaping import standard_data_format
from exporter.layers.spec import InputSpec


class _Noise(Elementwise):
    """Base. seed: what the layer draws follows from it; without one from `ex.random.seed`."""

    def __init__(self, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self._generator = None if seed is None else np.random.default_rng(seed)

    def call(self, inputs: Any, training: bool = False) -> Any:
        return self.noisy(inputs) if training else inputs

    def noisy(self, x: Any) -> Any:
        raise NotImplementedError

    def draw(self, like: Any, kind: str = "uniform", **moments: float) -> Any:
        """Numbers of the shape and dtype of a tensor: in [0, 1), or normally distributed with `mean` and `scale`."""
        if isinstance(like, EagerTensor):
            numbers_ = self._generator or generator()
            drawn = (
                numbers_.uniform(size=like.shape)
                if kind == "uniform"
                else numbers_.normal(moments["mean"], moments["scale"], like.shape)
            )
            return EagerTensor(np.asarray(drawn, like.dtype))
        attributes: dict[str, Any] = dict(moments) if self.seed is None else {**moments, "seed": float(self.seed)}
        return apply("RandomUniformLike" if kind == "uniform" else "RandomNormalLike", like, **attributes)

    def draw_kept(self, x: Any, rate: float, noise_shape: Sequence[Any] | None) -> Any:
        """Where a number drawn for each element is at least `rate`. noise_shape: sizes, None for those of x; numbers are
        drawn once for what broadcasts."""
        like = x
        if noise_shape is not None and any(size is not None for size in noise_shape):
            sizes = [array.shape(x)[i] if size is None else size for i, size in enumerate(noise_shape)]
            known = [s if isinstance(s, int) else d for s, d in zip(sizes, x.shape)]
            like = array.zeros(known if None not in known else sizes, x.dtype)
        return math.greater_equal(self.draw(like), rate)


class Dropout(_Noise):
    """In training elements are 0 with probability `rate`, the others x / (1 - rate).

    noise_shape: of the drawn numbers, which broadcast; None for sizes of x.
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        if not 0 <= rate <= 1:
            raise AuthoringError(f"{type(self).__name__}: rate must be within 0 and 1, got {rate}")
        self.rate = rate
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def noisy(self, x: Any) -> Any:
        if not self.rate:
            return x
        if self.rate == 1:
            return array.zeros_like(x)
        return array.where(self.draw_kept(x, self.rate, self._noise_shape(x)), math.multiply(x, 1 / (1 - self.rate)), 0)

    def _noise_shape(self, x: Any) -> Sequence[Any] | None:
        return self.noise_shape


class _SpatialDropout(Dropout):
    """Dropout of whole channels."""

    rank: int

    def __init__(
        self, rate: float, data_format: str | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, seed=seed, **kwargs)
        self.data_format = standard_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank)

    def _noise_shape(self, x: Any) -> Sequence[Any] | None:
        ones = [1] * (self.rank - 2)
        return [None, *ones, None] if self.data_format == "channels_last" else [None, None, *ones]


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole channels of x [batch, steps, channels]."""

    rank = 3

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, seed=seed, **kwargs)


class SpatialDropout2D(_SpatialDropout):
    """Dropout of whole channels of x [batch, height, width, channels]."""

    rank = 4


class SpatialDropout3D(_SpatialDropout):
    """Dropout of whole channels of x [batch, depth, height, width, channels]."""

    rank = 5


class GaussianNoise(_Noise):
    """In training x plus normally distributed numbers with a standard deviation of `stddev`."""

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed=seed, **kwargs)
        if not 0 <= stddev <= 1:
            raise AuthoringError(f"GaussianNoise: stddev must be within 0 and 1, got {stddev}")
        self.stddev = stddev

    def noisy(self, x: Any) -> Any:
        return math.add(x, self.draw(x, "normal", mean=0.0, scale=self.stddev)) if self.stddev else x


class GaussianDropout(_Noise):
    """In training x times normally distributed numbers of mean 1 and standard deviation sqrt(rate / (1 - rate))."""

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(seed=seed, **kwargs)
        if not 0 <= rate < 1:
            raise AuthoringError(f"GaussianDropout: rate must be at least 0 and below 1, got {rate}")
        self.rate = rate

    def noisy(self, x: Any) -> Any:
        if not self.rate:
            return x
        return math.multiply(x, self.draw(x, "normal", mean=1.0, scale=numbers.sqrt(self.rate / (1 - self.rate))))


class AlphaDropout(_Noise):
    """Dropout that keeps mean and variance of what went through `selu`."""

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(seed=seed, **kwargs)
        if not 0 <= rate <= 1:
            raise AuthoringError(f"AlphaDropout: rate must be within 0 and 1, got {rate}")
        self.rate = rate
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def noisy(self, x: Any) -> Any:
        if not self.rate:
            return x
        # What selu gives for numbers far below 0.
        lowest = -1.6732632423543772 * 1.0507009873554805
        a = ((1 - self.rate) * (1 + self.rate * lowest**2)) ** -0.5
        kept = self.draw_kept(x, self.rate, self.noise_shape)
        return math.add(math.multiply(array.where(kept, x, lowest), a), -a * lowest * self.rate)


class ActivityRegularization(Elementwise):
    """x itself; l1 * sum(|x|) + l2 * sum(x * x) is among the `losses`."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        from exporter.regularizers import L1L2

        super().__init__(activity_regularizer=L1L2(l1, l2), **kwargs)
        self.l1, self.l2 = l1, l2

    def call(self, inputs: Any) -> Any:
        return inputs
