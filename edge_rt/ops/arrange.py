"""Padding, cropping and regular rearrangement.

Pad, CenterCropPad, Trilu, ReverseSequence, DepthToSpace, SpaceToDepth.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.dims import floor_div
from edge_rt.errors import DataError, GraphError
from edge_rt.ops._attrs import Attrs, Bool, Int, OptionalInts, Str
from edge_rt.ops._rules import (
    axes_of,
    equal_size,
    has,
    moved,
    require_number,
    require_rank,
    shape_of,
    shown,
    vector,
)
from edge_rt.ops._spec import Array, Shape, Types, Values, define
from edge_rt.types import Dim, DType

INDEX = frozenset({DType.INT32, DType.INT64})

# ---- Pad ------------------------------------------------------------------------------------------------------------


class Pad(Attrs):
    mode = Str("constant", choices=("constant", "reflect", "edge", "wrap"))


def _pad_shapes(attrs: Pad, types: Types, values: Values) -> list[Shape]:
    shape: list[Any] = list(shape_of(types))
    require_number(types, 2, "constant_value")
    axes = vector(types, values, 3, "axes") if has(types, 3) else range(len(shape))
    pads = vector(types, values, 1, "pads")
    if axes is None:
        return [[None] * len(shape)]
    found = axes_of(axes, len(shape))
    if pads is None:
        return [[None if i in found else d for i, d in enumerate(shape)]]
    if len(pads) != 2 * len(found):
        raise GraphError(f"pads must be {2 * len(found)} numbers, got {shown(pads)}")
    for i, axis in enumerate(found):
        before, after, old = pads[i], pads[i + len(found)], shape[axis]
        shape[axis] = old + before + after
        if isinstance(shape[axis], int) and shape[axis] < 0:
            raise GraphError(f"pads must leave a size of at least 0, got {before} and {after} for the size {old}")
        if attrs.mode != "constant" and old == 0 and shape[axis] != 0:
            raise GraphError(f"mode {attrs.mode} needs elements to repeat, got shape {shown(shape_of(types))}")
    return [shape]


def padding_source(size: int, before: int, after: int, mode: str) -> Array:
    """Position in an axis of `size` that each position of the padded axis repeats. Negative padding crops."""
    i = np.arange(-before, size + after)
    # what is cropped away is not repeated either
    low, high = max(0, -before), size + min(0, after)
    count = high - low
    if mode == "edge":
        return np.clip(i, low, high - 1)
    if mode == "wrap":
        return (i - low) % max(count, 1) + low
    period = max(2 * (count - 1), 1)
    offset = (i - low) % period
    return np.minimum(offset, period - offset) + low if count > 1 else np.full_like(i, low)


def _pad(attrs: Pad, x: Array, pads: Array, value: Array | None = None, axes: Array | None = None) -> Any:
    found = axes_of(range(x.ndim) if axes is None else axes.tolist(), x.ndim)
    before, after = [0] * x.ndim, [0] * x.ndim
    for i, axis in enumerate(found):
        before[axis], after[axis] = int(pads[i]), int(pads[i + len(found)])
    result = np.zeros([b + n + a for b, n, a in zip(before, x.shape, after)], x.dtype)
    if attrs.mode != "constant":
        if not result.size:
            return result
        # what shrinks comes first, so that no step is larger than both the input and the output
        for axis in sorted(found, key=lambda axis: before[axis] + after[axis]):
            x = np.take(x, padding_source(x.shape[axis], before[axis], after[axis], attrs.mode), axis)
        return x
    if value is not None:
        result[...] = value.reshape(())
    inside = tuple(slice(max(0, b), max(0, b + n + min(0, a))) for b, n, a in zip(before, x.shape, after))
    kept = tuple(slice(max(0, -b), max(0, -b, n + min(0, a))) for b, n, a in zip(before, x.shape, after))
    result[inside] = x[kept]
    return result


define(
    "Pad", "data:T pads:int64 constant_value:T? axes:I? -> output:T", I=INDEX, since=25, attrs=Pad, shapes=_pad_shapes,
    reference=_pad, shape_inputs=(1, 3), propagate=moved(_pad),
)  # fmt: skip


# ---- CenterCropPad --------------------------------------------------------------------------------------------------


class CenterCropPad(Attrs):
    axes = OptionalInts()


def _crop_shapes(attrs: CenterCropPad, types: Types, values: Values) -> list[Shape]:
    shape: list[Dim | None] = list(shape_of(types))
    axes = axes_of(range(len(shape)) if attrs.axes is None else attrs.axes, len(shape))
    target = vector(types, values, 1, "shape")
    if target is None:
        return [[None if i in axes else d for i, d in enumerate(shape)]]
    if len(target) != len(axes) or any(isinstance(d, int) and d < 0 for d in target):
        raise GraphError(f"shape must be {len(axes)} numbers of at least 0, got {shown(target)}")
    for axis, size in zip(axes, target):
        shape[axis] = size
    return [shape]


def _center_crop_pad(attrs: CenterCropPad, x: Array, shape: Array) -> Any:
    axes = axes_of(range(x.ndim) if attrs.axes is None else attrs.axes, x.ndim)
    sizes = list(x.shape)
    source, target = [slice(None)] * x.ndim, [slice(None)] * x.ndim
    for axis, size in zip(axes, shape.tolist()):
        old = x.shape[axis]
        sizes[axis] = size
        if old > size:
            source[axis] = slice((old - size) // 2, (old - size) // 2 + size)
        else:
            target[axis] = slice((size - old) // 2, (size - old) // 2 + old)
    result = np.zeros(sizes, x.dtype)
    result[tuple(target)] = x[tuple(source)]
    return result


define(
    "CenterCropPad", "input_data:T shape:I -> output_data:T", I=INDEX, since=18, attrs=CenterCropPad,
    shapes=_crop_shapes, reference=_center_crop_pad, shape_inputs=(1,),
)  # fmt: skip


# ---- Trilu ----------------------------------------------------------------------------------------------------------


class Trilu(Attrs):
    upper = Bool(True)


def _trilu_shapes(attrs: Trilu, types: Types, values: Values) -> list[Shape]:
    shape = shape_of(types)
    if len(shape) < 2:
        raise GraphError(f"input must have rank 2 or more, got shape {shown(shape)}")
    if has(types, 1) and 0 in shape_of(types, 1):
        raise GraphError(f"k must have one element, got shape {shown(shape_of(types, 1))}")
    return [shape]


def _trilu(attrs: Trilu, x: Array, k: Array | None = None) -> Any:
    diagonal = 0 if k is None else int(k.reshape(-1)[0])
    rows, columns = np.ogrid[: x.shape[-2], : x.shape[-1]]
    kept = columns - rows >= diagonal if attrs.upper else columns - rows <= diagonal
    return np.where(kept, x, x.dtype.type(0))


define("Trilu", "input:T k:int64? -> output:T", since=14, attrs=Trilu, shapes=_trilu_shapes, reference=_trilu)


# ---- ReverseSequence ------------------------------------------------------------------------------------------------


class ReverseSequence(Attrs):
    batch_axis = Int(1)
    time_axis = Int(0)


def _reverse_shapes(attrs: ReverseSequence, types: Types, values: Values) -> list[Shape]:
    shape, (count,) = shape_of(types), require_rank(types, 1, 1, "sequence_lens")
    if len(shape) < 2 or sorted((attrs.batch_axis, attrs.time_axis)) != [0, 1]:
        raise GraphError(
            "batch_axis and time_axis must be 0 and 1, or 1 and 0, of an input of rank 2 or more; "
            f"got {attrs.batch_axis} and {attrs.time_axis}, shape {shown(shape)}"
        )
    equal_size(shape[attrs.batch_axis], count, "the batch size and the length of sequence_lens")
    return [shape]


def _reverse(attrs: ReverseSequence, x: Array, lengths: Array) -> Any:
    steps = x.shape[attrs.time_axis]
    if ((lengths < 0) | (lengths > steps)).any():
        raise DataError(f"sequence_lens must be in [0, {steps}], got {lengths.tolist()}")
    time = np.arange(steps)
    source = np.where(time < lengths[:, None], lengths[:, None] - 1 - time, time)
    batch = np.arange(x.shape[attrs.batch_axis])[:, None]
    if attrs.time_axis == 0:
        return x[source.T, batch.T]
    return x[batch, source]


define(
    "ReverseSequence", "input:T sequence_lens:int64 -> Y:T", since=28, attrs=ReverseSequence, shapes=_reverse_shapes,
    reference=_reverse,
)  # fmt: skip


# ---- DepthToSpace, SpaceToDepth -------------------------------------------------------------------------------------


class DepthSpace(Attrs):
    """mode: how the depth is laid out, (block row, block column, channel) or (channel, block row, block column)."""

    blocksize = Int()
    mode = Str("DCR", choices=("DCR", "CRD"))


def _parts(dim: Dim, count: int, what: str) -> Dim:
    if isinstance(dim, int) and dim % count:
        raise GraphError(f"{what} must be a multiple of {count}, got {dim}")
    return floor_div(dim, count)


def _block(attrs: DepthSpace) -> int:
    if attrs.blocksize < 1:
        raise GraphError(f"blocksize must be at least 1, got {attrs.blocksize}")
    return attrs.blocksize


def _depth_to_space_shapes(attrs: DepthSpace, types: Types, values: Values) -> list[Shape]:
    n, c, h, w = require_rank(types, 0, 4, "input")
    b = _block(attrs)
    return [(n, _parts(c, b * b, "the number of channels"), h * b, w * b)]


def _space_to_depth_shapes(attrs: DepthSpace, types: Types, values: Values) -> list[Shape]:
    n, c, h, w = require_rank(types, 0, 4, "input")
    b = _block(attrs)
    return [(n, c * b * b, _parts(h, b, "height"), _parts(w, b, "width"))]


def _depth_to_space(attrs: DepthSpace, x: Array) -> Any:
    (n, c, h, w), b = x.shape, attrs.blocksize
    if attrs.mode == "DCR":
        parts = x.reshape(n, b, b, c // (b * b), h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, c // (b * b), b, b, h, w).transpose(0, 1, 4, 2, 5, 3)
    return parts.reshape(n, c // (b * b), h * b, w * b)


def _space_to_depth(attrs: DepthSpace, x: Array) -> Any:
    (n, c, h, w), b = x.shape, attrs.blocksize
    parts = x.reshape(n, c, h // b, b, w // b, b)
    ordered = parts.transpose(0, 3, 5, 1, 2, 4) if attrs.mode == "DCR" else parts.transpose(0, 1, 3, 5, 2, 4)
    return ordered.reshape(n, c * b * b, h // b, w // b)


define("DepthToSpace", "input:T -> output:T", since=28, attrs=DepthSpace, shapes=_depth_to_space_shapes,
       reference=_depth_to_space)  # fmt: skip
define("SpaceToDepth", "input:T -> output:T", since=28, attrs=DepthSpace, shapes=_space_to_depth_shapes,
       reference=_space_to_depth)  # fmt: skip
