"""Weights of a layer in Keras's order: its own in the order in which they were made, trainable ones first; then those of the
layers in it, in the order in which these became attributes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edge_rt.errors import AuthoringError
from exporter.authoring.module import Module
from exporter.authoring.variable import Variable
from exporter.metrics import Metric

Array = np.ndarray[Any, Any]


class Weights(Module):
    """A module whose variables are in Keras's order. `weights` are the variables without those of metrics."""

    _untracked = frozenset({"_constructed", "_inbound_nodes", "_losses", "_regularized", "_build_shapes", "_call_specs"})

    @property
    def trainable(self) -> bool:
        """Whether training may change the weights. Setting it sets it in all layers inside."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        for module in self._flattened():
            module._trainable = bool(value)

    @property
    def variables(self) -> tuple[Variable, ...]:
        return tuple(v for v, _ in self._walked(metrics=True))

    @property
    def trainable_variables(self) -> tuple[Variable, ...]:
        return tuple(v for v, trains in self._walked(metrics=True) if trains)

    @property
    def non_trainable_variables(self) -> tuple[Variable, ...]:
        return tuple(v for v, trains in self._walked(metrics=True) if not trains)

    @property
    def weights(self) -> list[Variable]:
        """All weights, also those of layers in this one."""
        return [v for v, _ in self._walked(metrics=False)]

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that are trainable themselves and in no layer that is frozen."""
        return [v for v, trains in self._walked(metrics=False) if trains]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The others."""
        return [v for v, trains in self._walked(metrics=False) if not trains]

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of this layer and of those in it."""
        return [x for x in self._flattened() if isinstance(x, Metric)]

    def get_weights(self) -> list[Array]:
        """Copies of the weights' contents."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Assigns all weights, in the order of `weights`. Raises AuthoringError for another number or other shapes; no
        weight is changed then."""
        own = self.weights
        if len(weights) != len(own):
            raise AuthoringError(f"layer '{self.name}': expected {len(own)} weights, got {len(weights)}")
        arrays = [np.asarray(w) for w in weights]
        for v, array in zip(own, arrays):
            if v.shape != array.shape:
                what = f"layer '{self.name}': weight '{v.name}'"
                raise AuthoringError(f"{what}: expected shape {v.shape}, got {array.shape}")
        for v, array in zip(own, arrays):
            v.assign(array.astype(v.dtype))

    def _direct(self, kind: type) -> list[Any]:
        """Objects of a kind that attributes hold, also in lists, tuples and dicts."""
        found: dict[int, Any] = {}

        def visit(x: Any) -> None:
            if isinstance(x, kind):
                found.setdefault(id(x), x)
            elif isinstance(x, Mapping):
                for item in x.values():
                    visit(item)
            elif isinstance(x, (list, tuple)):
                for item in x:
                    visit(item)

        for name, x in vars(self).items():
            if name not in self._untracked:
                visit(x)
        return list(found.values())

    def _flattened(self) -> Iterator[Module]:
        """This module and all in it, each before those in it."""
        seen: set[int] = set()

        def visit(module: Module) -> Iterator[Module]:
            if id(module) in seen:
                return
            seen.add(id(module))
            yield module
            inner = module._direct(Module) if isinstance(module, Weights) else module.submodules
            for x in inner:
                yield from visit(x)

        return visit(self)

    def _walked(self, metrics: bool) -> Iterator[tuple[Variable, bool]]:
        """(variable, whether it trains), each once. metrics: also those of metrics, last."""
        seen: set[int] = set()

        def fresh(v: Variable) -> bool:
            is_new = v.birth not in seen
            seen.add(v.birth)
            return is_new

        def visit(module: Module, frozen: bool) -> Iterator[tuple[Variable, bool]]:
            frozen = frozen or not module.trainable
            if not isinstance(module, Weights):
                trained = {v.birth for v in module.trainable_variables}
                yield from ((v, not frozen and v.birth in trained) for v in module.variables if fresh(v))
                return
            own = sorted(module._direct(Variable), key=lambda v: (not v.trainable, v.birth))
            yield from ((v, v.trainable and not frozen) for v in own if fresh(v))
            for inner in module._direct(Module):
                if not isinstance(inner, Metric) and id(inner) not in entered:
                    entered.add(id(inner))
                    yield from visit(inner, frozen)

        entered = {id(self)}
        yield from visit(self, False)
        if metrics:
            for metric in self.metrics:
                yield from ((v, False) for v in metric.variables if fresh(v))


def scalars(variables: Sequence[Variable]) -> int:
    """The number of elements of all variables."""
    return sum(math.prod(v.shape) for v in variables)
