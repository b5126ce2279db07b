"""Depthwise convolutions, where each channel is seen by filters of its own, and separable ones, which mix channels then."""

from __future__ import annotations

from typing import Any

from edge_rt.errors import AuthoringError
from exporter import activations
from exporter.authoring.dispatch import apply
from exporter.authoring.ops.array import reshape, transpose
from exporter.authoring.tensor import Tensor
from exporter.authoring.variable import Variable
from exporter.layers.conv import window_attributes
from exporter.layers.spec import InputSpec
from exporter.layers.windows import Convolving, windows_in


class _Depthwise(Convolving):
    """What both kinds share: the product of each channel with its filters."""

    def _convolved(self, x: Tensor, kernel: Any, bias: Any, channels: int, multiplier: int) -> Tensor:
        """x [n, channels, *spatial] by kernel [*window, channels, multiplier]: [n, channels * multiplier, *windows]."""
        turned = transpose(kernel, (self.rank, self.rank + 1, *range(self.rank)))
        taps = reshape(turned, (channels * multiplier, 1, *self.kernel_size))
        window = window_attributes(self.kernel_size, self.strides, self.dilation_rate, self.padding)
        result: Tensor = apply("Conv", x, taps, bias, group=channels, **window)
        return result

    def _output_shape(self, input_shape: Any, channels: Any) -> Any:
        sizes = windows_in(self._spatial(input_shape), self.kernel_size, self.strides, self.dilation_rate, self.padding)
        return self._shape(input_shape[0], sizes, channels)


class DepthwiseConv(_Depthwise):
    """x [batch, *spatial, channels] -> [batch, *windows, channels * depth_multiplier].

    kernel [*window, channels, depth_multiplier].
    """

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if depth_multiplier <= 0:
            raise AuthoringError(f"{type(self).__name__}: depth_multiplier must be positive, got {depth_multiplier}")
        self._set_window(kernel_size, strides, dilation_rate, padding, data_format, causal=self.rank == 1)
        self.depth_multiplier, self.use_bias = depth_multiplier, use_bias
        self.activation = activations.get(activation)
        self.depthwise_initializer, self.bias_initializer = depthwise_initializer, bias_initializer
        self.depthwise_regularizer, self.bias_regularizer = depthwise_regularizer, bias_regularizer
        self.depthwise_constraint, self.bias_constraint = depthwise_constraint, bias_constraint

    def build(self, input_shape: Any) -> None:
        channels = self._known_channels(input_shape)
        self.kernel = self._declared_weight("kernel", (*self.kernel_size, channels, self.depth_multiplier), "depthwise")
        self.bias = self._declared_weight("bias", (channels * self.depth_multiplier,)) if self.use_bias else None
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self._channel_axis: channels})

    def call(self, inputs: Any) -> Any:
        channels = self.kernel.shape[-2]
        x = self._convolved(self._to_first(inputs), self.kernel, self.bias, channels, self.depth_multiplier)
        return self.activation(self._from_first(x))

    def compute_output_shape(self, input_shape: Any) -> Any:
        channels = self._channels(input_shape)
        return self._output_shape(input_shape, None if channels is None else channels * self.depth_multiplier)


class DepthwiseConv1D(DepthwiseConv):
    """Depthwise convolution over one axis."""

    rank = 1


class DepthwiseConv2D(DepthwiseConv):
    """Depthwise convolution over two axes."""


class SeparableConv(_Depthwise):
    """A depthwise convolution, then one of a single point: x [batch, *spatial, channels] -> [batch, *windows, filters].

    depthwise_kernel [*window, channels, depth_multiplier], pointwise_kernel [*ones, channels * depth_multiplier, filters].
    """

    pointwise_kernel: Variable

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        depth_multiplier: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        pointwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        pointwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        pointwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if filters <= 0 or depth_multiplier <= 0:
            what = f"{filters} and {depth_multiplier}"
            raise AuthoringError(f"{type(self).__name__}: filters and depth_multiplier must be positive, got {what}")
        self._set_window(kernel_size, strides, dilation_rate, padding, data_format, causal=self.rank == 1)
        self.filters, self.depth_multiplier, self.use_bias = filters, depth_multiplier, use_bias
        self.activation = activations.get(activation)
        self.depthwise_initializer, self.pointwise_initializer = depthwise_initializer, pointwise_initializer
        self.depthwise_regularizer, self.pointwise_regularizer = depthwise_regularizer, pointwise_regularizer
        self.depthwise_constraint, self.pointwise_constraint = depthwise_constraint, pointwise_constraint
        self.bias_initializer, self.bias_regularizer = bias_initializer, bias_regularizer
        self.bias_constraint = bias_constraint

    def build(self, input_shape: Any) -> None:
        channels = self._known_channels(input_shape)
        window, between = (*self.kernel_size, channels, self.depth_multiplier), channels * self.depth_multiplier
        self.depthwise_kernel = self._declared_weight("depthwise_kernel", window, "depthwise")
        point = (*[1] * self.rank, between, self.filters)
        self.pointwise_kernel = self._declared_weight("pointwise_kernel", point, "pointwise")
        self.bias = self._declared_weight("bias", (self.filters,)) if self.use_bias else None
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self._channel_axis: channels})

    def call(self, inputs: Any) -> Any:
        channels = self.depthwise_kernel.shape[-2]
        x = self._convolved(self._to_first(inputs), self.depthwise_kernel, None, channels, self.depth_multiplier)
        points = transpose(self.pointwise_kernel, (self.rank + 1, self.rank, *range(self.rank)))
        return self.activation(self._from_first(apply("Conv", x, points, self.bias)))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self._output_shape(input_shape, self.filters)


class SeparableConv1D(SeparableConv):
    """Separable convolution over one axis."""

    rank = 1


class SeparableConv2D(SeparableConv):
    """Separable convolution over two axes."""
