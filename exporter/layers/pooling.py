"""Pooling: the largest, or the mean, of windows or of all positions."""

from __future__ import annotations

from typing import Any

from exporter.authoring.dispatch import apply
from exporter.authoring.ops import math
from exporter.authoring.ops.array import expand_dims
from exporter.authoring.tensor import Tensor
from exporter.layers.spec import InputSpec
from exporter.layers.windows import Windowed, as_data_format, as_padding, per_axis, windows_in


class _Pooling(Windowed):
    """x [batch, *spatial, channels] -> [batch, *windows, channels]. strides: None for the size of the windows."""

    operator = "MaxPool"
    _normalised = ("pool_size", "strides", "padding", "data_format")

    def __init__(
        self, pool_size: Any, strides: Any = None, padding: str = "valid", data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        kind = type(self).__name__
        self.pool_size = per_axis(f"{kind}: pool_size", pool_size, self.rank)
        self.strides = self.pool_size if strides is None else per_axis(f"{kind}: strides", strides, self.rank)
        self.padding, self.data_format = as_padding(padding), as_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def call(self, inputs: Any) -> Any:
        place = "SAME_UPPER" if self.padding == "same" else "VALID"
        x = self._to_first(inputs)
        made = apply(self.operator, x, kernel_shape=self.pool_size, strides=self.strides, auto_pad=place)
        return self._from_first(made[0] if isinstance(made, tuple) else made)

    def compute_output_shape(self, input_shape: Any) -> Any:
        ones = (1,) * self.rank
        sizes = windows_in(self._spatial(input_shape), self.pool_size, self.strides, ones, self.padding)
        return self._shape(input_shape[0], sizes, self._channels(input_shape))


class MaxPooling1D(_Pooling):
    """The largest of each window over one axis."""

    rank = 1

    def __init__(
        self, pool_size: Any = 2, strides: Any = None, padding: str = "valid", data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(pool_size, strides, padding, data_format, **kwargs)


class MaxPooling2D(MaxPooling1D):
    """The largest of each window over two axes."""

    rank = 2


class MaxPooling3D(MaxPooling1D):
    """The largest of each window over three axes."""

    rank = 3


class AveragePooling1D(_Pooling):
    """The mean of each window over one axis; of a window that reaches beyond x, of what lies in x."""

    rank = 1
    operator = "AveragePool"


class AveragePooling2D(AveragePooling1D):
    """The mean of each window over two axes."""

    rank = 2


class AveragePooling3D(AveragePooling1D):
    """The mean of each window over three axes."""

    rank = 3


class _GlobalPooling(Windowed):
    """x [batch, *spatial, channels] -> [batch, channels], or with axes of size 1 where keepdims."""

    _normalised = ("data_format",)

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format, self.keepdims = as_data_format(data_format), keepdims
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def _axes(self) -> tuple[int, ...]:
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def call(self, inputs: Any) -> Any:
        return math.reduce_max(inputs, self._axes, self.keepdims)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.keepdims:
            return self._shape(input_shape[0], (1,) * self.rank, self._channels(input_shape))
        return (input_shape[0], self._channels(input_shape))


class GlobalMaxPooling1D(_GlobalPooling):
    """The largest of all positions of one axis."""

    rank = 1


class GlobalMaxPooling2D(_GlobalPooling):
    """The largest of all positions of two axes."""


class GlobalMaxPooling3D(_GlobalPooling):
    """The largest of all positions of three axes."""

    rank = 3


class GlobalAveragePooling2D(_GlobalPooling):
    """The mean of all positions of two axes."""

    def call(self, inputs: Any) -> Any:
        return math.reduce_mean(inputs, self._axes, self.keepdims)


class GlobalAveragePooling3D(GlobalAveragePooling2D):
    """The mean of all positions of three axes."""

    rank = 3


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean of all positions of one axis; with a mask, of those that it keeps."""

    rank = 1

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(data_format, keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        if mask is None:
            return math.reduce_mean(inputs, self._axes, self.keepdims)
        kept: Tensor = expand_dims(math.cast(mask, inputs.dtype), 2 if self.data_format == "channels_last" else 1)
        total = math.reduce_sum(math.multiply(inputs, kept), self._axes, self.keepdims)
        return math.divide(total, math.reduce_sum(kept, self._axes, self.keepdims))

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        return None
