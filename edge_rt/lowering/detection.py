"""Selection of boxes."""

from __future__ import annotations

from edge_rt.lowering._spec import BoundNode, In, KernelSpec, Lowered, Out, Scratch, lowers

SELECT_BOXES_F32 = KernelSpec(
    "select_boxes_f32",
    "boxes:f32* scores:f32* iou:f32* threshold:f32* selected:i64* count:i64* corners:f32* keys:i64* "
    "batch:i64 classes:i64 n:i64 limit:i64 center:i64",
)
"""selected: rows of (image, class, box), `count` of them, then zeros up to batch * classes * limit rows. corners: 5 n
numbers, keys: 2 n. n is below 2**32. iou and threshold: one number each, or null."""


@lowers("edge.SelectBoxes")
def select_boxes(node: BoundNode) -> Lowered:
    batch, classes, n = node.type(1).static_shape
    rows = node.outputs[0].static_shape[0]
    limit = rows // (batch * classes) if rows else 0
    for position in (3, 4):
        if node.has(position) and node.type(position).size != 1:
            return None
    return [
        SELECT_BOXES_F32(
            boxes=In(0), scores=In(1), iou=node.optional(3), threshold=node.optional(4), selected=Out(0), count=Out(1),
            corners=Scratch(0), keys=Scratch(1), batch=batch, classes=classes, n=n, limit=limit,
            center=int(node.attrs.center_point_box), scratch=[20 * n + 4, 16 * n + 8],
        )
    ]  # fmt: skip
