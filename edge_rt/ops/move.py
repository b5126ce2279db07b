"""Operators that put the elements of tensors into another order: Transpose, Concat, Split, Slice, Tile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.dims import ceil_div, is_nonnegative, maximum, minimum
from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Int, OptionalInts
from edge_rt.ops._rules import (
    at_least_zero,
    axes_of,
    axis_of,
    equal_size,
    has,
    length_of,
    moved,
    settled,
    shape_of,
    shown,
    type_of,
    vector,
)
from edge_rt.ops._spec import Array, Shape, Types, Values, define
from edge_rt.types import Dim, DType

INDEX = frozenset({DType.INT32, DType.INT64})

# ---- Transpose ------------------------------------------------------------------------------------------------------


class Transpose(Attrs):
    """perm: axis of the input that each axis of the output is; reversed by default."""

    perm = OptionalInts()


def _transpose_shapes(attrs: Transpose, types: Types, values: Values) -> list[Shape]:
    shape = shape_of(types)
    if attrs.perm is None:
        return [shape[::-1]]
    if sorted(attrs.perm) != list(range(len(shape))):
        raise GraphError(f"perm must be a permutation of the {len(shape)} axes, got {attrs.perm}")
    return [[shape[axis] for axis in attrs.perm]]


def _transpose(attrs: Transpose, x: Array) -> Array:
    return np.transpose(x, attrs.perm)


define(
    "Transpose", "data:T -> transposed:T", since=25, attrs=Transpose, shapes=_transpose_shapes,
    reference=_transpose, propagate=moved(_transpose),
)  # fmt: skip


# ---- Concat ---------------------------------------------------------------------------------------------------------


class Concat(Attrs):
    axis = Int()


def _concat_shapes(attrs: Concat, types: Types, values: Values) -> list[Shape]:
    result = list(shape_of(types))
    axis = axis_of(attrs.axis, len(result))
    for i in range(1, len(types)):
        shape = shape_of(types, i)
        if len(shape) != len(result):
            raise GraphError(f"ranks must be equal, got shapes {shown(shape_of(types))} and {shown(shape)}")
        for a, d in enumerate(shape):
            if a == axis:
                result[a] = result[a] + d
            elif d is not result[a]:
                result[a] = equal_size(result[a], d, f"sizes of axis {a}")
    return [result]


def _concat(attrs: Concat, *inputs: Array) -> Array:
    return np.concatenate(inputs, attrs.axis)


define(
    "Concat", "inputs:T more:T* -> concat_result:T", since=13, attrs=Concat, shapes=_concat_shapes,
    reference=_concat, propagate=moved(_concat, None),
)  # fmt: skip


# ---- Split ----------------------------------------------------------------------------------------------------------


MAX_OUTPUTS = 1 << 16


class Split(Attrs):
    """num_outputs: how many outputs there are, also where the input `split` gives their sizes."""

    axis = Int(0)
    num_outputs = Int()


def _split_dtypes(attrs: Split, given: Sequence[DType | None]) -> list[DType]:
    dtype = given[0]
    assert dtype is not None
    if not 1 <= attrs.num_outputs <= MAX_OUTPUTS:
        raise GraphError(f"num_outputs must be 1 to {MAX_OUTPUTS}, got {attrs.num_outputs}")
    return [dtype] * attrs.num_outputs


def equal_parts(size: Dim, count: int) -> list[Dim]:
    """Sizes of `count` parts of an axis, all ceil(size / count) but for the last ones."""
    part = ceil_div(size, count)
    if part * count == size:
        return [part] * count
    return [at_least_zero(minimum(part, size - i * part)) for i in range(count)]


def _split_shapes(attrs: Split, types: Types, values: Values) -> list[Shape]:
    shape = shape_of(types)
    axis, count = axis_of(attrs.axis, len(shape)), attrs.num_outputs
    sizes: Sequence[Any]
    if has(types, 1):
        sizes = vector(types, values, 1, "split") or [None] * count
        if len(sizes) != count:
            raise GraphError(f"split must give the sizes of {count} outputs, got {shown(sizes)}")
        if None not in sizes:
            if any(isinstance(d, int) and d < 0 for d in sizes):
                raise GraphError(f"split must not be negative, got {shown(sizes)}")
            equal_size(sum(sizes), shape[axis], f"the sum of split and the size of axis {axis}")
    else:
        sizes = equal_parts(shape[axis], count)
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


def _split(attrs: Split, x: Array, split: Array | None = None) -> list[Array]:
    axis = axis_of(attrs.axis, x.ndim)
    sizes: list[Any] = equal_parts(x.shape[axis], attrs.num_outputs) if split is None else split.tolist()
    return np.split(x, np.cumsum(sizes[:-1], dtype=np.int64), axis)


def _split_contents(attrs: Split, types: Types, values: Values) -> list[Array | None]:
    if values[0] is None or (has(types, 1) and (values[1] is None or values[1].dtype == object)):
        return [None] * attrs.num_outputs
    return [settled(part, type_of(types).dtype) for part in _split(attrs, *values)]  # type: ignore[arg-type]


define(
    "Split", "input:T split:int64? -> outputs:T*", since=18, attrs=Split, dtypes=_split_dtypes, shapes=_split_shapes,
    reference=_split, shape_inputs=(1,), propagate=_split_contents,
)  # fmt: skip


# ---- Slice ----------------------------------------------------------------------------------------------------------


def sliced(size: Dim, start: Dim, end: Dim, step: Dim) -> tuple[Dim, Dim] | None:
    """(first, length) of a slice of an axis, clamped as ONNX does it; None where a sign is not known yet.

    first is inside the axis where length is not 0.
    """
    if not isinstance(step, int):
        return None
    if step == 0:
        raise GraphError("steps must not be 0")
    first, last = _from_front(start, size), _from_front(end, size)
    if first is None or last is None:
        return None
    if step > 0:
        first, last = maximum(first, 0), _at_most(last, size)
    else:
        first, last = maximum(_at_most(first, size - 1), 0), maximum(last, -1)
        first = minimum(first, size - 1)
    return first, at_least_zero(ceil_div(last - first, step))


def _from_front(bound: Dim, size: Dim) -> Dim | None:
    """A bound counted from the front; None where its sign is not known yet."""
    if isinstance(bound, int):
        return bound + size if bound < 0 else bound
    return bound if is_nonnegative(bound) else None


def _at_most(bound: Dim, limit: Dim) -> Dim:
    """min(bound, limit), where a huge bound means "to the end"."""
    to_the_end = isinstance(bound, int) and bound >= 1 << 31 and not isinstance(limit, int)
    return limit if to_the_end else minimum(bound, limit)


def _slice_shapes(attrs: Attrs, types: Types, values: Values) -> list[Shape]:
    shape: list[Dim | None] = list(shape_of(types))
    starts, ends = vector(types, values, 1, "starts"), vector(types, values, 2, "ends")
    count = length_of(types, 1, "starts")
    axes: list[Any] | None = None
    if has(types, 3):
        axes = vector(types, values, 3, "axes")
    elif count is not None:
        axes = list(range(count))
    if axes is None:
        return [[None] * len(shape)]
    steps = vector(types, values, 4, "steps") if has(types, 4) else [1] * len(axes)
    for i, axis in enumerate(axes_of(axes, len(shape))):
        found = None
        if starts is not None and ends is not None and steps is not None:
            if not len(starts) == len(ends) == len(steps) == len(axes):
                raise GraphError(
                    "starts, ends, axes and steps must be equally long, "
                    f"got {len(starts)}, {len(ends)}, {len(axes)} and {len(steps)}"
                )
            found = sliced(shape[axis], starts[i], ends[i], steps[i])  # type: ignore[arg-type]
        shape[axis] = None if found is None else found[1]
    return [shape]


def _slice(
    attrs: Attrs, x: Array, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None
) -> Array:
    index = [slice(None)] * x.ndim
    where = range(len(starts)) if axes is None else axes.tolist()
    every = [1] * len(starts) if steps is None else steps.tolist()
    for axis, start, end, step in zip(where, starts.tolist(), ends.tolist(), every):
        found = sliced(x.shape[axis], start, end, step)
        assert found is not None
        first, length = found
        # a slice that goes back past the first element needs None as its end
        last: Any = first + length * step
        index[axis] = slice(first, last if last >= 0 else None, step) if length else slice(0, 0)
    return x[tuple(index)]


define(
    "Slice", "data:T starts:I ends:I axes:I? steps:I? -> output:T", I=INDEX, since=13, shapes=_slice_shapes,
    reference=_slice, shape_inputs=(1, 2, 3, 4), propagate=moved(_slice),
)  # fmt: skip


# ---- Tile -----------------------------------------------------------------------------------------------------------


def _tile_shapes(attrs: Attrs, types: Types, values: Values) -> list[Shape]:
    shape, repeats = shape_of(types), vector(types, values, 1, "repeats")
    if repeats is None:
        return [[None] * len(shape)]
    if len(repeats) != len(shape) or any(isinstance(r, int) and r < 0 for r in repeats):
        raise GraphError(f"repeats must be {len(shape)} numbers of at least 0, got {shown(repeats)}")
    return [[d * r for d, r in zip(shape, repeats)]]


def _tile(attrs: Attrs, x: Array, repeats: Array) -> Array:
    sizes = [d * r for d, r in zip(x.shape, repeats.tolist())]
    # where another axis becomes empty, np.tile would first repeat along the ones before it
    return np.tile(x, repeats.tolist()) if 0 not in sizes else np.zeros(sizes, x.dtype)


define(
    "Tile", "input:T repeats:int64 -> output:T", since=13, shapes=_tile_shapes, reference=_tile, shape_inputs=(1,),
    propagate=moved(_tile),
)  # fmt: skip
