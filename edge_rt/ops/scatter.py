"""Writing elements at indices, and operators whose result tells positions: ScatterElements, ScatterND, TensorScatter,
Compress, NonZero, OneHot."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import DataError, GraphError
from edge_rt.ops._attrs import Attrs, Int, OptionalInt, Str
from edge_rt.ops._rules import axis_of, check_indices, contents, equal_size, has, require_rank, shape_of, shown
from edge_rt.ops._spec import SUMS, Array, Shape, Types, Values, define
from edge_rt.ops.gather import INDEX, check_inside, positions
from edge_rt.types import NUMERIC, Dim

REDUCTIONS = ("none", "add", "mul", "max", "min")
_UFUNCS: dict[str, Any] = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def _write(x: Array, where: tuple[Array, ...], updates: Array, reduction: str) -> Array:
    """x with updates at `where`, in order: the last one wins where an index repeats, without a reduction."""
    result = x.copy()
    if reduction == "none":
        result[where] = updates
    else:
        _UFUNCS[reduction].at(result, where, updates)
    return result


# ---- ScatterElements ------------------------------------------------------------------------------------------------


class ScatterElements(Attrs):
    axis = Int(0)
    reduction = Str("none", choices=REDUCTIONS)


def _same_sizes(a: tuple[Dim, ...], b: tuple[Dim, ...], what: str) -> None:
    """Raises GraphError if the shapes differ, as far as that is known."""
    if len(a) != len(b) or any(isinstance(m, int) and isinstance(n, int) and m != n for m, n in zip(a, b)):
        raise GraphError(f"{what} must be equal, got {shown(a)} and {shown(b)}")


def _scatter_elements_shapes(attrs: ScatterElements, types: Types, values: Values) -> list[Shape]:
    shape, indices = shape_of(types), shape_of(types, 1)
    check_inside(shape, indices, axis_of(attrs.axis, len(shape)))
    _same_sizes(indices, shape_of(types, 2), "shapes of indices and updates")
    return [shape]


def _scatter_elements(attrs: ScatterElements, x: Array, indices: Array, updates: Array) -> Array:
    axis = axis_of(attrs.axis, x.ndim)
    check_indices(indices, x.shape[axis], axis)
    return _write(x, positions(indices, axis), updates, attrs.reduction)


define(
    "ScatterElements", "data:T indices:I updates:T -> output:T", I=INDEX, since=18, attrs=ScatterElements,
    shapes=_scatter_elements_shapes, reference=_scatter_elements, accuracy=SUMS,
)  # fmt: skip


# ---- ScatterND ------------------------------------------------------------------------------------------------------


class ScatterND(Attrs):
    reduction = Str("none", choices=REDUCTIONS)


def _scatter_nd_shapes(attrs: ScatterND, types: Types, values: Values) -> list[Shape]:
    shape, indices = shape_of(types), shape_of(types, 1)
    if not indices:
        raise GraphError("indices must have rank 1 or more")
    depth = indices[-1]
    if isinstance(depth, int):
        if not 1 <= depth <= len(shape):
            raise GraphError(f"indices must hold 1 to {len(shape)} numbers each, got shape {shown(indices)}")
        _same_sizes((*indices[:-1], *shape[depth:]), shape_of(types, 2), "shapes of the places and of updates")
    return [shape]


def _scatter_nd(attrs: ScatterND, x: Array, indices: Array, updates: Array) -> Array:
    for axis in range(indices.shape[-1]):
        check_indices(indices[..., axis], x.shape[axis], axis)
    return _write(x, tuple(np.moveaxis(indices, -1, 0)), updates, attrs.reduction)


define(
    "ScatterND", "data:T indices:int64 updates:T -> output:T", since=18, attrs=ScatterND, shapes=_scatter_nd_shapes,
    reference=_scatter_nd, accuracy=SUMS,
)  # fmt: skip


# ---- TensorScatter --------------------------------------------------------------------------------------------------


class TensorScatter(Attrs):
    axis = Int(-2)
    mode = Str("linear", choices=("linear", "circular"))


def _tensor_scatter_shapes(attrs: TensorScatter, types: Types, values: Values) -> list[Shape]:
    shape, update = shape_of(types), shape_of(types, 1)
    axis = axis_of(attrs.axis, len(shape))
    if axis == 0:
        raise GraphError("axis must not be 0, the batch axis")
    without = (*shape[:axis], *shape[axis + 1 :])
    _same_sizes(without, (*update[:axis], *update[axis + 1 :]), f"shapes but for axis {axis}")
    if has(types, 2):
        (count,) = require_rank(types, 2, 1, "write_indices")
        equal_size(shape[0], count, "the batch size and the length of write_indices")
    return [shape]


def _tensor_scatter(attrs: TensorScatter, cache: Array, update: Array, write_indices: Array | None = None) -> Array:
    axis = axis_of(attrs.axis, cache.ndim)
    size, length = cache.shape[axis], update.shape[axis]
    first = np.zeros(cache.shape[0], np.int64) if write_indices is None else write_indices
    if length > size or (first < 0).any() or (attrs.mode == "linear" and (first + length > size).any()):
        raise DataError(
            f"write_indices must leave room for {length} of {size} positions on axis {axis}, got {first.tolist()}"
        )
    place = first[:, None] + np.arange(length)
    if attrs.mode == "circular":
        place %= size
    result = cache.copy()
    # [batch, sequence, ...] views
    np.moveaxis(result, axis, 1)[np.arange(cache.shape[0])[:, None], place] = np.moveaxis(update, axis, 1)
    return result


define(
    "TensorScatter", "past_cache:T update:T write_indices:int64? -> present_cache:T", since=24, attrs=TensorScatter,
    shapes=_tensor_scatter_shapes, reference=_tensor_scatter,
)  # fmt: skip


# ---- Compress -------------------------------------------------------------------------------------------------------


class Compress(Attrs):
    """axis: along which to select; without it, from the flattened input."""

    axis = OptionalInt()


def _compress_shapes(attrs: Compress, types: Types, values: Values) -> list[Shape]:
    shape: list[Any] = list(shape_of(types))
    require_rank(types, 1, 1, "condition")
    condition = contents(values, 1)
    count = None if condition is None else sum(condition)
    if attrs.axis is None:
        return [[count]]
    shape[axis_of(attrs.axis, len(shape))] = count
    return [shape]


def _compress(attrs: Compress, x: Array, condition: Array) -> Array:
    source = x.reshape(-1) if attrs.axis is None else x
    axis = axis_of(attrs.axis or 0, source.ndim)
    if len(condition) > source.shape[axis]:
        raise DataError(f"condition must not be longer than {source.shape[axis]}, got {len(condition)}")
    return np.compress(condition, source, axis)


define(
    "Compress", "input:T condition:bool -> output:T", since=28, attrs=Compress, shapes=_compress_shapes,
    reference=_compress,
)  # fmt: skip


# ---- NonZero --------------------------------------------------------------------------------------------------------


def _non_zero_shapes(attrs: Attrs, types: Types, values: Values) -> list[Shape]:
    x = values[0]
    known = x is not None and x.dtype != object
    return [(len(shape_of(types)), int(np.count_nonzero(x)) if known else None)]  # type: ignore[arg-type]


define(
    "NonZero", "X:T -> Y:int64", since=13, shapes=_non_zero_shapes,
    reference=lambda attrs, x: np.argwhere(x).T.astype(np.int64),
)  # fmt: skip


# ---- OneHot ---------------------------------------------------------------------------------------------------------


class OneHot(Attrs):
    axis = Int(-1)


def _one_hot_shapes(attrs: OneHot, types: Types, values: Values) -> list[Shape]:
    shape = shape_of(types)
    axis = axis_of(attrs.axis, len(shape) + 1)
    known = contents(values, 1)
    if known is not None and len(known) != 1:
        raise GraphError(f"depth must be one number, got {known}")
    _same_sizes(require_rank(types, 2, 1, "values"), (2,), "the shape of values and [2]")
    depth = None if known is None else int(known[0]) if isinstance(known[0], float) else known[0]
    if isinstance(depth, int) and depth < 0:
        raise GraphError(f"depth must not be negative, got {depth}")
    return [(*shape[:axis], depth, *shape[axis:])]


def _one_hot(attrs: OneHot, indices: Array, depth: Array, values: Array) -> Any:
    axis, count = axis_of(attrs.axis, indices.ndim + 1), int(depth.reshape(-1)[0])
    index = np.expand_dims(indices.astype(np.int64), axis)
    classes = np.arange(count).reshape([-1 if i == axis else 1 for i in range(index.ndim)])
    return np.where((index == classes) | (index + count == classes), values[1], values[0])


define(
    "OneHot", "indices:T1 depth:T2 values:T3 -> output:T3", T1=NUMERIC, T2=NUMERIC, since=28, attrs=OneHot,
    shapes=_one_hot_shapes, reference=_one_hot, shape_inputs=(1,),
)  # fmt: skip
