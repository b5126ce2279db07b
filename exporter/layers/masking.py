"""Masking: which steps of sequences count, as a mask for the layers behind."""

from __future__ import annotations

from typing import Any

from exporter.authoring.ops import array, math
from exporter.layers.base import Layer


class Masking(Layer):
    """x [batch, steps, features]: a step whose features all are `mask_value` does not count and becomes zeros."""

    def __init__(self, mask_value: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value
        self.supports_masking = True

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        differs = math.cast(math.not_equal(inputs, self.mask_value), inputs.dtype)
        return math.greater(math.reduce_max(differs, -1), 0.0)

    def call(self, inputs: Any) -> Any:
        kept = array.expand_dims(self.compute_mask(inputs, None), -1)
        return math.multiply(inputs, math.cast(kept, inputs.dtype))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
