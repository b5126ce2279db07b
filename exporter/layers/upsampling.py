"""UpSampling1D, UpSampling2D, UpSampling3D: each position several times, or interpolation between positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from exporter.authoring.dispatch import apply
from exporter.authoring.ops import array
from exporter.layers.spec import InputSpec
from exporter.layers.windows import Windowed, as_data_format, per_axis

_MODES: dict[str, dict[str, Any]] = {
    "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    "bilinear": {"mode": "linear"},
    "bicubic": {"mode": "cubic", "cubic_coeff_a": -0.5, "exclude_outside": True},
}
"""Attributes of Resize by interpolation."""


class UpSampling2D(Windowed):
    """x [batch, h, w, channels] -> [batch, h * size[0], w * size[1], channels].

    interpolation: nearest, bilinear or bicubic.
    """

    _normalised = ("size", "data_format")

    def __init__(
        self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.size, self.data_format = per_axis("UpSampling2D: size", size, 2), as_data_format(data_format)
        if interpolation not in _MODES:
            raise AuthoringError(f"UpSampling2D: interpolation must be one of {', '.join(_MODES)}, got {interpolation!r}")
        self.interpolation = interpolation
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        scales = np.array([1, 1, *self.size], np.float32)
        return self._from_first(apply("Resize", self._to_first(inputs), None, scales, **_MODES[self.interpolation]))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self._shape(input_shape[0], _times(self._spatial(input_shape), self.size), self._channels(input_shape))


class UpSampling1D(Windowed):
    """x [batch, steps, channels] -> [batch, steps * size, channels]: each step `size` times."""

    rank = 1

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        (self.size,) = per_axis("UpSampling1D: size", size, 1)
        self.input_spec = InputSpec(ndim=3)

    def call(self, inputs: Any) -> Any:
        return _repeated(inputs, 1, self.size)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self._shape(input_shape[0], _times(self._spatial(input_shape), (self.size,)), self._channels(input_shape))


class UpSampling3D(Windowed):
    """x [batch, d, h, w, channels] -> sizes times `size`: each position several times along each axis."""

    rank = 3
    _normalised = ("size", "data_format")

    def __init__(self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.size, self.data_format = per_axis("UpSampling3D: size", size, 3), as_data_format(data_format)
        self.input_spec = InputSpec(ndim=5)

    def call(self, inputs: Any) -> Any:
        first = 1 if self.data_format == "channels_last" else 2
        for axis, times in enumerate(self.size, first):
            inputs = _repeated(inputs, axis, times)
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return self._shape(input_shape[0], _times(self._spatial(input_shape), self.size), self._channels(input_shape))


def _repeated(x: Any, axis: int, times: int) -> Any:
    """x with each position along an axis `times` times."""
    if times == 1:
        return x
    known = [*x.shape]
    spread = array.tile(array.expand_dims(x, axis + 1), [times if a == axis + 1 else 1 for a in range(len(known) + 1)])
    sizes = array.shape(x)
    wanted: list[Any] = [sizes[a] if known[a] is None else known[a] for a in range(len(known))]
    wanted[axis] = wanted[axis] * times
    return array.reshape(spread, wanted)


def _times(sizes: Any, factors: Any) -> list[Any]:
    return [None if size is None else size * factor for size, factor in zip(sizes, factors)]
