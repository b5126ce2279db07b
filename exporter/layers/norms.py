"""Normalisations of each example by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.dispatch import apply
from exporter.authoring.ops import array, math
from exporter.authoring.variable import Variable
from exporter.layers.base import Layer


class Scaled(Layer):
    """Base of layers with weights gamma and beta of one shape."""

    def __init__(
        self,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.center, self.scale = center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.beta_regularizer, self.gamma_regularizer = beta_regularizer, gamma_regularizer
        self.beta_constraint, self.gamma_constraint = beta_constraint, gamma_constraint
        self.supports_masking = True

    def _add_scale(self, shape: Sequence[int]) -> None:
        """Makes gamma and beta, as far as they are wanted."""
        self.gamma = self._declared_weight("gamma", shape) if self.scale else None
        self.beta = self._declared_weight("beta", shape) if self.center else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class LayerNormalization(Scaled):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta, mean and variance over `axis`, one or several."""

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            center, scale, beta_initializer, gamma_initializer,
            beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint, **kwargs,
        )  # fmt: skip
        self.axis = axis if isinstance(axis, int) else sorted(axis)
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        self._add_scale([input_shape[axis] for axis in listed(self.axis)])

    def call(self, inputs: Any) -> Any:
        rank = len(inputs.shape)
        axes = sorted(axis % rank for axis in listed(self.axis))
        if axes == list(range(axes[0], rank)):
            # The record wants a scale; one of ones is folded away.
            ones = array.ones([inputs.shape[axis] for axis in axes], inputs.dtype) if self.gamma is None else self.gamma
            made = apply("LayerNormalization", inputs, ones, self.beta, axis=axes[0], epsilon=self.epsilon)
            return made[0] if isinstance(made, tuple) else made
        mean = math.reduce_mean(inputs, axes, keepdims=True)
        variance = math.reduce_variance(inputs, axes, keepdims=True)
        made = math.multiply(math.subtract(inputs, mean), math.rsqrt(math.add(variance, self.epsilon)))
        if self.gamma is not None:
            made = math.multiply(made, _along(self.gamma, inputs, axes))
        return made if self.beta is None else math.add(made, _along(self.beta, inputs, axes))


class RMSNormalization(Layer):
    """x / sqrt(mean(x * x) + epsilon) * scale, the mean over `axis`, one or several."""

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else sorted(axis)
        self.epsilon = epsilon

    def build(self, input_shape: Any) -> None:
        self.scale = self.add_weight([input_shape[axis] for axis in listed(self.axis)], "ones", name="scale")

    def call(self, x: Any) -> Any:
        rank = len(x.shape)
        axes = sorted(axis % rank for axis in listed(self.axis))
        if axes == list(range(axes[0], rank)):
            return apply("RMSNormalization", x, self.scale, axis=axes[0], epsilon=self.epsilon)
        mean = math.reduce_mean(math.square(x), axes, keepdims=True)
        return math.multiply(math.multiply(x, math.rsqrt(math.add(mean, self.epsilon))), _along(self.scale, x, axes))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class GroupNormalization(Scaled):
    """Each of `groups` parts of the channels (`axis`) normalised over all axes but the batch; -1: each channel."""

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            center, scale, beta_initializer, gamma_initializer,
            beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint, **kwargs,
        )  # fmt: skip
        if not isinstance(groups, int) or (groups <= 0 and groups != -1):
            raise AuthoringError(f"GroupNormalization: groups must be a positive number or -1, got {groups!r}")
        self.groups, self.axis, self.epsilon = groups, axis, epsilon

    def build(self, input_shape: Any) -> None:
        size = input_shape[self.axis]
        if size is None or size % self._groups(size):
            wanted = f"the size of axis {self.axis} must be a multiple of {self.groups} groups"
            raise AuthoringError(f"layer '{self.name}': {wanted}, got {input_shape}")
        self._add_scale([size])

    def _groups(self, size: int) -> int:
        return size if self.groups == -1 else self.groups

    def call(self, inputs: Any) -> Any:
        rank, size = len(inputs.shape), inputs.shape[self.axis]
        at = self.axis % rank
        groups = self._groups(size)
        sizes = [array.shape(inputs)[i] if d is None and i > at else d for i, d in enumerate(inputs.shape)]
        grouped = array.reshape(inputs, [*sizes[:at], groups, size // groups, *sizes[at + 1 :]])
        axes = [axis for axis in range(1, rank + 1) if axis != at]
        mean = math.reduce_mean(grouped, axes, keepdims=True)
        variance = math.reduce_variance(grouped, axes, keepdims=True)
        made = math.multiply(math.subtract(grouped, mean), math.rsqrt(math.add(variance, self.epsilon)))
        made = array.reshape(made, [*sizes[:at], size, *sizes[at + 1 :]])
        if self.gamma is not None:
            made = math.multiply(made, _along(self.gamma, inputs, [at]))
        return made if self.beta is None else math.add(made, _along(self.beta, inputs, [at]))


class UnitNormalization(Layer):
    """x scaled to a norm of 1 over `axis`, one or several."""

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else list(axis)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        square = math.reduce_sum(math.square(inputs), self.axis, keepdims=True)
        return math.multiply(inputs, math.minimum(math.rsqrt(square), 1e12))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def listed(axis: int | Sequence[int]) -> list[int]:
    """One axis or several, as a list."""
    return [axis] if isinstance(axis, int) else list(axis)


def _along(weight: Variable, x: Any, axes: Sequence[int]) -> Any:
    """A weight with the sizes of some axes of x, in the form that broadcasts with x."""
    rank = len(x.shape)
    if list(axes) == list(range(rank - len(axes), rank)):
        return weight
    return array.reshape(weight, [x.shape[i] if i in axes else 1 for i in range(rank)])
