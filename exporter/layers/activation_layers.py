"""Activations as layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_rt.errors import AuthoringError
from exporter import activations
from exporter.authoring.dispatch import apply
from exporter.authoring.ops import array, math
from exporter.layers.base import Layer
from exporter.layers.spec import InputSpec


class Elementwise(Layer):
    """Base of layers whose output has the input's shape and mask."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class Activation(Elementwise):
    """activation: a name or a function."""

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        return self.activation(inputs)


class ReLU(Elementwise):
    """x between `threshold` and `max_value`; below the threshold negative_slope * (x - threshold)."""

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("max_value", max_value or 0), ("negative_slope", negative_slope), ("threshold", threshold)):
            if value is None or value < 0:
                raise AuthoringError(f"ReLU: {name} must be at least 0, got {value}")
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, inputs: Any) -> Any:
        return activations.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(Elementwise):
    """x if x >= 0 else negative_slope * x."""

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise AuthoringError(f"LeakyReLU: negative_slope must be at least 0, got {negative_slope}")
        self.negative_slope = negative_slope

    def call(self, inputs: Any) -> Any:
        return activations.leaky_relu(inputs, self.negative_slope)


class ELU(Elementwise):
    """x if x > 0 else alpha * (exp(x) - 1)."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Any) -> Any:
        return activations.elu(inputs, self.alpha)


class PReLU(Elementwise):
    """x if x >= 0 else alpha * x, with a weight alpha of the input's shape without the batch; 1 along `shared_axes`."""

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.alpha_initializer, self.alpha_regularizer = alpha_initializer, alpha_regularizer
        self.alpha_constraint = alpha_constraint
        self.shared_axes = [shared_axes] if isinstance(shared_axes, int) else [*(shared_axes or ())]

    def build(self, input_shape: Any) -> None:
        shape = list(input_shape[1:])
        for axis in self.shared_axes:
            shape[axis - 1] = 1
        self.alpha = self._declared_weight("alpha", shape)
        own = [axis for axis in range(1, len(input_shape)) if self.shared_axes and axis not in self.shared_axes]
        self.input_spec = InputSpec(ndim=len(input_shape), axes={axis: input_shape[axis] for axis in own})

    def call(self, inputs: Any) -> Any:
        return apply("PRelu", inputs, self.alpha)


class Softmax(Elementwise):
    """exp(x) / sum(exp(x)) along `axis`, one or several. What a mask leaves out gets 0."""

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else list(axis)

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is not None:
            mask = mask if mask.dtype == bool else math.greater(mask, 0.5)
            inputs = array.where(mask, inputs, -3e4 if self.compute_dtype == "float16" else -1e9)
        made = activations.softmax(inputs, self.axis)
        return made if mask is None else array.where(mask, made, 0)
