"""Selection of boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.ops._attrs import Attrs, Bool
from edge_rt.ops._rules import equal_size, shape_of
from edge_rt.ops._spec import EXACT, Array, Types, Values, define
from edge_rt.ops._windows import check_rank, check_shape


class NonMaxSuppressionAttrs(Attrs):
    center_point_box = Bool(False)


def _nms_shapes(attrs: Any, types: Types, values: Values) -> Any:
    boxes, scores = shape_of(types, 0), shape_of(types, 1)
    check_rank("boxes", boxes, 3)
    check_rank("scores", scores, 3)
    check_shape("boxes", boxes, [scores[0], scores[2], 4])
    equal_size(boxes[1], scores[2], "number of boxes and of scores")
    return [[None, 3]]


def corners(boxes: Array, center_point: bool) -> Array:
    """f[n, 4] as low y, low x, high y, high x."""
    if center_point:
        x, y, width, height = boxes.T
        return np.stack([y - height / 2, x - width / 2, y + height / 2, x + width / 2], axis=1)
    return np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)


def suppress(boxes: Array, order: Array, limit: int, threshold: float) -> list[int]:
    """Indices kept of `order`: boxes that overlap no kept one by more than `threshold`. boxes: as from `corners`."""
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept: list[int] = []
    while len(order) and len(kept) < limit:
        best, rest = order[0], order[1:]
        kept.append(int(best))
        low, high = np.maximum(boxes[best, :2], boxes[rest, :2]), np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.maximum(high - low, 0).prod(axis=1)
        union = area[best] + area[rest] - shared
        # Boxes without area overlap nothing.
        overlap = np.where((area[best] > 0) & (area[rest] > 0), shared / np.where(union > 0, union, 1), 0)
        order = rest[~(overlap > threshold)]
    return kept


def _nms(
    attrs: Any, boxes: Array, scores: Array, limit: Array | None = None, iou: Array | None = None,
    score_threshold: Array | None = None,
) -> Array:  # fmt: skip
    most = 0 if limit is None else int(limit.reshape(-1)[0])
    threshold = 0.0 if iou is None else float(iou.reshape(-1)[0])
    rows: list[tuple[int, int, int]] = []
    for batch in range(len(scores) if most > 0 else 0):
        placed = corners(boxes[batch], attrs.center_point_box)
        for category, score in enumerate(scores[batch]):
            order = np.argsort(-score, kind="stable")
            if score_threshold is not None:
                order = order[score[order] > score_threshold.reshape(-1)[0]]
            rows += [(batch, category, i) for i in suppress(placed, order, most, threshold)]
    return np.array(rows, np.int64).reshape(-1, 3)


NON_MAX_SUPPRESSION = define(
    "NonMaxSuppression",
    "boxes:float32 scores:float32 max_output_boxes_per_class:int64? iou_threshold:float32? score_threshold:float32? "
    "-> selected_indices:int64", since=11, attrs=NonMaxSuppressionAttrs,
    shapes=_nms_shapes, reference=_nms, accuracy=EXACT,
)  # fmt: skip
