"""Weights of 8-bit products as panels and sums (see edge_int8.py): of matrices, by an operator, and of convolutions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt.dims import ceil_div
from edge_rt.errors import GraphError
from edge_rt.ops._panels import DEPTH, WIDTH, as_int8, pack_q_panels, row_depth, unpack_q_panels
from edge_rt.ops._rules import shape_of, shown
from edge_rt.ops._spec import Array, Types, Values, define
from edge_rt.ops.edge_gemm import PackPanelsAttrs
from edge_rt.types import BYTES

if TYPE_CHECKING:
    from edge_rt.ops.edge_int8 import QConvAttrs


def column_sums(b: Array, transposed: bool = False) -> Array:
    """Sums over K of b as panels store it: int32[..., N]. b as for pack_q_panels."""
    return np.asarray(as_int8(b).sum(axis=-1 if transposed else -2, dtype=np.int32))


def pack_q_conv(w: Array, group: int = 1) -> tuple[Array, Array]:
    """ONNX's weights [n, c/group, kh, kw] as panels int8[group, ceil(n/group/16), kh*ceil(kw*c/group/4), 16, 4] and sums
    int32[n]. Each kernel row is padded with zeros."""
    n, channels, kh, kw = w.shape
    deep = row_depth(kw, channels) * DEPTH
    rows = np.zeros((n, kh, deep), np.int8)
    rows[:, :, : kw * channels] = as_int8(w).transpose(0, 2, 3, 1).reshape(n, kh, kw * channels)
    rows = rows.reshape(group, n // group, kh * deep)
    return pack_q_panels(rows, True), column_sums(rows, True).reshape(-1)


def unpack_q_conv(panels: Array, attrs: QConvAttrs, channels: int) -> Array:
    """The weights int8[group, kh*kw*channels, n/group] behind the panels of a convolution; channels: of a group."""
    columns, (kh, kw) = attrs.n // attrs.group, attrs.kernel
    deep = row_depth(kw, channels) * DEPTH
    rows = unpack_q_panels(panels, kh * deep, columns).reshape(attrs.group, kh, deep, columns)
    return rows[:, :, : kw * channels].reshape(attrs.group, kh * kw * channels, columns)


def pack_q_depthwise(w: Array) -> tuple[Array, Array]:
    """ONNX's depthwise weights [c, 1, kh, kw] as int8[kh, kw, c] and their sums int32[c]."""
    taps_first = np.ascontiguousarray(as_int8(w)[:, 0].transpose(1, 2, 0))
    return taps_first, taps_first.sum(axis=(0, 1), dtype=np.int32)


def _pack_shapes(attrs: PackPanelsAttrs, types: Types, values: Values) -> Any:
    shape = shape_of(types)
    if len(shape) < 2:
        raise GraphError(f"b must have rank 2 or more, got {shown(shape)}")
    k, n = (shape[-1], shape[-2]) if attrs.transposed else shape[-2:]
    return [[*shape[:-2], ceil_div(n, WIDTH), ceil_div(k, DEPTH), WIDTH, DEPTH], [*shape[:-2], n]]


def _pack(attrs: PackPanelsAttrs, b: Array) -> tuple[Array, Array]:
    return pack_q_panels(b, attrs.transposed), column_sums(b, attrs.transposed)


PACK_Q_PANELS = define(
    "edge.PackQPanels", "b:B -> panels:int8 sums:int32", B=BYTES, attrs=PackPanelsAttrs,
    shapes=_pack_shapes, reference=_pack,
)  # fmt: skip
