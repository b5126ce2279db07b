"""Initial values of weights, with Keras 3's names, arguments and defaults.

An initializer is called with a shape and a dtype. With a `seed` each call gives the same values; without one they follow
`ex.random.seed`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from exporter.authoring.module import snake_case
from exporter.authoring.ops.random import generator
from exporter.authoring.tensor import EagerTensor, Tensor, as_dtype

Array = np.ndarray[Any, Any]

__all__ = [
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "IdentityInitializer", "Initializer",
    "LecunNormal", "LecunUniform", "Ones", "Orthogonal", "OrthogonalInitializer", "RandomNormal", "RandomUniform",
    "TruncatedNormal", "VarianceScaling", "Zeros", "get",
]  # fmt: skip


class Initializer:
    """Base. A subclass computes in `values` and has its constructor's arguments as attributes."""

    arguments: tuple[str, ...] = ()
    seed: int | None = None

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        """A tensor of this shape; float32 by default."""
        kind = as_dtype(dtype or "float32").numpy
        return EagerTensor(np.ascontiguousarray(self.values(tuple(int(d) for d in shape)), dtype=kind).reshape(shape))

    def values(self, shape: tuple[int, ...]) -> Array:
        """The contents, in any dtype."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.arguments}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Any:
        from exporter.layers.serialization import accepted

        return cls(**accepted(cls, config))

    def _generator(self) -> np.random.Generator:
        return generator() if self.seed is None else np.random.default_rng(self.seed)

    def _truncated(self, shape: tuple[int, ...], mean: float, stddev: float) -> Array:
        """Normally distributed, those beyond two standard deviations drawn anew."""
        numbers = self._generator()
        drawn = np.asarray(numbers.normal(size=shape))
        while (beyond := np.abs(drawn) > 2).any():
            drawn[beyond] = numbers.normal(size=int(beyond.sum()))
        return drawn * stddev + mean


class Zeros(Initializer):
    """0 everywhere."""

    def values(self, shape: tuple[int, ...]) -> Array:
        return np.zeros(shape)


class Ones(Initializer):
    """1 everywhere."""

    def values(self, shape: tuple[int, ...]) -> Array:
        return np.ones(shape)


class Constant(Initializer):
    """value: a number, or an array of the weight's shape."""

    arguments = ("value",)

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value.numpy() if isinstance(value, Tensor) else value

    def values(self, shape: tuple[int, ...]) -> Array:
        return np.broadcast_to(np.asarray(self.value), shape)


class Identity(Initializer):
    """`gain` on the diagonal of a matrix."""

    arguments = ("gain",)

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def values(self, shape: tuple[int, ...]) -> Array:
        if len(shape) != 2:
            raise AuthoringError(f"Identity: the weight must be a matrix, got shape {shape}")
        return self.gain * np.eye(*shape)


class RandomNormal(Initializer):
    """From a normal distribution."""

    arguments = ("mean", "stddev", "seed")

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def values(self, shape: tuple[int, ...]) -> Array:
        return np.asarray(self._generator().normal(self.mean, self.stddev, shape))


class TruncatedNormal(RandomNormal):
    """As RandomNormal, what lies beyond two standard deviations drawn anew."""

    def values(self, shape: tuple[int, ...]) -> Array:
        return self._truncated(shape, self.mean, self.stddev)


class RandomUniform(Initializer):
    """Evenly from [minval, maxval)."""

    arguments = ("minval", "maxval", "seed")

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def values(self, shape: tuple[int, ...]) -> Array:
        return np.asarray(self._generator().uniform(self.minval, self.maxval, shape))


