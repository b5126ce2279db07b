"""Tensors made, reshaped, joined, cut and looked up in. Sizes are int64 throughout, as in the op table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.dims import is_known
from edge_rt.errors import AuthoringError
from edge_rt.types import DType
from exporter.authoring.dispatch import apply, constant, convert, pair
from exporter.authoring.tensor import Operand, Tensor, as_dtype

# ---- sizes ----------------------------------------------------------------------------------------------------------


def shape(x: Any, name: str | None = None) -> Tensor:
    """The shape as a tensor int64[rank]; `x.shape` is the shape as far as it is known while tracing."""
    result: Tensor = apply("Shape", x, name=name)
    return result


def size(x: Any) -> Tensor:
    """The number of elements, int64."""
    result: Tensor = apply("Size", x)
    return result


def rank(x: Any) -> Tensor:
    """The number of axes, int64."""
    return size(shape(x))


def _sizes(sizes: Any) -> Operand:
    """A shape given as a tensor or as numbers and scalar tensors, as int64[n]."""
    if isinstance(sizes, Operand):
        from exporter.authoring.ops.math import cast

        return cast(sizes, DType.INT64)
    if isinstance(sizes, (int, np.integer)):
        sizes = [sizes]
    if not any(isinstance(s, Operand) for s in sizes):
        return constant(np.array([int(s) for s in sizes], np.int64))
    from exporter.authoring.ops.math import cast

    parts = [reshape(cast(s, DType.INT64), [1]) if isinstance(s, Operand) else np.array([s], np.int64) for s in sizes]
    return concat(parts, 0)


# ---- making ---------------------------------------------------------------------------------------------------------


def fill(dims: Any, value: Any, dtype: Any = None) -> Tensor:
    """A tensor of the given shape, all elements `value` (a Python or NumPy number)."""
    element = convert(value, dtype=None if dtype is None else as_dtype(dtype)).numpy().reshape(1)
    result: Tensor = apply("ConstantOfShape", _sizes(dims), value=element)
    return result


def zeros(shape: Any, dtype: Any = "float32") -> Tensor:
    """Zeros of the given shape, which may hold scalar tensors."""
    return fill(shape, np.zeros((), as_dtype(dtype).numpy))


def ones(shape: Any, dtype: Any = "float32") -> Tensor:
    """Ones of the given shape, which may hold scalar tensors."""
    return fill(shape, np.ones((), as_dtype(dtype).numpy))


def zeros_like(x: Any, dtype: Any = None) -> Tensor:
    """Zeros of the shape, and by default the dtype, of x."""
    x = convert(x)
    return zeros(_shape_of(x), dtype or x.type.dtype)


def ones_like(x: Any, dtype: Any = None) -> Tensor:
    """Ones of the shape, and by default the dtype, of x."""
    x = convert(x)
    return ones(_shape_of(x), dtype or x.type.dtype)


def _shape_of(x: Operand) -> Any:
    """Sizes of x: numbers where all are known, else a tensor."""
    return x.shape if x.type.is_static else shape(x)


def eye(rows: int, columns: int | None = None, dtype: Any = "float32") -> Tensor:
    """Ones on the diagonal, zeros elsewhere."""
    return constant(np.eye(rows, columns, dtype=as_dtype(dtype).numpy))


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None) -> Tensor:
    """Numbers from start (0, if only one is given) to before limit, in steps of delta."""
    if limit is None:
        start, limit = 0, start
    known = [v.type.dtype for v in (start, limit, delta) if isinstance(v, Operand)]
    wanted = as_dtype(dtype) if dtype is not None else known[0] if known else None
    if wanted is None:
        wanted = DType.FLOAT32 if any(isinstance(v, float) for v in (start, limit, delta)) else DType.INT32
    result: Tensor = apply("Range", *(convert(v, wanted, wanted) for v in (start, limit, delta)))
    return result


def one_hot(indices: Any, depth: int, on_value: Any = 1.0, off_value: Any = 0.0, axis: int = -1) -> Tensor:
    """`on_value` where the index along the new axis is the one given, else `off_value`; also for indices out of range."""
    off, on = pair(off_value, on_value)
    from exporter.authoring.ops.math import equal

    indices = convert(indices)
    axis = axis if axis >= 0 else axis + indices.ndim + 1
    places = convert(np.arange(depth, dtype=indices.dtype))
    line = [1] * (indices.ndim + 1)
    line[axis] = depth
    return where(equal(expand_dims(indices, axis), reshape(places, line)), on, off)


# ---- form -----------------------------------------------------------------------------------------------------------


def identity(x: Any, name: str | None = None) -> Tensor:
    """x itself."""
    result: Tensor = apply("Identity", x, name=name)
    return result


def reshape(x: Any, shape: Any, name: str | None = None) -> Tensor:
    """x in another shape. shape: a tensor, or a list of numbers, scalar tensors, -1 once for what is left, and None for the
    size that x has on the same axis."""
    x = convert(x)
    has_zero = False
    if not isinstance(shape, Operand):
        shape = [shape] if isinstance(shape, (int, np.integer)) else list(shape)
        has_zero = any(isinstance(s, (int, np.integer)) and s == 0 for s in shape)
        shape = [_size_on(x, i, has_zero) if s is None else s for i, s in enumerate(shape)]
    result: Tensor = apply("Reshape", x, _sizes(shape), allowzero=has_zero, name=name)
    return result


def _size_on(x: Operand, axis: int, has_zero: bool) -> Any:
    """What stands in a Reshape for the size of x on an axis: 0, unless that means 0."""
    if x.shape is not None and axis >= len(x.shape):
        raise AuthoringError(f"reshape: None stands for the size on axis {axis}, which {x.type} does not have")
    if x.shape is not None and x.shape[axis] is not None:
        return x.shape[axis]
    return apply("Gather", shape(x), np.array(axis, np.int64)) if has_zero else 0


def transpose(x: Any, perm: Sequence[int] | None = None, name: str | None = None) -> Tensor:
    """x with its axes in the order `perm`, by default reversed."""
    result: Tensor = apply("Transpose", x, name=name, **({} if perm is None else {"perm": [int(p) for p in perm]}))
    return result


def expand_dims(x: Any, axis: int | Sequence[int]) -> Tensor:
    """x with new axes of size 1, counted in the result."""
    result: Tensor = apply("Unsqueeze", x, _axes(axis))
    return result


def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Tensor:
    """x without axes of size 1: those given, or all."""
    result: Tensor = apply("Squeeze", x, None if axis is None else _axes(axis))
    return result


def _axes(axis: int | Sequence[int]) -> Any:
    return np.array([axis] if isinstance(axis, int) else list(axis), np.int64)


def broadcast_to(x: Any, shape: Any) -> Tensor:
    """x repeated along axes of size 1, and new ones in front, to the given shape."""
    result: Tensor = apply("Expand", x, _sizes(shape))
    return result


def tile(x: Any, multiples: Any) -> Tensor:
    """x repeated as a whole, `multiples` times along each axis."""
    result: Tensor = apply("Tile", x, _sizes(multiples))
    return result


def repeat(x: Any, repeats: int, axis: int) -> Tensor:
    """x with each element along an axis repeated."""
    x = convert(x)
    axis = axis % x.ndim
    indices = np.repeat(np.arange(_known(x, axis, "repeat"), dtype=np.int64), repeats)
    return gather(x, indices, axis)


def _known(x: Operand, axis: int, what: str) -> int:
    found = None if x.type.shape is None else x.type.shape[axis]
    if found is None or not is_known(found):
        raise AuthoringError(f"{what}: the size on axis {axis} of {x.type} must be known")
    return int(found)


def pad(x: Any, paddings: Sequence[Sequence[int]], mode: str = "CONSTANT", constant_values: Any = 0) -> Tensor:
    """x with elements around it. paddings: (before, after) for each axis. mode: CONSTANT, REFLECT or EDGE."""
    x = convert(x)
    pads = np.array(paddings, np.int64).T.reshape(-1)
    value = convert(constant_values, x.type.dtype) if mode.upper() == "CONSTANT" else None
    result: Tensor = apply("Pad", x, pads, value, mode=mode.lower())
    return result


def reverse(x: Any, axis: int | Sequence[int]) -> Tensor:
    """x with the order along the given axes reversed."""
    axes = _axes(axis)
    ends = np.full(axes.shape, -(1 << 62), np.int64)
    result: Tensor = apply("Slice", x, np.full(axes.shape, -1, np.int64), ends, axes, np.full(axes.shape, -1, np.int64))
    return result


def slice_axis(x: Any, axis: int, start: Any = 0, stop: Any = None, step: int = 1) -> Tensor:
    """x[..., start:stop:step, ...] along one axis; start and stop may be scalar tensors, stop None for the end."""
    end = np.array([(1 << 62) if step > 0 else -(1 << 62)], np.int64) if stop is None else _sizes([stop])
    result: Tensor = apply("Slice", x, _sizes([start]), end, np.array([axis], np.int64), np.array([step], np.int64))
    return result


# ---- joining and cutting --------------------------------------------------------------------------------------------


def concat(values: Sequence[Any], axis: int, name: str | None = None) -> Tensor:
    """The tensors one after the other along an axis."""
    result: Tensor = apply("Concat", *_alike(values), axis=axis, name=name)
    return result


def stack(values: Sequence[Any], axis: int = 0, name: str | None = None) -> Tensor:
    """The tensors along a new axis."""
    return concat([expand_dims(v, axis) for v in _alike(values)], axis, name=name)


def unstack(x: Any, axis: int = 0, num: int | None = None) -> list[Tensor]:
    """The slices along an axis, whose size must be known or given."""
    x = convert(x)
    count = num if num is not None else _known(x, axis, "unstack")
    return [gather(x, i, axis) for i in _ints(count)]


def split(x: Any, num_or_sizes: int | Sequence[int], axis: int = 0) -> list[Tensor]:
    """Cuts x along an axis, into so many equal parts or into parts of the given sizes."""
    if isinstance(num_or_sizes, int):
        made = apply("Split", x, axis=axis, num_outputs=num_or_sizes)
    else:
        made = apply("Split", x, np.array(num_or_sizes, np.int64), axis=axis, num_outputs=len(num_or_sizes))
    return list(made) if isinstance(made, tuple) else [made]


def _alike(values: Sequence[Any]) -> list[Operand]:
    """Operands of one dtype: that of the first that has one."""
    typed = [v.type.dtype for v in values if isinstance(v, Operand)]
    return [convert(v, typed[0] if typed else None) for v in values]


def _ints(count: int) -> list[int]:
    return list(np.arange(count).tolist())


# ---- looking up -----------------------------------------------------------------------------------------------------


def gather(params: Any, indices: Any, axis: int = 0, name: str | None = None) -> Tensor:
    """Slices of `params` along an axis, at `indices` (int32 or int64, of any shape). Raises DataError out of range."""
    result: Tensor = apply("Gather", params, indices, axis=axis, name=name)
    return result


def gather_nd(params: Any, indices: Any, batch_dims: int = 0) -> Tensor:
    """Elements or slices of `params` at the places that the last axis of `indices` holds."""
    from exporter.authoring.ops.math import cast

    result: Tensor = apply("GatherND", params, cast(indices, DType.INT64), batch_dims=batch_dims)
    return result


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """x where the condition holds, else y. Without them the places int64[n, rank] where it holds."""
    if x is None and y is None:
        return transpose(apply("NonZero", condition))
    result: Tensor = apply("Where", condition, *pair(x, y), name=name)
    return result


def boolean_mask(x: Any, mask: Any, axis: int = 0) -> Tensor:
    """The slices of x along an axis at which the vector `mask` holds."""
    result: Tensor = apply("Compress", x, mask, axis=axis)
    return result


def top_k(x: Any, k: int = 1, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest elements along the last axis, and their places (int64)."""
    values, places = apply("TopK", x, np.array([k], np.int64), sorted=sorted)
    return values, places


def scatter_nd_update(x: Any, indices: Any, updates: Any) -> Tensor:
    """x with the elements or slices at `indices` replaced."""
    from exporter.authoring.ops.math import cast

    x = convert(x)
    result: Tensor = apply("ScatterND", x, cast(indices, DType.INT64), convert(updates, x.type.dtype))
    return result


def linear_band(x: Any, upper: bool, k: int = 0) -> Tensor:
    """The upper or lower triangle of the last two axes, from the k-th diagonal; zeros elsewhere."""
    result: Tensor = apply("Trilu", x, np.array(k, np.int64), upper=upper)
    return result
