"""Panels: how matrices [K, N] that stand on the right of a product are stored, 16 columns at a time.

    float32, float16   [ceil(N/16), K, 16]
    int8               [ceil(N/16), ceil(K/4), 16, 4]     four neighbours of k together
    int4, as uint8     [ceil(N/16), ceil(K/8), 16, 4]     eight neighbours: k = 2 i and 2 i + 1 in the low and high half
                                                          of byte i, in two's complement

All are zero padded. Integers q stand for float32((q - zero) * scale); scales and zero points have one row for each `block`
of k (one in all, for block 0), and are panels too: float32 and int8[ceil(N/16), rows, 16].
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.dims import ceil_div

Array = np.ndarray[Any, Any]
WIDTH = 16
"""Columns of a panel."""
DEPTH = 4
"""Neighbours of k that lie together in panels of int8."""
BLOCK_MULTIPLE = 16
"""What `block` is a multiple of."""


def pack_panels(b: Array, transposed: bool = False) -> Array:
    """b: T[..., K, N] (transposed: [..., N, K]) as panels T[..., ceil(N/16), K, 16]."""
    if transposed:
        b = b.swapaxes(-1, -2)
    *batch, k, n = b.shape
    count = -(-n // WIDTH)
    panels = np.zeros((*batch, count, k, WIDTH), b.dtype)
    whole = n // WIDTH
    if whole:
        columns = b[..., : whole * WIDTH].reshape(*batch, k, whole, WIDTH)
        panels[..., :whole, :, :] = columns.swapaxes(-2, -3)
    if whole < count:
        panels[..., whole, :, : n - whole * WIDTH] = b[..., whole * WIDTH :]
    return panels


def unpack_panels(panels: Array, n: int) -> Array:
    """The matrix T[..., K, n] behind panels T[..., ceil(n/16), K, 16]."""
    *batch, count, k, width = panels.shape
    return panels.swapaxes(-2, -3).reshape(*batch, k, count * width)[..., :n]


def as_int8(b: Array) -> Array:
    """b as panels store it: uint8 less 128."""
    return b if b.dtype == np.int8 else np.bitwise_xor(b, np.uint8(128)).view(np.int8)


def pack_q_panels(b: Array, transposed: bool = False) -> Array:
    """b: int8 or uint8 [..., K, N] (transposed: [..., N, K]) as panels int8[..., ceil(N/16), ceil(K/4), 16, 4]."""
    b = as_int8(b)
    if not transposed:
        b = b.swapaxes(-1, -2)
    return _in_groups(b, DEPTH)


def unpack_q_panels(panels: Array, k: int, n: int) -> Array:
    """The matrix int8[..., k, n] behind panels int8[..., ceil(n/16), ceil(k/4), 16, 4]."""
    *batch, count, deep, width, depth = panels.shape
    return panels.swapaxes(-3, -2).reshape(*batch, count * width, deep * depth)[..., :n, :k].swapaxes(-1, -2)


def row_depth(kernel_w: int, channels: Any) -> Any:
    """Groups of four in a kernel row of a convolution: each row starts a new one, so that it lies in x as in a panel."""
    return ceil_div(kernel_w * channels, DEPTH)


def pack_int4_panels(b: Array) -> Array:
    """b: int8[..., K, N] of -8 to 7 as panels uint8[..., ceil(N/16), ceil(K/8), 16, 4]."""
    halves = _in_groups(b.swapaxes(-1, -2), 2 * DEPTH).view(np.uint8) & 15
    return halves[..., ::2] | halves[..., 1::2] << 4


def unpack_int4_panels(panels: Array, k: int, n: int) -> Array:
    """The matrix int8[..., k, n] behind panels uint8[..., ceil(n/16), ceil(k/8), 16, 4]."""
    halves = np.stack([panels << 4, panels & 0xF0], -1).view(np.int8) >> 4
    return unpack_q_panels(halves.reshape(*panels.shape[:-1], 2 * DEPTH), k, n)


def decode_panels(panels: Array, k: int, n: int, scale: Array | None, zero: Array | None, block: int) -> Array:
    """The matrix [..., k, n] that panels of any kind stand for, in the dtype of `scale` where they are integers."""
    if scale is None:
        return unpack_panels(panels, n)
    unpack = unpack_q_panels if panels.dtype == np.int8 else unpack_int4_panels
    q = unpack(panels, k, n).astype(np.int16)
    if zero is not None:
        q -= _rows(zero, k, n, block)
    return np.asarray(q.astype(scale.dtype) * _rows(scale, k, n, block))


def _rows(parameter: Array, k: int, n: int, block: int) -> Array:
    """Scales or zero points so that they broadcast over a matrix [..., k, n]."""
    rows = unpack_panels(parameter, n)
    return np.repeat(rows, block, axis=-2)[..., :k, :] if block else rows


def _in_groups(columns: Array, depth: int) -> Array:
    """int8[..., N, K] as [..., ceil(N/16), ceil(K/depth), 16, depth]."""
    *batch, n, k = columns.shape
    count, deep = -(-n // WIDTH), -(-k // depth)
    whole = np.zeros((*batch, count * WIDTH, deep * depth), np.int8)
    whole[..., :n, :k] = columns
    return np.ascontiguousarray(whole.reshape(*batch, count, WIDTH, deep, depth).swapaxes(-3, -2))
