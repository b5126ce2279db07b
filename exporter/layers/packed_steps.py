"""Masked steps of sequences put behind the others, for operators that know only lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.authoring.dispatch import apply
from exporter.authoring.ops import array, math
from exporter.authoring.tensor import Tensor

_BEHIND = float(1 << 23)
"""More than any step's number; float32 holds all integers up to twice of it."""


class PackedSteps:
    """mask bool[batch, steps]: where a step counts. Steps that count keep their order and come first."""

    def __init__(self, mask: Any, backwards: bool) -> None:
        self.mask, self.backwards = mask, backwards
        self.steps = array.shape(mask)[1]
        self.kept = math.cast(mask, "int64")
        counts = math.reduce_sum(self.kept, 1)
        self.counts = counts
        self.lengths = math.cast(counts, "int32")

    def pack(self, x: Any) -> Tensor:
        """x [batch, steps, ...] with the steps that count first."""
        numbers = math.cast(array.range(self.steps), "float32")
        ranks = math.subtract(array.where(self.mask, 0.0, -_BEHIND), numbers)
        _, order = apply("TopK", ranks, array.reshape(self.steps, [1]))
        return _steps_at(x, order)

    def unpack(self, y: Any, first: Any, zeros: bool) -> Tensor:
        """y [batch, steps, n], results of packed steps, at the places of the steps. Elsewhere the result that was there
        last as the steps are gone through, before the first one `first` [batch, n] (zeros where None); or zeros.
        """
        before = math.cumsum(self.kept, 1, exclusive=self.backwards)
        index = before if self.backwards else math.subtract(before, np.int64(1))
        is_there = math.less(index, array.expand_dims(self.counts, 1)) if self.backwards else math.greater_equal(index, 0)
        if zeros:
            is_there = self.mask
        last = math.subtract(self.steps, np.int64(1))
        found = _steps_at(y, math.minimum(math.maximum(index, np.int64(0)), last))
        other = array.zeros_like(found) if zeros or first is None else array.expand_dims(first, 1)
        return array.where(array.expand_dims(is_there, -1), found, other)

    def keeps_last(self, dtype: Any) -> Tensor:
        """[batch, 1]: 1 where the step that is gone through last counts, else 0."""
        place = array.zeros([], "int64") if self.backwards else math.subtract(self.steps, np.int64(1))
        return math.cast(array.expand_dims(array.gather(self.mask, place, 1), 1), dtype)


def _steps_at(x: Any, order: Any) -> Tensor:
    """x [batch, steps, ...] -> [batch, steps, ...]: the step order[batch, i] at i."""
    return array.gather_nd(x, array.expand_dims(order, -1), batch_dims=1)
