"""Layers that change the form of a tensor, not its contents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.ops import array
from exporter.layers.base import Layer
from exporter.layers.spec import InputSpec


class Flatten(Layer):
    """x [batch, ...] -> [batch, the rest], in the order of channels last; data_format says what x has."""

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = standard_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        rank = len(inputs.shape)
        if self.data_format == "channels_first" and rank > 2:
            inputs = array.transpose(inputs, [0, *range(2, rank), 1])
        size = self.compute_output_shape(inputs.shape)[1]
        return array.reshape(inputs, [None, -1 if size is None else size])

    def compute_output_shape(self, input_shape: Any) -> Any:
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))


class Reshape(Layer):
    """x [batch, ...] -> [batch, *target_shape]; one size of it may be -1: what is left."""

    def __init__(self, target_shape: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)
        if self.target_shape.count(-1) > 1 or any(size < -1 for size in self.target_shape):
            raise AuthoringError(f"Reshape: target_shape must be sizes and at most one -1, got {self.target_shape}")

    def call(self, inputs: Any) -> Any:
        sizes = self.compute_output_shape(inputs.shape)[1:]
        return array.reshape(inputs, [None, *(-1 if size is None else size for size in sizes)])

    def compute_output_shape(self, input_shape: Any) -> Any:
        rest, known = input_shape[1:], math.prod(size for size in self.target_shape if size != -1)
        if None in rest:
            return (input_shape[0], *(None if size == -1 else size for size in self.target_shape))
        total = math.prod(rest)
        fits = total == known if -1 not in self.target_shape else known and total % known == 0
        if not fits:
            raise AuthoringError(f"layer '{self.name}': {rest} cannot be reshaped to {self.target_shape}")
        return (input_shape[0], *(total // known if size == -1 else size for size in self.target_shape))


class Permute(Layer):
    """x with its axes in the order `dims`, counted from 1 without the batch."""

    def __init__(self, dims: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise AuthoringError(f"Permute: dims must be the numbers from 1 in some order, got {self.dims}")
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        return array.transpose(inputs, [0, *self.dims])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))


class RepeatVector(Layer):
    """x [batch, features] -> [batch, n, features]."""

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(n, int) or isinstance(n, bool) or n <= 0:
            raise AuthoringError(f"RepeatVector: n must be a positive number, got {n!r}")
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        return array.tile(array.expand_dims(inputs, 1), [1, self.n, 1])

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], self.n, input_shape[1])


class Identity(Layer):
    """x itself."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def standard_data_format(data_format: str | None) -> str:
    """"channels_last", which None is too, or "channels_first". Raises AuthoringError for anything else."""
    made = "channels_last" if data_format is None else str(data_format).lower()
    if made not in ("channels_last", "channels_first"):
        raise AuthoringError(f"data_format must be channels_last or channels_first, got {data_format!r}")
    return made
