"""The larger and the smaller of two numbers; NaN if either is."""

from __future__ import annotations

from edge_rt.kernels.simd import select


def larger(x, y):
    """max(x, y); NaN if either is."""
    return select((x > y) | ~(x == x), x, y)


def smaller(x, y):
    """min(x, y); NaN if either is."""
    return select((x < y) | ~(x == x), x, y)
