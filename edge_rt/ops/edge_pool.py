"""Pools and resizing over channels-last images [n, h, w, c]."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Bool, Float, Floats, Ints, Str
from edge_rt.ops._spec import EXACT, SUMS, Types, Values, define, unchanged
from edge_rt.ops.edge_conv import image, window_geometry
from edge_rt.ops.pool import AVERAGE_POOL, MAX_POOL, AveragePoolAttrs, MaxPoolAttrs
from edge_rt.ops.resize import COORDINATES, RESIZE, ResizeAttrs
from edge_rt.types import DType, TensorType

Array = np.ndarray[Any, Any]


class EdgeMaxPoolAttrs(Attrs):
    """kernel: (h, w); pads: top, left, bottom, right. Empty stands for ones, or zeros for pads."""

    kernel = Ints()
    strides = Ints(())
    pads = Ints(())
    dilations = Ints(())
    ceil_mode = Bool(False)


class EdgeAveragePoolAttrs(EdgeMaxPoolAttrs):
    count_include_pad = Bool(False)


class EdgeResizeAttrs(Attrs):
    """Either sizes or scales are given, of (h, w), or the input `sizes`. The others are as those of Resize."""

    sizes = Ints(())
    scales = Floats(())
    antialias = Bool(False)
    coordinate_transformation_mode = Str("half_pixel", choices=COORDINATES[:-1])
    cubic_coeff_a = Float(-0.75)
    exclude_outside = Bool(False)
    keep_aspect_ratio_policy = Str("stretch", choices=("stretch", "not_larger", "not_smaller"))
    mode = Str("nearest", choices=("nearest", "linear", "cubic"))
    nearest_mode = Str("round_prefer_floor", choices=("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"))


def _pool_shapes(attrs: EdgeMaxPoolAttrs, types: Types, values: Values) -> Any:
    n, h, w, c = image(types)
    return [[n, *window_geometry(attrs, (h, w), attrs.ceil_mode).out, c]]


def _channels_first(attrs: EdgeMaxPoolAttrs) -> dict[str, Any]:
    given = dict(attrs)
    return {"kernel_shape": given.pop("kernel"), **given}


def _max_pool(attrs: EdgeMaxPoolAttrs, x: Array) -> Array:
    y: Array = MAX_POOL.reference(MaxPoolAttrs(**_channels_first(attrs)), x.transpose(0, 3, 1, 2))[0]
    return np.ascontiguousarray(y.transpose(0, 2, 3, 1))


def _average_pool(attrs: EdgeAveragePoolAttrs, x: Array) -> Array:
    y: Array = AVERAGE_POOL.reference(AveragePoolAttrs(**_channels_first(attrs)), x.transpose(0, 3, 1, 2))
    return np.ascontiguousarray(y.transpose(0, 2, 3, 1))


MAX_POOL_LAST = define(
    "edge.MaxPool", "x:T -> y:T", T=frozenset({DType.FLOAT32, DType.INT8, DType.UINT8}), attrs=EdgeMaxPoolAttrs,
    shapes=_pool_shapes, reference=_max_pool, accuracy=EXACT,
)  # fmt: skip
AVERAGE_POOL_LAST = define(
    "edge.AveragePool", "x:float32 -> y:float32", attrs=EdgeAveragePoolAttrs, shapes=_pool_shapes,
    reference=_average_pool, accuracy=SUMS,
)  # fmt: skip


def as_resize(attrs: EdgeResizeAttrs, given: Array | None = None) -> tuple[ResizeAttrs, Array | None, Array | None]:
    """The attributes of ONNX's Resize over axes 1 and 2, with the contents of its inputs `scales` and `sizes`.

    given: contents of the input `sizes`, where there is one.
    """
    others = dict(attrs)
    sizes, scales = others.pop("sizes"), others.pop("scales")
    record = ResizeAttrs(axes=(1, 2), **others)
    if given is not None and not sizes and not scales:
        return record, None, given
    if given is not None or len(sizes) + len(scales) != 2 or len(sizes) == 1:
        raise GraphError(f"either sizes or scales must be two numbers, got {sizes} and {scales}")
    return record, np.array(scales, np.float32) if scales else None, np.array(sizes, np.int64) if sizes else None


def _resize_shapes(attrs: EdgeResizeAttrs, types: Types, values: Values) -> Any:
    image(types)
    if types[0].dtype is not DType.FLOAT32 and attrs.mode != "nearest":  # type: ignore[union-attr]
        raise GraphError(f"of {types[0].dtype.value} the mode must be nearest, got {attrs.mode}")  # type: ignore[union-attr]
    has_sizes = len(types) > 1 and types[1] is not None
    record, scales, sizes = as_resize(attrs, np.ones(2, np.int64) if has_sizes else None)
    given = [types[0], None, *(None if v is None else TensorType.of(v) for v in (scales, sizes))]
    if has_sizes:
        given[3], sizes = types[1], values[1]
    return RESIZE.shapes(record, given, [None, None, scales, sizes])


def _resize(attrs: EdgeResizeAttrs, x: Array, sizes: Array | None = None) -> Array:
    record, scales, wanted = as_resize(attrs, sizes)
    y: Array = RESIZE.reference(record, x, None, scales, wanted)
    return np.ascontiguousarray(y)


RESIZE_LAST = define(
    "edge.Resize", "x:T sizes:int64? -> y:T", since=2, T=frozenset({DType.FLOAT32, DType.INT8, DType.UINT8}),
    attrs=EdgeResizeAttrs, shapes=_resize_shapes, reference=_resize, accuracy=SUMS, shape_inputs=(1,),
    upgrades={1: unchanged},
)  # fmt: skip
