"""Selection of boxes: by score, without those that overlap a better one."""

from __future__ import annotations

import numpy as np
from numba.core import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.simd import is_null, pointer
from edge_rt.kernels.sort import given_for, ordered, packed, packed_order, place_of, sorter
from edge_rt.lowering.detection import SELECT_BOXES_F32

F32, I32 = types.float32, types.int32
INF = float("inf")
NO_SCORE = np.int32(-0x7F800000)
"""The ordered bits of minus infinity."""


def find_corners(boxes, n, center, corners):
    """corners[5 i:][:5]: low y, low x, high y, high x and area of box i."""
    for i in range(n):
        box, made = boxes + 4 * i, corners + 5 * i
        if center:
            half_w, half_h = box[2] / F32(2), box[3] / F32(2)
            made[0], made[1], made[2], made[3] = box[1] - half_h, box[0] - half_w, box[1] + half_h, box[0] + half_w
        else:
            made[0], made[1] = min(box[0], box[2]), min(box[1], box[3])
            made[2], made[3] = max(box[0], box[2]), max(box[1], box[3])
        made[4] = (made[2] - made[0]) * (made[3] - made[1])


def overlap(a, b):
    """Shared area by joint area; boxes without area overlap nothing."""
    if not (a[4] > 0 and b[4] > 0):
        return F32(0)
    high = max(min(a[2], b[2]) - max(a[0], b[0]), F32(0))
    wide = max(min(a[3], b[3]) - max(a[1], b[1]), F32(0))
    shared = high * wide
    union = a[4] + b[4] - shared
    return shared / union if union > 0 else shared




@kernel(SELECT_BOXES_F32)
def select_boxes_f32(target):
    _, sort = sorter(packed_order(target)[1])

    def body(
        boxes, scores, iou, threshold, selected, count, corners, keys, batch, classes, n, limit, center, part, parts,
    ):  # fmt: skip
        most = F32(0) if is_null(iou) else iou[0]
        least = F32(-INF) if is_null(threshold) else threshold[0]
        row, of_floats = 0, given_for(1, 0)
        for unit in range(batch * classes if limit > 0 else 0):
            image = unit // classes
            if unit == image * classes:
                find_corners(boxes + image * n * 4, n, center, corners)
            given, found = scores + unit * n, 0
            bits = pointer(I32, given)
            for i in range(n):
                if given[i] > least or is_null(threshold):
                    keys[found] = packed(ordered(bits[i], of_floats) if given[i] == given[i] else NO_SCORE, i)
                    found += 1
            sort(keys, keys + n, found, bits, 1, of_floats)
            first = row
            for k in range(found):
                box = place_of(keys[k])
                at = first
                while at < row and not overlap(corners + 5 * selected[3 * at + 2], corners + 5 * box) > most:
                    at += 1
                if at == row:
                    selected[3 * row], selected[3 * row + 1], selected[3 * row + 2] = image, unit - image * classes, box
                    row += 1
                    if row - first == limit:
                        break
        count[0] = row
        for i in range(3 * row, 3 * batch * classes * limit):
            selected[i] = 0

    return body
