"""Elementwise arithmetic, means and tables of 8-bit numbers. Kernels see all of them as unsigned: int8 is read with its
sign bit flipped, which adds 128 to it and to its zero point."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_rt.lowering._layout import MAX_DIMS, broadcast_strides, front_padded, merge
from edge_rt.lowering._spec import BoundNode, Call, In, KernelSpec, Lowered, Out, Table, lowers, parts_for
from edge_rt.ops.edge_quantized import RoundedAttrs, limits
from edge_rt.types import DType

_OPERANDS = "a:u8* b:u8* p:u8* q:u8* y:u8* table:i64* n:i64 "
_ROUNDED = " y_flip:i64 y_zero:f32 lo:f32 hi:f32"
_IN_PLACE = (("a", "y"), ("b", "y"))
ADD_Q = KernelSpec(
    "quantized_add", _OPERANDS + "a_flip:i64 a_zero:f32 a_scale:f32 b_flip:i64 b_zero:f32 b_scale:f32" + _ROUNDED, _IN_PLACE
)
"""y = clamp(round((a - a_zero) * a_scale + (b - b_zero) * b_scale) + y_zero), where bits `flip` (0 or 128) are flipped.

a and b are as large as y and may be the very same; p and q broadcast. table: 1 where the first operand is p, 1 where the
second is q, MAX_DIMS dims, strides of p and of q. Zero points and limits are those of the flipped numbers.
"""
MUL_Q = KernelSpec(
    "quantized_mul", _OPERANDS + "a_flip:i64 a_zero:f32 scale:f32 b_flip:i64 b_zero:f32" + _ROUNDED, _IN_PLACE
)
"""y = clamp(round((a - a_zero) * (b - b_zero) * scale) + y_zero), otherwise as ADD_Q."""
MEAN_Q = KernelSpec(
    "quantized_mean", "x:u8* y:u8* images:i64 pixels:i64 channels:i64 flip:i64 zero:i64 scale:f32" + _ROUNDED
)
"""y [images, channels] = clamp(round((sum of x [images, pixels, channels] - pixels * zero) * scale) + y_zero)."""
LOOKUP_U8 = KernelSpec("lookup_u8", "x:u8* table:u8* y:u8* n:i64", (("x", "y"),))
"""y[i] = table[x[i]]."""
BLOCK = 1024
"""Elements that operands which broadcast are read into a buffer for."""
CHANNELS = 64
"""Channels that a share of the work of a mean covers at least."""


def _flip(dtype: DType) -> int:
    return 128 if dtype is DType.INT8 else 0


def _rounded(attrs: RoundedAttrs) -> dict[str, Any]:
    flip, (lo, hi) = _flip(attrs.output), limits(attrs)
    return {"y_flip": flip, "y_zero": float(attrs.y_zero + flip), "lo": float(lo + flip), "hi": float(hi + flip)}


def _binary(node: BoundNode, spec: KernelSpec, **factors: Any) -> list[Call] | None:
    attrs: Any = node.attrs
    shape = node.outputs[0].static_shape
    n = math.prod(shape)
    shapes = [node.type(i).static_shape for i in range(2)]
    repeats = [math.prod(s) != n for s in shapes]
    dims, strides = merge(shape, *(broadcast_strides(s, shape) for s in shapes))
    if len(dims) > MAX_DIMS:
        return None
    table = [*repeats, *front_padded(dims, MAX_DIMS, 1), *(v for s in strides for v in front_padded(s, MAX_DIMS, 0))]
    flips = [_flip(node.type(i).dtype) for i in range(2)]
    return [
        spec(
            a=0 if repeats[0] else In(0), b=0 if repeats[1] else In(1), p=In(0) if repeats[0] else 0,
            q=In(1) if repeats[1] else 0, y=Out(0), table=Table(table), n=n, a_flip=flips[0], b_flip=flips[1],
            a_zero=float(attrs.a_zero + flips[0]), b_zero=float(attrs.b_zero + flips[1]), **factors, **_rounded(attrs),
            parts=parts_for(4 * n, -(-n // BLOCK)), flops=2 * n,
        )
    ]  # fmt: skip


@lowers("edge.QAdd")
def add(node: BoundNode) -> Lowered:
    return _binary(node, ADD_Q, a_scale=node.attrs.a_scale, b_scale=node.attrs.b_scale)


@lowers("edge.QMul")
def mul(node: BoundNode) -> Lowered:
    return _binary(node, MUL_Q, scale=node.attrs.scale)


@lowers("edge.QMean")
def mean(node: BoundNode) -> Lowered:
    n, h, w, c = node.type(0).static_shape
    attrs, flip = node.attrs, _flip(node.type(0).dtype)
    scale = float(np.float32(attrs.scale) / np.float32(max(h * w, 1)))
    return [
        MEAN_Q(
            x=In(0), y=Out(0), images=n, pixels=h * w, channels=c, flip=flip, zero=attrs.x_zero + flip, scale=scale,
            **_rounded(attrs), parts=parts_for(n * h * w * c // 4, n * -(-c // CHANNELS)), flops=n * h * w * c,
        )
    ]  # fmt: skip


@lowers("edge.Lookup")
def lookup(node: BoundNode) -> Lowered:
    n = node.type(0).size
    return [LOOKUP_U8(x=In(0), table=In(1), y=Out(0), n=n, parts=parts_for(n, -(-n // BLOCK)))]
