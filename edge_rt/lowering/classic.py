"""What classic models end with: labels and probabilities of scores, and rows divided by their norm."""

from __future__ import annotations

from edge_rt.lowering._spec import BoundNode, In, KernelSpec, Lowered, Out, Table, lowers, parts_for
from edge_rt.ops.edge_trees import SECOND, TRANSFORMS
from edge_rt.types import DType

CLASSIFY = {
    t: KernelSpec(
        f"classify_{t.value}",
        f"scores:{p} labels:i64* label:i64* out:f32* rows:i64 columns:i64 transform:i64 second:i64 threshold:f32",
    )
    for t, p in ((DType.FLOAT32, "f32*"), (DType.FLOAT64, "i64*"))
}
"""label i64[rows] (or null) and probabilities f32[rows, classes] of scores [rows, columns]; f64 as the i64 with its bits.

transform: place in TRANSFORMS; second: place in SECOND, 0 where there is one score per class. See edge.Classify.
"""
NORMALIZER_F32 = KernelSpec("normalizer_f32", "x:f32* out:f32* rows:i64 size:i64 norm:i64", in_place=(("x", "out"),))
"""Rows of `size` numbers divided by their norm (place in NORMS); by 1 where that is 0."""
NORMS = ("MAX", "L1", "L2")
_EXPONENTIAL = 16
"""Work of a transformed number."""


@lowers("edge.Classify")
def classify(node: BoundNode) -> Lowered:
    attrs, (rows, columns) = node.attrs, node.type(0).static_shape
    return [
        CLASSIFY[node.type(0).dtype](
            scores=In(0), labels=Table(attrs.labels), label=Out(0) if node.used[0] else 0, out=Out(1), rows=rows,
            columns=columns, transform=TRANSFORMS.index(attrs.transform), second=SECOND.index(attrs.second),
            threshold=attrs.threshold, parts=parts_for(rows * columns * _EXPONENTIAL, max(rows, 1)),
        )
    ]  # fmt: skip


@lowers("ai.onnx.ml.Normalizer")
def normalizer(node: BoundNode) -> Lowered:
    x = node.type(0)
    if x.dtype is not DType.FLOAT32:
        return None
    size = x.static_shape[-1]
    rows = x.size // max(size, 1)
    return [
        NORMALIZER_F32(
            x=In(0), out=Out(0), rows=rows, size=size, norm=NORMS.index(node.attrs.norm),
            parts=parts_for(3 * x.size, max(rows, 1)), flops=3 * x.size,
        )
    ]  # fmt: skip
