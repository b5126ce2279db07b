"""ArgMax and ArgMin: of rows, or of columns where numbers that lie together are kept."""

from __future__ import annotations

from edge_rt.lowering._layout import around
from edge_rt.lowering._spec import BoundNode, In, KernelSpec, Lowered, Out, lowers
from edge_rt.lowering.reduce import parts_of
from edge_rt.types import DType

ARG = {
    t: KernelSpec(f"arg_{n}", f"x:{n}* out:i64* outer:i64 size:i64 inner:i64 smallest:i64 last:i64")
    for t, n in {DType.FLOAT32: "f32", DType.INT32: "i32", DType.INT64: "i64"}.items()
}
"""Position along the middle axis of the largest (smallest) number, the last if `last`; NaN is beyond all numbers."""


@lowers("ArgMax", "ArgMin")
def arg(node: BoundNode) -> Lowered:
    spec = ARG.get(node.type(0).dtype)
    if spec is None:
        return None
    outer, size, inner = around(node.type(0).static_shape, node.attrs.axis)
    return [
        spec(
            x=In(0), out=Out(0), outer=outer, size=size, inner=inner, smallest=int(node.op.name == "ArgMin"),
            last=int(node.attrs.select_last_index), parts=parts_of(outer, size, inner, 4),
        )
    ]  # fmt: skip
