"""Geometry of sliding windows, which convolutions and pools share, and the checks that go with it.

An axis is padded by `begin` and `end`; window i sees the padded positions i * stride + k * dilation, k over the taps of
the kernel.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edge_rt.dims import ceil_div, floor_div, is_known, maximum, minimum
from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Ints, Str
from edge_rt.ops._rules import shown

Array = np.ndarray[Any, Any]


class WindowAttrs(Attrs):
    """Attributes of all sliding windows. Empty: ones, for pads zeros, for the kernel that of the weights."""

    auto_pad = Str("NOTSET", choices=("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"))
    dilations = Ints(())
    kernel_shape = Ints(())
    pads = Ints(())
    strides = Ints(())


class Geometry:
    """One entry per spatial axis; sizes and pads may be symbolic. Iterates over its tuples, in the order of arguments."""

    __slots__ = ("begin", "dilations", "end", "kernel", "out", "strides")

    def __init__(
        self,
        kernel: tuple[int, ...],
        strides: tuple[int, ...],
        dilations: tuple[int, ...],
        begin: tuple[Any, ...],
        end: tuple[Any, ...],
        out: tuple[Any, ...],
    ) -> None:
        self.kernel, self.strides, self.dilations = kernel, strides, dilations
        self.begin, self.end, self.out = begin, end, out

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter((self.kernel, self.strides, self.dilations, self.begin, self.end, self.out))


def at(items: Sequence[Any], index: int) -> Any:
    """items[index], or None past the end: how inputs that were left off at the end read."""
    return items[index] if index < len(items) else None


def differ(a: Any, b: Any) -> bool:
    """Whether two sizes are known to be different."""
    if a == b:
        return False
    difference = a - b
    return is_known(difference) and difference != 0


def check_rank(name: str, shape: Sequence[Any], least: int, most: int | None = None) -> None:
    """Raises GraphError unless least <= rank <= most (most: by default `least`)."""
    most = least if most is None else most
    if not least <= len(shape) <= most:
        text = str(least) if least == most else f"{least} to {most}"
        raise GraphError(f"{name} must have rank {text}, got {shown(shape)}")


def check_shape(name: str, shape: Sequence[Any], expected: Sequence[Any]) -> None:
    """Raises GraphError if `shape` is known not to be `expected`."""
    if tuple(shape) == tuple(expected):
        return
    if len(shape) != len(expected) or any(differ(a, b) for a, b in zip(shape, expected)):
        raise GraphError(f"{name} must be {shown(expected)}, got {shown(shape)}")


def per_axis(name: str, values: Sequence[int], count: int, default: int = 1, least: int = 1) -> tuple[int, ...]:
    """An attribute with one number per spatial axis; `default` for each where it is empty."""
    if not values:
        return (default,) * count
    if len(values) != count or min(values) < least:
        raise GraphError(f"{name} must be {count} numbers >= {least}, got {shown(values)}")
    return tuple(values)


def geometry(
    attrs: WindowAttrs, sizes: Sequence[Any], kernel: Sequence[int] | None = None, ceil_mode: bool = False
) -> Geometry:
    """Where the windows lie on axes of these sizes. kernel: of the weights, if there are any.

    Raises GraphError if attributes do not fit each other or if no window fits.
    """
    own_kernel = attrs.kernel_shape
    if kernel is None:
        kernel = own_kernel
    elif own_kernel and own_kernel != tuple(kernel):
        raise GraphError(f"kernel_shape must be that of the weights {shown(kernel)}, got {shown(own_kernel)}")
    return windows_over(sizes, kernel, attrs.strides, attrs.dilations, attrs.pads, attrs.auto_pad, ceil_mode)


def windows_over(
    sizes: Sequence[Any],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
    auto_pad: str = "NOTSET",
    ceil_mode: bool = False,
) -> Geometry:
    """Where the windows lie on axes of these sizes, by the values that attributes have. Raises like `geometry`."""
    n = len(sizes)
    kernel = per_axis("kernel_shape", kernel, n)
    strides, dilations = per_axis("strides", strides, n), per_axis("dilations", dilations, n)
    pads = per_axis("pads", pads, 2 * n, default=0, least=0)
    begin, end, out = [], [], []
    for axis, size in enumerate(sizes):
        stride, extent = strides[axis], (kernel[axis] - 1) * dilations[axis] + 1
        low: Any = pads[axis] if auto_pad == "NOTSET" else 0
        high: Any = pads[n + axis] if auto_pad == "NOTSET" else 0
        if auto_pad.startswith("SAME"):
            count = ceil_div(size, stride)
            total = maximum((count - 1) * stride + extent - size, 0)
            low = floor_div(total, 2) if auto_pad == "SAME_UPPER" else ceil_div(total, 2)
            high = total - low
        elif ceil_mode:
            # A window that would start in the end padding is left out.
            count = minimum(ceil_div(size + low + high - extent, stride) + 1, ceil_div(size + low, stride))
        else:
            count = floor_div(size + low + high - extent, stride) + 1
        if is_known(count) and count < 1:
            raise GraphError(f"spatial axis {axis} must hold a window of {extent}, got {size} padded by {low} and {high}")
        begin.append(low)
        end.append(high)
        out.append(count)
    return Geometry(kernel, strides, dilations, tuple(begin), tuple(end), tuple(out))


def padded(x: Array, g: Geometry, fill: Any) -> Array:
    """x: T[..., *sizes] with `fill` wherever a window reaches beyond it."""
    sizes = x.shape[x.ndim - len(g.kernel) :]
    widths = [(0, 0)] * (x.ndim - len(sizes))
    for i, size in enumerate(sizes):
        reach = (g.out[i] - 1) * g.strides[i] + (g.kernel[i] - 1) * g.dilations[i] + 1
        widths.append((g.begin[i], max(0, reach - size - g.begin[i])))
    return np.pad(x, widths, constant_values=fill) if any(map(any, widths)) else x


def taps(x: Array, g: Geometry) -> Iterator[Array]:
    """For each kernel position, in C order, the view T[..., *out] of padded x that it sees."""
    for position in itertools.product(*map(range, g.kernel)):
        place: Any = (..., *(tap_slice(g, axis, k) for axis, k in enumerate(position)))
        yield x[place]


def tap_slice(g: Geometry, axis: int, k: int) -> slice:
    """What tap k of the kernel sees along a padded axis."""
    start = k * g.dilations[axis]
    return slice(start, start + (g.out[axis] - 1) * g.strides[axis] + 1, g.strides[axis])


def windows(x: Array, g: Geometry) -> Array:
    """View T[..., *out, *kernel] of padded x: T[..., *sizes]."""
    n = len(g.kernel)
    lead, steps = x.strides[: x.ndim - n], x.strides[x.ndim - n :]
    shape = (*x.shape[: x.ndim - n], *g.out, *g.kernel)
    moves = [s * stride for s, stride in zip(steps, g.strides)]
    taken = [s * dilation for s, dilation in zip(steps, g.dilations)]
    return np.lib.stride_tricks.as_strided(x, shape, (*lead, *moves, *taken), writeable=False)