class VarianceScaling(Initializer):
    """A variance of scale / n, where n is the number of inputs (mode "fan_in"), of outputs ("fan_out") or their mean
    ("fan_avg"). distribution: "truncated_normal", "untruncated_normal" or "uniform"."""

    arguments: tuple[str, ...] = ("scale", "mode", "distribution", "seed")

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal", seed: int | None = None
    ) -> None:
        if scale <= 0:
            raise AuthoringError(f"VarianceScaling: scale must be positive, got {scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise AuthoringError(f"VarianceScaling: mode must be fan_in, fan_out or fan_avg, got {mode!r}")
        distribution = "truncated_normal" if distribution.lower() == "normal" else distribution.lower()
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            allowed = "truncated_normal, untruncated_normal or uniform"
            raise AuthoringError(f"VarianceScaling: distribution must be {allowed}, got {distribution!r}")
        self.scale, self.mode, self.distribution, self.seed = scale, mode, distribution, seed

    def values(self, shape: tuple[int, ...]) -> Array:
        inputs, outputs = fans(shape)
        count = {"fan_in": inputs, "fan_out": outputs, "fan_avg": (inputs + outputs) / 2}[self.mode]
        variance = self.scale / max(1.0, count)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return np.asarray(self._generator().uniform(-limit, limit, shape))
        if self.distribution == "untruncated_normal":
            return np.asarray(self._generator().normal(0, math.sqrt(variance), shape))
        # The standard deviation of a normal distribution that is cut off at two of them.
        return self._truncated(shape, 0, math.sqrt(variance) / 0.87962566103423978)


def fans(shape: Sequence[int]) -> tuple[float, float]:
    """How many inputs and outputs a kernel [..., inputs, outputs] connects."""
    if len(shape) < 2:
        size = float(shape[0]) if shape else 1.0
        return size, size
    window = math.prod(shape[:-2])
    return float(window * shape[-2]), float(window * shape[-1])


class _Scaled(VarianceScaling):
    """A variance scaling with fixed arguments."""

    arguments = ("seed",)
    fixed: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.fixed, seed=seed)


class GlorotUniform(_Scaled):
    """Evenly from +-sqrt(6 / (inputs + outputs)) (Glorot & Bengio 2010)."""

    fixed = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """From a truncated normal distribution of variance 2 / (inputs + outputs) (Glorot & Bengio 2010)."""

    fixed = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Evenly from +-sqrt(6 / inputs) (He et al. 2015)."""

    fixed = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """From a truncated normal distribution of variance 2 / inputs (He et al. 2015)."""

    fixed = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Evenly from +-sqrt(3 / inputs) (LeCun et al. 1998)."""

    fixed = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """From a truncated normal distribution of variance 1 / inputs (LeCun et al. 1998)."""

    fixed = (1.0, "fan_in", "truncated_normal")


class Orthogonal(Initializer):
    """A matrix with orthonormal rows or columns, times `gain`; of more axes the last one is the columns."""

    arguments = ("gain", "seed")

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain, self.seed = gain, seed

    def values(self, shape: tuple[int, ...]) -> Array:
        if len(shape) < 2:
            raise AuthoringError(f"Orthogonal: the weight must have at least 2 axes, got shape {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        drawn = self._generator().normal(size=(max(rows, columns), min(rows, columns)))
        q, r = np.linalg.qr(drawn)
        q = q * np.sign(np.diag(r))
        return np.asarray(self.gain * (q.T if rows < columns else q)).reshape(shape)


IdentityInitializer = Identity
OrthogonalInitializer = Orthogonal

_BY_NAME: dict[str, type[Initializer]] = {
    key: kind
    for name, kind in [(n, globals()[n]) for n in __all__ if n not in ("Initializer", "get")]
    for key in (name, snake_case(name))
} | {"uniform": RandomUniform, "normal": RandomNormal, "one": Ones, "zero": Zeros}


def get(identifier: Any) -> Callable[..., Any]:
    """An initializer for a name ("he_normal"), a config, a class, a function of shape and dtype, or an initializer.

    Raises AuthoringError for anything else.
    """
    from exporter.layers.serialization import deserialize, is_object, named

    if isinstance(identifier, Initializer):
        return identifier
    if is_object(identifier):
        made: Callable[..., Any] = deserialize(identifier)
        return made
    if isinstance(identifier, str):
        kind = _BY_NAME.get(identifier) or named(identifier, "initializer")
        return kind() if isinstance(kind, type) else kind  # type: ignore[no-any-return]
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    if callable(identifier):
        return identifier  # type: ignore[no-any-return]
    raise AuthoringError(f"an initializer must be a name, a config or a function, got {identifier!r}")
