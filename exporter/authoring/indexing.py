"""x[...]: numbers, slices, None, Ellipsis, integer tensors and one boolean mask, as Slice, Gather, Squeeze and Unsqueeze."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from edge_rt.types import DType
from exporter.authoring.dispatch import convert, convert_to_tensor
from exporter.authoring.ops import array
from exporter.authoring.tensor import Operand, Tensor


def getitem(x: Operand, key: Any) -> Tensor:
    """x[key], as NumPy understands it, with at most one tensor or list of indices. Raises AuthoringError for other keys."""
    keys = _expanded(x, key if isinstance(key, tuple) else (key,))
    result = convert_to_tensor(x)
    if sum(isinstance(k, (Operand, np.ndarray, list)) and convert(k).ndim != 0 for k in keys) > 1:
        raise AuthoringError("indexing with several tensors: use ex.gather_nd")
    axis = 0
    for k in keys:
        if k is None:
            result = array.expand_dims(result, axis)
            axis += 1
        elif isinstance(k, slice):
            result = _sliced(result, axis, k)
            axis += 1
        else:
            result, added = _looked_up(result, axis, k)
            axis += added
    return result


def _expanded(x: Operand, keys: tuple[Any, ...]) -> list[Any]:
    """The keys with the Ellipsis spelled out."""
    places = [i for i, k in enumerate(keys) if k is Ellipsis]
    if len(places) > 1:
        raise AuthoringError("an index may hold only one Ellipsis")
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if x.ndim is None:
        if places:
            raise AuthoringError(f"an Ellipsis needs a tensor whose rank is known, got {x.type}")
        return list(keys)
    if used > x.ndim:
        raise AuthoringError(f"{used} indices for {x.type}")
    if places:
        return [*keys[: places[0]], *[slice(None)] * (x.ndim - used), *keys[places[0] + 1 :]]
    return list(keys)


def _sliced(x: Tensor, axis: int, key: slice) -> Tensor:
    step = 1 if key.step is None else int(key.step)
    if key.start is None and key.stop is None and step == 1:
        return x
    start = (0 if step > 0 else (1 << 62)) if key.start is None else key.start
    return array.slice_axis(x, axis, start, key.stop, step)


def _looked_up(x: Tensor, axis: int, key: Any) -> tuple[Tensor, int]:
    """The slices at a number or at a tensor of numbers, and how many axes these have."""
    if isinstance(key, (bool, np.bool_, float)):
        raise AuthoringError(f"an index must be an integer, a slice, None, ... or a tensor, got {key!r}")
    indices = convert(np.int64(key) if isinstance(key, int) else key)
    if indices.type.dtype is DType.BOOL:
        if indices.ndim != 1:
            raise AuthoringError(f"a mask must have one axis, got {indices.type}")
        return array.boolean_mask(x, indices, axis), 1
    if not indices.type.dtype.is_integer:
        raise AuthoringError(f"an index must be an integer, a slice, None, ... or a tensor, got {indices.type}")
    if indices.type.dtype not in (DType.INT32, DType.INT64):
        from exporter.authoring.ops.math import cast

        indices = cast(indices, DType.INT64)
    rank = indices.ndim
    if rank is None:
        raise AuthoringError("a tensor of indices must have a known rank")
    return array.gather(x, indices, axis), rank
