"""Losses that layers collect: of their calls, and of their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exporter.authoring.ops import math
from exporter.authoring.ops.array import shape
from exporter.authoring.structure import flatten
from exporter.authoring.variable import Variable
from exporter.layers.weights import Weights


class Lossy(Weights):
    """A layer with losses."""

    _losses: list[Any]
    _regularized: list[tuple[Variable, Any, Any]]
    """(weight, regulariser, constraint)."""

    def add_loss(self, loss: Any) -> None:
        """Adds a scalar, or several, to `losses`. They are forgotten when the outermost layer is called again."""
        self._losses.extend(x for x in flatten(loss) if x is not None)

    @property
    def losses(self) -> list[Any]:
        """What `add_loss` of this layer and of those in it collected in the last call, and the regularisation of weights."""
        layers = [layer for layer in self._flattened() if isinstance(layer, Lossy)]
        found = [loss for layer in layers for loss in layer._losses]
        trained = {v.birth for v in self.trainable_weights}
        for layer in layers:
            found += [r(v) for v, r, _ in layer._regularized if r is not None and v.birth in trained]
        return found

    def _clear_losses(self) -> None:
        for layer in self._flattened():
            if isinstance(layer, Lossy):
                layer._losses.clear()


def activity_loss(regularizer: Callable[..., Any], x: Any) -> Any:
    """The regularisation of an output, for one of the batch."""
    loss = regularizer(x)
    return math.divide(loss, math.cast(shape(x)[0], loss.dtype)) if x.ndim else loss
