"""Shapes as kernels see them: dense strides, broadcasting, fewer dimensions."""

from __future__ import annotations

import math
from collections.abc import Sequence

MAX_DIMS = 6
"""Dimensions that strided kernels walk over, after merging."""


def ceil_div(a: int, b: int) -> int:
    """a / b, rounded up."""
    return -(-a // b)


def dense_strides(shape: Sequence[int]) -> list[int]:
    """Strides in elements of a C-ordered tensor."""
    strides = [1] * len(shape)
    for i in range(len(shape) - 2, -1, -1):
        strides[i] = strides[i + 1] * shape[i + 1]
    return strides


def broadcast_strides(shape: Sequence[int], target: Sequence[int]) -> list[int]:
    """Strides with which a dense tensor of `shape` is read as one of `target`: 0 where it repeats."""
    skip = len(target) - len(shape)
    strides = dense_strides(shape)
    return [0] * skip + [0 if d == 1 else s for d, s in zip(shape, strides)]


def merge(dims: Sequence[int], *strides: Sequence[int]) -> tuple[list[int], list[list[int]]]:
    """Fewer dimensions with the same walk: those of size 1 go, neighbours that every operand steps through alike join.

    dims: sizes; strides: for each operand its strides. At least one dimension is left.
    """
    merged: list[int] = []
    kept: list[list[int]] = [[] for _ in strides]
    for i, d in enumerate(dims):
        if d == 1:
            continue
        if merged and all(k[-1] == s[i] * d for k, s in zip(kept, strides)):
            merged[-1] *= d
            for k, s in zip(kept, strides):
                k[-1] = s[i]
        else:
            merged.append(d)
            for k, s in zip(kept, strides):
                k.append(s[i])
    if not merged:
        return [1], [[1] for _ in strides]
    return merged, kept


def around(shape: Sequence[int], axis: int) -> tuple[int, int, int]:
    """The shape as (outer, size of the axis, inner)."""
    axis %= max(len(shape), 1)
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def front_padded(values: Sequence[int], count: int, fill: int) -> list[int]:
    """values, with `fill` in front up to `count`."""
    return [fill] * (count - len(values)) + list(values)
