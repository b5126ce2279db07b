"""Reading elements at indices."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Attrs, Int
from edge_rt.ops._rules import axis_of, check_indices, equal_size, moved, shape_of, shown
from edge_rt.ops._spec import Array, Shape, Types, Values, define
from edge_rt.types import Dim, DType

INDEX = frozenset({DType.INT32, DType.INT64})


class Gather(Attrs):
    axis = Int(0)


def _gather_shapes(attrs: Gather, types: Types, values: Values) -> list[Shape]:
    shape = shape_of(types)
    axis = axis_of(attrs.axis, len(shape))
    return [(*shape[:axis], *shape_of(types, 1), *shape[axis + 1 :])]


def _gather(attrs: Gather, x: Array, indices: Array) -> Any:
    axis = axis_of(attrs.axis, x.ndim)
    check_indices(indices, x.shape[axis], axis)
    return np.take(x, indices, axis)


define(
    "Gather", "data:T indices:I -> output:T", I=INDEX, since=13, attrs=Gather, shapes=_gather_shapes,
    reference=_gather, propagate=moved(_gather),
)  # fmt: skip


# ---- GatherElements -------------------------------------------------------------------------------------------------


def _gather_elements_shapes(attrs: Gather, types: Types, values: Values) -> list[Shape]:
    shape, indices = shape_of(types), shape_of(types, 1)
    check_inside(shape, indices, axis_of(attrs.axis, len(shape)))
    return [indices]


def check_inside(shape: tuple[Dim, ...], indices: tuple[Dim, ...], axis: int) -> None:
    """Raises GraphError unless `indices` has the rank of `shape`, and no larger size but for `axis`."""
    if len(shape) != len(indices) or any(
        isinstance(d, int) and isinstance(n, int) and n > d and i != axis
        for i, (d, n) in enumerate(zip(shape, indices))
    ):
        raise GraphError(f"indices must fit into data but for axis {axis}, got {shown(indices)} and {shown(shape)}")


def positions(indices: Array, axis: int) -> tuple[Array, ...]:
    """An index for each axis: `indices` along `axis`, and along the others the own position of each index."""
    grid = list(np.ogrid[tuple(slice(0, n) for n in indices.shape)])
    grid[axis] = indices
    return tuple(grid)


def _gather_elements(attrs: Gather, x: Array, indices: Array) -> Any:
    axis = axis_of(attrs.axis, x.ndim)
    check_indices(indices, x.shape[axis], axis)
    return x[positions(indices, axis)]


define(
    "GatherElements", "data:T indices:I -> output:T", I=INDEX, since=13, attrs=Gather, shapes=_gather_elements_shapes,
    reference=_gather_elements,
)  # fmt: skip


# ---- GatherND -------------------------------------------------------------------------------------------------------


class GatherND(Attrs):
    batch_dims = Int(0)


def _gather_nd_shapes(attrs: GatherND, types: Types, values: Values) -> list[Shape]:
    shape, indices, batch = shape_of(types), shape_of(types, 1), attrs.batch_dims
    if not 0 <= batch < min(len(shape), len(indices)):
        raise GraphError(f"batch_dims must be in [0, {min(len(shape), len(indices)) - 1}], got {batch}")
    depth = int(indices[-1])
    if not 1 <= depth <= len(shape) - batch:
        raise GraphError(f"indices must hold 1 to {len(shape) - batch} numbers each, got shape {shown(indices)}")
    common = [equal_size(shape[i], indices[i], f"sizes of axis {i}") for i in range(batch)]
    return [(*common, *indices[batch:-1], *shape[batch + depth :])]


def _gather_nd(attrs: GatherND, x: Array, indices: Array) -> Any:
    batch, depth = attrs.batch_dims, indices.shape[-1]
    for i in range(depth):
        check_indices(indices[..., i], x.shape[batch + i], batch + i)
    grid = np.ogrid[tuple(slice(0, n) for n in indices.shape[:-1])]
    return x[(*grid[:batch], *np.moveaxis(indices, -1, 0))]


define(
    "GatherND", "data:T indices:int64 -> output:T", since=13, attrs=GatherND, shapes=_gather_nd_shapes,
    reference=_gather_nd,
)  # fmt: skip
