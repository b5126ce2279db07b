"""What layers over windows share: numbers per axis, layouts, sizes of results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from exporter.authoring.ops.array import transpose
from exporter.authoring.tensor import Tensor
from exporter.layers.base import Layer
from exporter.layers.spec import InputSpec


class Windowed(Layer):
    """Base of layers over `rank` spatial axes of x [batch, *spatial, channels], or [batch, channels, *spatial] where
    data_format is "channels_first"."""

    rank = 2
    data_format = "channels_last"
    _normalised: tuple[str, ...] = ()
    """Arguments of the constructor that a config has as the attributes of the same names."""

    def _constructor_arguments(self) -> dict[str, Any]:
        given = super()._constructor_arguments()
        return {name: getattr(self, name) if name in self._normalised else x for name, x in given.items()}

    def _spatial(self, shape: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(shape[1:-1] if self.data_format == "channels_last" else shape[2:])

    def _channels(self, shape: Sequence[Any]) -> Any:
        return shape[-1 if self.data_format == "channels_last" else 1]

    @property
    def _channel_axis(self) -> int:
        return -1 if self.data_format == "channels_last" else 1

    def _shape(self, batch: Any, spatial: Sequence[Any], channels: Any) -> tuple[Any, ...]:
        return (batch, *spatial, channels) if self.data_format == "channels_last" else (batch, channels, *spatial)

    def _known_channels(self, shape: Sequence[Any]) -> int:
        """The channels of inputs. Raises AuthoringError where they are not known."""
        found = self._channels(shape)
        if found is None:
            raise AuthoringError(f"layer '{self.name}': the number of channels must be known, got {tuple(shape)}")
        return int(found)

    def _to_first(self, x: Any) -> Tensor:
        """x as [batch, channels, *spatial]."""
        return channels_first(x, self.rank) if self.data_format == "channels_last" else x

    def _from_first(self, x: Any) -> Tensor:
        return channels_last(x, self.rank) if self.data_format == "channels_last" else x


class Convolving(Windowed):
    """Base of convolutions, which are windows with strides or gaps between their points."""

    _normalised: tuple[str, ...] = ("kernel_size", "strides", "padding", "data_format", "dilation_rate")

    def _set_window(
        self, kernel_size: Any, strides: Any, dilation_rate: Any, padding: str, data_format: Any, causal: bool
    ) -> None:
        """Takes the arguments of these names. causal: whether padding may be. Raises AuthoringError for others."""
        kind = type(self).__name__
        self.kernel_size = per_axis(f"{kind}: kernel_size", kernel_size, self.rank)
        self.strides = per_axis(f"{kind}: strides", strides, self.rank)
        self.dilation_rate = per_axis(f"{kind}: dilation_rate", dilation_rate, self.rank)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise AuthoringError(f"{kind}: strides and dilation_rate must not both be above 1")
        self.padding, self.data_format = as_padding(padding, causal), as_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)


def channels_first(x: Any, rank: int) -> Tensor:
    """[n, *spatial, c] -> [n, c, *spatial]."""
    return transpose(x, (0, rank + 1, *range(1, rank + 1)))


def channels_last(x: Any, rank: int) -> Tensor:
    """[n, c, *spatial] -> [n, *spatial, c]."""
    return transpose(x, (0, *range(2, rank + 2), 1))


def per_axis(name: str, value: Any, rank: int, least: int = 1) -> tuple[int, ...]:
    """One number for each of `rank` axes. Raises AuthoringError for anything but a number or so many numbers >= least."""
    numbers = (value,) * rank if isinstance(value, (int, np.integer)) else value
    fits = isinstance(numbers, (list, tuple)) and len(numbers) == rank
    if not fits or any(not isinstance(n, (int, np.integer)) or n < least for n in numbers):
        raise AuthoringError(f"{name} must be a number or {rank} numbers, at least {least}, got {value!r}")
    return tuple(int(n) for n in numbers)


def pairs_per_axis(name: str, value: Any, rank: int) -> tuple[tuple[int, int], ...]:
    """(before, after) for each axis: of a number for all, of a number for each axis, or of pairs."""
    given = (value,) * rank if isinstance(value, (int, np.integer)) else value
    if not isinstance(given, (list, tuple)) or len(given) != rank:
        raise AuthoringError(f"{name} must be a number, {rank} numbers or {rank} pairs, got {value!r}")
    return tuple(_pair(name, item) for item in given)


def _pair(name: str, value: Any) -> tuple[int, int]:
    before, after = per_axis(name, value, 2, least=0)
    return before, after


def as_padding(value: Any, causal: bool = False) -> str:
    """"valid", "same", or "causal" where that makes sense, in lower case."""
    known = ("valid", "same", "causal") if causal else ("valid", "same")
    if not isinstance(value, str) or value.lower() not in known:
        raise AuthoringError(f"padding must be one of {', '.join(known)}, got {value!r}")
    return value.lower()


def as_data_format(value: Any) -> str:
    """"channels_last" (also for None) or "channels_first"."""
    if value is None:
        return "channels_last"
    if value not in ("channels_last", "channels_first"):
        raise AuthoringError(f"data_format must be channels_last or channels_first, got {value!r}")
    return str(value)


def windows_in(sizes: Sequence[Any], window: Sequence[int], strides: Sequence[int], dilations: Sequence[int],
               padding: str) -> tuple[Any, ...]:  # fmt: skip
    """The number of windows along each axis; None where the size is not known."""
    found: list[Any] = []
    for size, kernel, stride, dilation in zip(sizes, window, strides, dilations):
        if size is None:
            found.append(None)
        elif padding == "valid":
            found.append((size - (kernel - 1) * dilation - 1) // stride + 1)
        else:
            found.append(-(-size // stride))
    return tuple(found)
