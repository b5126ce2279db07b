"""Convolutions over channels-first tensors [n, c, *spatial], their transposes, and columns folded into images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.dims import ceil_div, floor_div, is_known, product
from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Int, Ints, Str
from edge_rt.ops._rules import contents, has, shape_of, widened
from edge_rt.ops._spec import SUMS, Types, Values, define
from edge_rt.ops._windows import (
    Geometry,
    WindowAttrs,
    check_rank,
    check_shape,
    differ,
    geometry,
    padded,
    per_axis,
    tap_slice,
    windows,
)
from edge_rt.types import ANY, FLOATS, DType

Array = np.ndarray[Any, Any]
COLUMNS = 1 << 22
"""Most elements of the column matrix of a convolution that exist at a time."""


class ConvAttrs(WindowAttrs):
    group = Int(1)


def conv_shape(attrs: ConvAttrs, x: Sequence[Any], w: Sequence[Any], bias: Sequence[Any] | None) -> list[Any]:
    """Shape of a convolution of x [n, c, *spatial] by w [m, c/group, *kernel]. Raises GraphError if they do not fit."""
    check_rank("X", x, 3, 9)
    check_rank("W", w, len(x))
    if attrs.group < 1 or (is_known(w[0]) and w[0] % attrs.group):
        raise GraphError(f"group must divide the {w[0]} output channels, got {attrs.group}")
    if differ(x[1], w[1] * attrs.group):
        raise GraphError(f"X must have {w[1]} * {attrs.group} channels, got {x[1]}")
    if bias is not None:
        check_shape("B", bias, [w[0]])
    kernel = [int(d) for d in w[2:]]
    return [x[0], w[0], *geometry(attrs, x[2:], kernel).out]


def convolve(x: Array, w: Array, g: Geometry, group: int) -> Array:
    """Sums of products over windows. x: T[n, c, *sizes], zero outside; w: T[m, c/group, *kernel] -> T[n, m, *out]."""
    n, c = x.shape[:2]
    m, depth = w.shape[0], c // group * math.prod(g.kernel)
    view = windows(padded(x, g, 0), g)
    view = view.reshape(n, group, c // group, *view.shape[2:])
    rank = len(g.out)
    spatial, kernel = range(3, 3 + rank), range(3 + rank, 3 + 2 * rank)
    view = view.transpose(0, 1, 2, *kernel, *spatial)
    weights = w.reshape(group, m // group, depth)
    out = np.empty((n, group, m // group, *g.out), x.dtype)
    rows = max(1, COLUMNS // max(1, n * c * math.prod(g.kernel) * math.prod(g.out[1:])))
    for first in range(0, g.out[0], rows):
        part = (*[slice(None)] * 3, slice(first, first + rows))
        columns = view[(*part[:3], *[slice(None)] * rank, part[3])]
        columns = columns.reshape(n, group, depth, math.prod(columns.shape[3 + rank :]))
        out[part] = np.matmul(weights, columns).reshape(out[part].shape)
    return out.reshape(n, m, *g.out)


def per_channel(bias: Array, rank: int) -> Array:
    """bias: T[c] shaped to broadcast over [n, c, *spatial] of that rank."""
    return bias.reshape(-1, *[1] * (rank - 2))


def _conv_shapes(attrs: Any, types: Types, values: Values) -> Any:
    bias = shape_of(types, 2) if has(types, 2) else None
    return [conv_shape(attrs, shape_of(types, 0), shape_of(types, 1), bias)]


def _conv(attrs: Any, x: Array, w: Array, bias: Array | None = None) -> Array:
    y = convolve(widened(x), widened(w), geometry(attrs, x.shape[2:], w.shape[2:]), attrs.group)
    if bias is not None:
        y += per_channel(bias, y.ndim)
    return y.astype(x.dtype, copy=False)


CONV = define(
    "Conv", "X:T W:T B:T? -> Y:T", since=22, T=FLOATS, attrs=ConvAttrs,
    shapes=_conv_shapes, reference=_conv, accuracy=SUMS,
)  # fmt: skip


class ConvTransposeAttrs(ConvAttrs):
    output_padding = Ints(())
    output_shape = Ints(())


def transpose_geometry(attrs: ConvTransposeAttrs, sizes: Sequence[Any], kernel: Sequence[int]) -> Geometry:
    """The windows of the convolution that this one transposes; `out` is the size of the result.

    Raises GraphError if attributes do not fit each other.
    """
    n = len(sizes)
    if attrs.kernel_shape and tuple(attrs.kernel_shape) != tuple(kernel):
        raise GraphError(f"kernel_shape must be that of the weights {tuple(kernel)}, got {attrs.kernel_shape}")
    strides, dilations = per_axis("strides", attrs.strides, n), per_axis("dilations", attrs.dilations, n)
    pads = per_axis("pads", attrs.pads, 2 * n, default=0, least=0)
    extra = per_axis("output_padding", attrs.output_padding, n, default=0, least=0)
    wanted: Sequence[Any] = attrs.output_shape
    if wanted:
        # Some exporters list batch and channels, too.
        wanted = per_axis("output_shape", wanted[-n:] if len(wanted) == n + 2 else wanted, n)
    elif attrs.auto_pad.startswith("SAME"):
        wanted = [size * stride for size, stride in zip(sizes, strides)]
    begin, end, out = [], [], []
    for axis, size in enumerate(sizes):
        full = (size - 1) * strides[axis] + extra[axis] + (kernel[axis] - 1) * dilations[axis] + 1
        if wanted:
            total = full - wanted[axis]
            less, more = floor_div(total, 2), ceil_div(total, 2)
            low, high = (less, more) if attrs.auto_pad == "SAME_UPPER" else (more, less)
        else:
            low, high = (0, 0) if attrs.auto_pad == "VALID" else (pads[axis], pads[n + axis])
        begin.append(low)
        end.append(high)
        out.append(full - low - high)
    if any(is_known(d) and d < 1 for d in out):
        raise GraphError(f"pads must leave something of the result, got sizes {tuple(out)}")
    return Geometry(tuple(kernel), strides, dilations, tuple(begin), tuple(end), tuple(out))


def _conv_transpose_shapes(attrs: Any, types: Types, values: Values) -> Any:
    x, w = shape_of(types, 0), shape_of(types, 1)
    check_rank("X", x, 3, 9)
    check_rank("W", w, len(x))
    if attrs.group < 1 or (is_known(w[0]) and w[0] % attrs.group):
        raise GraphError(f"group must divide the {w[0]} input channels, got {attrs.group}")
    if differ(x[1], w[0]):
        raise GraphError(f"X must have {w[0]} channels, got {x[1]}")
    if has(types, 2):
        check_shape("B", shape_of(types, 2), [w[1] * attrs.group])
    return [[x[0], w[1] * attrs.group, *transpose_geometry(attrs, x[2:], [int(d) for d in w[2:]]).out]]


def _conv_transpose(attrs: Any, x: Array, w: Array, bias: Array | None = None) -> Array:
    n, c, *sizes = x.shape
    g = transpose_geometry(attrs, sizes, w.shape[2:])
    m, count = w.shape[1], math.prod(sizes)
    data = widened(x).reshape(n, attrs.group, c // attrs.group, count)
    weights = widened(w).reshape(attrs.group, c // attrs.group, m, *g.kernel)
    # Scattered with stride from `begin` before the result; what lies outside of it is cut off.
    full = [(size - 1) * s + (k - 1) * d + 1 for size, s, k, d in zip(sizes, g.strides, g.kernel, g.dilations)]
    low = [max(0, -b) for b in g.begin]
    buffer = [lo + max(f, b + o) for lo, f, b, o in zip(low, full, g.begin, g.out)]
    y = np.zeros((n, attrs.group, m, *buffer), data.dtype)
    for position in itertools.product(*map(range, g.kernel)):
        kernel: Any = (..., *position)
        tap = np.matmul(weights[kernel].swapaxes(1, 2), data)
        starts = [lo + k * d for lo, k, d in zip(low, position, g.dilations)]
        place: Any = (..., *(slice(a, a + (size - 1) * s + 1, s) for a, size, s in zip(starts, sizes, g.strides)))
        y[place] += tap.reshape(n, attrs.group, m, *sizes)
    kept: Any = (..., *(slice(lo + b, lo + b + o) for lo, b, o in zip(low, g.begin, g.out)))
    y = y[kept].reshape(n, attrs.group * m, *g.out)
    if bias is not None:
        y = y + per_channel(bias, y.ndim)
    return np.ascontiguousarray(y, x.dtype)


CONV_TRANSPOSE = define(
    "ConvTranspose", "X:T W:T B:T? -> Y:T", since=22, T=FLOATS, attrs=ConvTransposeAttrs,
    shapes=_conv_transpose_shapes, reference=_conv_transpose, accuracy=SUMS,
)  # fmt: skip


class Col2ImAttrs(Attrs):
    dilations = Ints(())
    pads = Ints(())
    strides = Ints(())


def _col2im_geometry(attrs: Col2ImAttrs, image: Sequence[Any], block: Sequence[Any]) -> Geometry:
    window = WindowAttrs(dilations=attrs.dilations, pads=attrs.pads, strides=attrs.strides)
    return geometry(window, image, block)


def _col2im_shapes(attrs: Any, types: Types, values: Values) -> Any:
    x, image, block = shape_of(types, 0), contents(values, 1), contents(values, 2)
    check_rank("input", x, 3)
    if image is None:
        return [[x[0], *[None] * (1 + int(shape_of(types, 1)[0]))]]
    if block is None:
        return [[x[0], None, *image]]
    if len(image) != len(block):
        raise GraphError(f"image_shape and block_shape must be as long, got {len(image)} and {len(block)}")
    g = _col2im_geometry(attrs, image, [int(b) for b in block])
    size = product(g.kernel)
    if is_known(x[1]) and x[1] % size:
        raise GraphError(f"axis 1 of input must be a multiple of the {size} elements of a block, got {x[1]}")
    if differ(x[2], product(g.out)):
        raise GraphError(f"input must have {product(g.out)} columns, got {x[2]}")
    return [[x[0], floor_div(x[1], size), *image]]


def _col2im(attrs: Any, x: Array, image: Array, block: Array) -> Array:
    g = _col2im_geometry(attrs, image.tolist(), block.tolist())
    n, c = x.shape[0], x.shape[1] // math.prod(g.kernel)
    columns = x.reshape(n, c, *g.kernel, *g.out)
    reach = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in zip(g.out, g.strides, g.kernel, g.dilations)]
    y = np.zeros((n, c, *(max(r, b + size) for r, b, size in zip(reach, g.begin, image.tolist()))), x.dtype)
    for position in itertools.product(*map(range, g.kernel)):
        place: Any = (..., *(tap_slice(g, axis, k) for axis, k in enumerate(position)))
        tap: Any = (slice(None), slice(None), *position)
        y[place] += columns[tap]
    kept: Any = (..., *(slice(b, b + size) for b, size in zip(g.begin, image.tolist())))
    return np.ascontiguousarray(y[kept])


COL2IM = define(
    "Col2Im", "input:T image_shape:int64 block_shape:int64 -> output:T", since=18, T=ANY, attrs=Col2ImAttrs,
    shapes=_col2im_shapes, reference=_col2im, accuracy=SUMS, shape_inputs=(1, 2),
)  # fmt: skip


class CausalConvAttrs(Attrs):
    activation = Str("none", choices=("none", "silu", "swish"))


def _causal_conv_shapes(attrs: Any, types: Types, values: Values) -> Any:
    x, w = shape_of(types, 0), shape_of(types, 1)
    check_rank("input", x, 3)
    check_rank("weight", w, 3)
    check_shape("weight", w, [x[1], 1, w[2]])
    if has(types, 2):
        check_shape("bias", shape_of(types, 2), [x[1]])
    if has(types, 3):
        check_shape("past_state", shape_of(types, 3), [x[0], x[1], w[2] - 1])
    return [x, [x[0], x[1], w[2] - 1]]


def _causal_conv(attrs: Any, x: Array, w: Array, bias: Array | None = None, past: Array | None = None) -> Any:
    n, c, length = x.shape
    taps = w.shape[2]
    state = np.zeros((n, c, taps - 1), x.dtype) if past is None else past
    whole = np.concatenate([state, x], axis=2)
    data, weights = widened(whole), widened(w)
    y = np.zeros((n, c, length), data.dtype)
    for k in range(taps):
        y += weights[:, 0, k, None] * data[:, :, k : k + length]
    if bias is not None:
        y += bias[:, None]
    if attrs.activation != "none":
        y = y / (1 + np.exp(-y))
    return y.astype(x.dtype, copy=False), whole[:, :, length:].copy()


CAUSAL_CONV = define(
    "CausalConvWithState", "input:T weight:T bias:T? past_state:T? -> output:T present_state:T", since=27,
    T=frozenset({DType.FLOAT16, DType.FLOAT32}), attrs=CausalConvAttrs,
    shapes=_causal_conv_shapes, reference=_causal_conv, accuracy=SUMS,
)  # fmt: skip
