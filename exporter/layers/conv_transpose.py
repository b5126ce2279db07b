"""Conv1DTranspose, Conv2DTranspose: the gradients of convolutions as layers, which enlarge."""

from __future__ import annotations

from typing import Any

from edge_rt.errors import AuthoringError
from exporter import activations
from exporter.authoring.dispatch import apply
from exporter.authoring.ops.array import transpose
from exporter.layers.spec import InputSpec
from exporter.layers.windows import Convolving, per_axis


class ConvTranspose(Convolving):
    """x [batch, *spatial, channels] -> [batch, *sizes, filters]; kernel [*window, filters, channels].

    Sizes: input * stride with padding "same", (input - 1) * stride + max(window, stride) with "valid". output_padding
    decides the size behind the last window instead: it is added to (input - 1) * stride + window % 2, or + window.
    """

    _normalised = (*Convolving._normalised, "output_padding")

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
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
        if filters <= 0:
            raise AuthoringError(f"{kind}: filters must be a positive number, got {filters}")
        self.filters, self.use_bias = filters, use_bias
        self._set_window(kernel_size, strides, dilation_rate, padding, data_format, causal=False)
        self.output_padding = None
        if output_padding is not None:
            self.output_padding = per_axis(f"{kind}: output_padding", output_padding, self.rank, least=0)
            if any(more >= stride for more, stride in zip(self.output_padding, self.strides)):
                raise AuthoringError(f"{kind}: output_padding must be below strides, got {self.output_padding}")
        self.activation = activations.get(activation)
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint, self.bias_constraint = kernel_constraint, bias_constraint

    def build(self, input_shape: Any) -> None:
        channels = self._known_channels(input_shape)
        self.kernel = self._declared_weight("kernel", (*self.kernel_size, self.filters, channels))
        self.bias = self._declared_weight("bias", (self.filters,)) if self.use_bias else None
        self.input_spec = InputSpec(ndim=self.rank + 2, axes={self._channel_axis: channels})

    def call(self, inputs: Any) -> Any:
        kernel = transpose(self.kernel, (self.rank + 1, self.rank, *range(self.rank)))
        edges = [self._edges(axis) for axis in range(self.rank)]
        pads = [max(0, -low) for low, _ in edges] + [max(0, -high) for _, high in edges]
        more = [max(0, high) for _, high in edges]
        x = apply(
            "ConvTranspose", self._to_first(inputs), kernel, self.bias, strides=self.strides,
            dilations=self.dilation_rate, pads=pads, output_padding=more,
        )  # fmt: skip
        return self.activation(self._from_first(x))

    def _edges(self, axis: int) -> tuple[int, int]:
        """How much longer the result is than all windows together, before and behind; negative: shorter."""
        stride = self.strides[axis]
        extent = (self.kernel_size[axis] - 1) * self.dilation_rate[axis] + 1
        more = None if self.output_padding is None else self.output_padding[axis]
        if self.padding == "valid":
            return 0, max(extent, stride) - extent if more is None else more
        total = stride - 1 + extent - 1 if more is None else extent + extent % 2 - 2 + more
        low = min(total // 2 + total % 2, extent - 1)
        return low - (extent - 1), total - low - (extent - 1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        sizes = []
        for axis, size in enumerate(self._spatial(input_shape)):
            extent = (self.kernel_size[axis] - 1) * self.dilation_rate[axis] + 1
            sizes.append(None if size is None else (size - 1) * self.strides[axis] + extent + sum(self._edges(axis)))
        return self._shape(input_shape[0], sizes, self.filters)


class Conv1DTranspose(ConvTranspose):
    """Transposed convolution over one axis."""

    rank = 1


class Conv2DTranspose(ConvTranspose):
    """Transposed convolution over two axes."""
