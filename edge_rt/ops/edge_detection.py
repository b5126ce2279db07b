"""Selection of boxes, with room for all that may be selected."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.dims import is_known
from edge_rt.errors import GraphError
from edge_rt.ops._rules import shape_of
from edge_rt.ops._spec import EXACT, Array, Types, Values, define
from edge_rt.ops._windows import check_shape
from edge_rt.ops.detection import NON_MAX_SUPPRESSION, NonMaxSuppressionAttrs


def _shapes(attrs: Any, types: Types, values: Values) -> Any:
    NON_MAX_SUPPRESSION.shapes(attrs, types, values)
    check_shape("limit", shape_of(types, 2), [1])
    batch, classes, n = shape_of(types, 1)
    limit = values[2]
    if limit is None or not all(is_known(d) for d in (batch, classes, n, limit[0])):
        return [[None, 3], [1]]
    if limit[0] < 0:
        raise GraphError(f"limit must be >= 0, got {limit[0]}")
    return [[batch * classes * min(int(limit[0]), n), 3], [1]]


def _select(
    attrs: Any, boxes: Array, scores: Array, limit: Array, iou: Array | None = None, threshold: Array | None = None
) -> tuple[Array, Array]:
    found = NON_MAX_SUPPRESSION.reference(attrs, boxes, scores, limit, iou, threshold)
    rows = np.zeros((scores.shape[0] * scores.shape[1] * min(int(limit[0]), scores.shape[2]), 3), np.int64)
    rows[: len(found)] = found
    return rows, np.array([len(found)])


SELECT_BOXES = define(
    "edge.SelectBoxes",
    "boxes:float32 scores:float32 limit:int64 iou_threshold:float32? score_threshold:float32? -> selected:int64 count:int64",
    attrs=NonMaxSuppressionAttrs, shapes=_shapes, reference=_select, accuracy=EXACT, shape_inputs=(2,),
)  # fmt: skip
