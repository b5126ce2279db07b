"""Quantised tensors as passes read them: integers q that stand for (q - zero) * scale."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.types import DType
from exporter.passes._match import Array, contents, input_at, is_f32, produced_by, sole_user
from exporter.passes.fuse_epilogues import limits

BYTES = (DType.INT8, DType.UINT8)
LARGEST = 2.0**40
"""The largest scale, and one over the least scale of a result, with which products and ratios stay within float32."""


class Quantised(NamedTuple):
    """q with scale float32[1] or [n] and zero int32[1] or [n]; axis: along which there are n."""

    q: Value
    scale: Array
    zero: Array
    axis: int

    @property
    def is_bytes(self) -> bool:
        return self.q.type.dtype in BYTES

    @property
    def is_uniform(self) -> bool:
        """Whether q are bytes with one scale and one zero point."""
        return self.is_bytes and self.scale.size == 1

    def equals(self, other: Quantised | Rounding) -> bool:
        """Whether both stand for the same numbers where the integers are equal; both must be uniform."""
        return (
            self.q.type.dtype is other.q.type.dtype
            and bool(self.scale[0] == other.scale[0])
            and bool(self.zero[0] == other.zero[0])
        )


class Rounding(NamedTuple):
    """A QuantizeLinear at the end of a chain; q: its result; lo, hi: limits of q, in steps, that clamps before it set."""

    node: Node
    q: Value
    scale: Array
    zero: Array
    lo: float
    hi: float

    @property
    def dtype(self) -> DType:
        return self.q.type.dtype


def _factors(node: Node) -> tuple[Array, Array] | None:
    """Constant scale float32, finite and at most LARGEST, and zero point int32, flat and of one size."""
    scale, zero = contents(node.inputs[1]), contents(input_at(node, 2))
    if scale is None or scale.dtype != np.float32 or scale.ndim > 1 or (zero is None and input_at(node, 2) is not None):
        return None
    flat = scale.reshape(-1)
    if not (np.abs(flat) <= LARGEST).all():
        return None
    moved = np.zeros(flat.size, np.int32) if zero is None else zero.reshape(-1).astype(np.int32)
    return (flat, moved) if moved.size == flat.size else None


def quantised(value: Value | None) -> Quantised | None:
    """What is behind a float32 value that DequantizeLinear gives, with constant scales that are not of blocks."""
    node = produced_by(value, "DequantizeLinear")
    if node is None or node.attrs.block_size or value is None or not is_f32(value):
        return None
    factors = _factors(node)
    q = node.inputs[0]
    if factors is None or q is None or q.type.rank is None:
        return None
    return Quantised(q, *factors, node.attrs.axis % q.type.rank if q.type.rank else 0)


def rounding_of(node: Node) -> Rounding | None:
    """A QuantizeLinear from float32 to bytes with one constant scale and zero point."""
    if node.op.name != "QuantizeLinear" or not is_f32(node.inputs[0]) or node.output.type.dtype not in BYTES:
        return None
    if node.attrs.precision not in (None, DType.FLOAT32):
        return None
    factors = _factors(node)
    if factors is None or factors[0].size != 1 or not factors[0][0] >= 1 / LARGEST:
        return None
    return Rounding(node, node.output, *factors, -math.inf, math.inf)


def rounding_behind(graph: Graph, value: Value) -> Rounding | None:
    """The QuantizeLinear that is all the value is for, directly or behind Relu and Clip."""
    lo, hi = -math.inf, math.inf
    while True:
        user = sole_user(graph, value)
        if user is None or user.inputs[0] is not value:
            return None
        if user.op.name == "QuantizeLinear":
            found = rounding_of(user)
            return None if found is None else found._replace(lo=_step(lo, found), hi=_step(hi, found))
        clamp = limits(user)
        if clamp is None or user.output.type != value.type:
            return None
        lo, hi = (min(max(bound, clamp[0]), clamp[1]) for bound in (lo, hi))
        value = user.output


def _step(bound: float, rounding: Rounding) -> float:
    """A limit as an integer of q: rounding keeps the order, so that clamping may come after it."""
    with np.errstate(over="ignore"):
        return bound if math.isinf(bound) else float(np.rint(np.float32(bound) / rounding.scale[0])) + int(rounding.zero[0])


def dequantised(graph: Graph, q: Value, like: Quantised, before: Node) -> Value:
    """Real numbers of uniform q with the scale and zero point of `like`."""
    scale, zero = graph.constant(like.scale.reshape(()), f"{q.name}.scale"), zero_point(graph, like)
    made: Value = graph.add("DequantizeLinear", q, scale, zero, before=before)
    return made


def zero_point(graph: Graph, of: Quantised) -> Value | None:
    """The zero point of uniform numbers as a constant of their type; None for 0."""
    zero = int(of.zero[0])
    return graph.constant(np.array(zero, of.q.type.dtype.numpy), f"{of.q.name}.zero") if zero else None
