"""Softmax and LogSoftmax over any axis."""

from __future__ import annotations

from edge_rt.lowering._layout import around
from edge_rt.lowering._spec import BoundNode, In, KernelSpec, Lowered, Out, lowers, parts_for
from edge_rt.lowering.reduce import COLUMNS
from edge_rt.types import DType

SOFTMAX_F32 = KernelSpec(
    "softmax_f32", "x:f32* out:f32* outer:i64 size:i64 inner:i64 logarithm:i64", in_place=(("x", "out"),)
)
"""Softmax of x[outer, size, inner] over its middle axis, or its logarithm."""


@lowers("Softmax", "LogSoftmax")
def softmax(node: BoundNode) -> Lowered:
    if node.type(0).dtype is not DType.FLOAT32:
        return None
    outer, size, inner = around(node.type(0).static_shape or (1,), node.attrs.axis)
    work = 5 * outer * size * inner
    parts = parts_for(work, outer if inner == 1 else outer * -(-inner // COLUMNS))
    logarithm = int(node.op.name == "LogSoftmax")
    return [
        SOFTMAX_F32(
            x=In(0), out=Out(0), outer=outer, size=size, inner=inner, logarithm=logarithm, parts=parts, flops=4 * work
        )
    ]
