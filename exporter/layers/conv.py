"""Conv1D, Conv2D, Conv3D: convolutions with a kernel [*window, channels / groups, filters]."""

from __future__ import annotations

from typing import Any

from edge_rt.errors import AuthoringError
from exporter import activations
from exporter.authoring.dispatch import apply
from exporter.authoring.ops.array import transpose
from exporter.layers.spec import InputSpec
from exporter.layers.windows import Convolving, windows_in


class Conv(Convolving):
    """x [batch, *spatial, channels] -> activation(convolution + bias) [batch, *windows, filters].

    padding: "valid", "same" or, over one axis, "causal". groups: channels and filters are cut into so many groups, each of
    which sees only itself.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
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
        kind = type(self).__name__
        if filters <= 0 or groups <= 0 or filters % groups:
            raise AuthoringError(f"{kind}: groups must divide the filters, got {filters} filters and {groups} groups")
        self.filters, self.groups, self.use_bias = filters, groups, use_bias
        self._set_window(kernel_size, strides, dilation_rate, padding, data_format, causal=self.rank == 1)
        if self.padding == "causal" and self.data_format == "channels_first":
            raise AuthoringError(f"{kind}: causal padding is not for channels_first")
        self.activation = activations.get(activation)
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint

    def build(self, input_shape: Any) -> None:
        channels = self._known_channels(input_shape)
        if channels % self.groups:
            raise AuthoringError(f"layer '{self.name}': {self.groups} groups must divide the {channels} channels of inputs")
        self.kernel = self._declared_weight("kernel", (*self.kernel_size, channels // self.groups, self.filters))
        self.bias = self._declared_weight("bias", (self.filters,)) if self.use_bias else None
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self._channel_axis: channels})

    def call(self, inputs: Any) -> Any:
        kernel = transpose(self.kernel, (self.rank + 1, self.rank, *range(self.rank)))
        window = window_attributes(self.kernel_size, self.strides, self.dilation_rate, self.padding)
        x = apply("Conv", self._to_first(inputs), kernel, self.bias, group=self.groups, **window)
        return self.activation(self._from_first(x))

    def compute_output_shape(self, input_shape: Any) -> Any:
        sizes = windows_in(self._spatial(input_shape), self.kernel_size, self.strides, self.dilation_rate, self.padding)
        return self._shape(input_shape[0], sizes, self.filters)


class Conv1D(Conv):
    """Convolution over one axis."""

    rank = 1


class Conv2D(Conv):
    """Convolution over two axes."""


class Conv3D(Conv):
    """Convolution over three axes."""

    rank = 3


def window_attributes(kernel: Any, strides: Any, dilations: Any, padding: str) -> dict[str, Any]:
    """The attributes of ONNX's Conv for a layer's arguments."""
    place: dict[str, Any]
    if padding == "causal":
        place = {"pads": (dilations[0] * (kernel[0] - 1), 0)}
    else:
        place = {"auto_pad": "SAME_UPPER" if padding == "same" else "VALID"}
    return {"strides": strides, "dilations": dilations, **place}
