"""ZeroPadding and Cropping: zeros around, or less of, the spatial axes."""

from __future__ import annotations

from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.ops import array
from exporter.layers.spec import InputSpec
from exporter.layers.windows import Windowed, as_data_format, pairs_per_axis


class _Border(Windowed):
    """Base: `_amounts` has (before, after) for each spatial axis, `_sign` is 1 where they are added."""

    _sign = 1
    _amounts: tuple[tuple[int, int], ...]

    def _set_amounts(self, name: str, value: Any, data_format: str | None) -> None:
        what = f"{type(self).__name__}: {name}"
        # Over one axis, two numbers are before and after; over several, one number for each axis.
        one_axis = self.rank == 1 and isinstance(value, (list, tuple))
        self._amounts = pairs_per_axis(what, [value] if one_axis else value, self.rank)
        setattr(self, name, self._amounts[0] if self.rank == 1 else self._amounts)
        self.data_format = as_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    @property
    def _first(self) -> int:
        return 1 if self.data_format == "channels_last" else 2

    def compute_output_shape(self, input_shape: Any) -> Any:
        pairs = zip(self._spatial(input_shape), self._amounts)
        sizes = [None if size is None else size + self._sign * sum(amount) for size, amount in pairs]
        return self._shape(input_shape[0], sizes, self._channels(input_shape))


class ZeroPadding1D(_Border):
    """x [batch, steps, channels] with zeros before and behind. padding: a number, or (before, after)."""

    rank = 1
    _normalised = ("padding", "data_format")

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_amounts("padding", padding, data_format)

    def call(self, inputs: Any) -> Any:
        widths = [(0, 0)] * (self.rank + 2)
        widths[self._first : self._first + self.rank] = self._amounts
        return array.pad(inputs, widths)


class ZeroPadding2D(ZeroPadding1D):
    """x [batch, h, w, channels] with zeros around. padding: a number, (h, w), or ((top, bottom), (left, right))."""

    rank = 2


class ZeroPadding3D(ZeroPadding1D):
    """x [batch, d, h, w, channels] with zeros around. padding: a number, one for each axis, or pairs."""

    rank = 3


class _Cropping(_Border):
    _sign = -1
    _normalised = ("cropping", "data_format")

    def call(self, inputs: Any) -> Any:
        for axis, (before, after) in enumerate(self._amounts, self._first):
            size = inputs.shape[axis]
            if size is not None and before + after >= size:
                what = f"layer '{self.name}': cropping must leave something of axis {axis} of size {size}"
                raise AuthoringError(f"{what}, got {before} and {after}")
            if before or after:
                inputs = array.slice_axis(inputs, axis, before, -after if after else None)
        return inputs


class Cropping1D(_Cropping):
    """x [batch, steps, channels] without some steps. cropping: a number, or (before, after)."""

    rank = 1

    def __init__(self, cropping: Any = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_amounts("cropping", cropping, None)


class Cropping2D(_Cropping):
    """x [batch, h, w, channels] without its edges. cropping: a number, (h, w), or ((top, bottom), (left, right))."""

    def __init__(self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_amounts("cropping", cropping, data_format)


class Cropping3D(_Cropping):
    """x [batch, d, h, w, channels] without its edges. cropping: a number, one for each axis, or pairs."""

    rank = 3

    def __init__(self, cropping: Any = ((1, 1), (1, 1), (1, 1)), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_amounts("cropping", cropping, data_format)
