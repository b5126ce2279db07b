"""Operands of 8-bit products: panels of b, and bytes of a as the products' kernels read them."""

from __future__ import annotations

import math
from typing import Any

from edge_rt.lowering._spec import Arg, BoundNode, Call, In, KernelSpec, Lowered, Out, Table, lowers, parts_for
from edge_rt.lowering.gemm import ceil_div
from edge_rt.ops.edge_gemm import WIDTH
from edge_rt.ops.edge_int8 import DEPTH
from edge_rt.types import DType

PACK_INT8 = KernelSpec(
    "pack_panels_int8", "b:u8* panels:i8* sums:i32* batch:i64 k:i64 n:i64 transposed:i64 flip:i64"
)
"""b, [batch, k, n] or transposed [batch, n, k], as edge.PackQPanels gives it. flip: 128 for uint8, else 0."""

WINDOWS_INT8 = KernelSpec("windows_int8", "x:u8* zero:u8* y:u8* geometry:i64* flip:i64")
"""Bytes of x [n, h, w, c] as y [groups, n, rows, columns, pixel]: column i has what the taps of a kernel row see there,
`taps` times `channels` bytes (behind them anything), and *zero where they see padding. Each byte is xored with `flip`.

geometry: int64[15], n, h, w, c, groups, channels, rows, columns, pixel, taps, stride, dilation, top and left pad, and the
stride of rows: tap t of column i in row r sees x[..., r * row stride - top, i * stride + t * dilation - left, ...]. zero may
be null, for 0. Work is shared by rows of y.
"""

SLACK = 16
"""Bytes behind what WINDOWS_INT8 writes that products may read."""


class Bytes:
    """Whether bytes have the sign that a CPU multiplies with int8 directly: int8 on aarch64, uint8 on x86-64.

    flip: what turns them into those when xored.
    """

    __slots__ = ("flip", "is_native")

    def __init__(self, dtype: DType, arch: str) -> None:
        self.is_native = dtype is (DType.INT8 if arch == "aarch64" else DType.UINT8)
        self.flip = 0 if self.is_native else 128

    @staticmethod
    def of(node: BoundNode) -> Bytes:
        """Those of a node's first input."""
        return Bytes(node.type(0).dtype, node.arch)


def pack_call(
    b: Arg, panels: Arg, sums: Arg, dtype: DType, batch: int, k: int, n: int, transposed: bool, **more: Any
) -> Call:
    return PACK_INT8(
        b=b, panels=panels, sums=sums, batch=batch, k=k, n=n, transposed=int(transposed),
        flip=0 if dtype is DType.INT8 else 128, parts=parts_for(batch * k * n // 2, batch * ceil_div(n, WIDTH)), **more,
    )  # fmt: skip


def panel_bytes(batch: int, k: int, n: int) -> int:
    return batch * ceil_div(n, WIDTH) * ceil_div(k, DEPTH) * WIDTH * DEPTH


def windows_call(x: Arg, zero: Arg, y: Arg, sign: Bytes, geometry: list[int], **more: Any) -> Call:
    lines, size = geometry[0] * geometry[4] * geometry[6], geometry[7] * geometry[8]
    return WINDOWS_INT8(
        x=x, zero=zero, y=y, geometry=Table(geometry), flip=sign.flip,
        parts=parts_for(lines * size // 8, lines), **more,
    )  # fmt: skip


def rows_call(x: Arg, y: Arg, sign: Bytes, m: int, k: int, **more: Any) -> Call:
    """Rows x [m, k] with k padded to a multiple of DEPTH."""
    pixel = ceil_div(k, DEPTH) * DEPTH
    if pixel == k:  # longer rows, where they can be had
        joined = next(f for f in range(min(m, max(1, 8192 // max(k, 1))), 0, -1) if m % f == 0)
        m, k, pixel = m // joined, k * joined, k * joined
    return windows_call(x, 0, y, sign, [1, m, 1, k, 1, k, m, 1, pixel, 1, 1, 1, 0, 0, 1], **more)


@lowers("edge.PackQPanels")
def pack_q_panels(node: BoundNode) -> Lowered:
    shape = node.type(0).static_shape
    k, n = shape[-2:] if not node.attrs.transposed else shape[-1:-3:-1]
    batch = math.prod(shape[:-2])
    if not batch * n:
        return []
    return [pack_call(In(0), Out(0), Out(1), node.type(0).dtype, batch, k, n, node.attrs.transposed)]
