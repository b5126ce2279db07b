"""Dense: act(x @ kernel + bias) over the last axis."""

from __future__ import annotations

from typing import Any

from edge_rt.errors import AuthoringError
from exporter import activations
from exporter.authoring.ops import math, nn
from exporter.layers.base import Layer
from exporter.layers.spec import InputSpec


class Dense(Layer):
    """x [..., inputs] -> activation(x @ kernel + bias) [..., units].

    units: the size of the output's last axis. activation: a name, a function or None. kernel [inputs, units], bias [units].
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if not isinstance(units, int) or units <= 0:
            raise AuthoringError(f"Dense: units must be a positive number, got {units!r}")
        self.units, self.use_bias = units, use_bias
        self.activation = activations.get(activation)
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint
        self.input_spec = InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        size = input_shape[-1]
        self.kernel = self._declared_weight("kernel", (size, self.units))
        self.bias = self._declared_weight("bias", (self.units,)) if self.use_bias else None
        self.input_spec = InputSpec(min_ndim=2, axes={-1: size})

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        x = math.matmul(inputs, self.kernel)
        return self.activation(x if self.bias is None else nn.bias_add(x, self.bias))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (*input_shape[:-1], self.units)
