"""What `ex.export` and `ex.save` take of a layer: its call for the inputs of its first call, with `training=False`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.exported import traces
from exporter.authoring.function import Function
from exporter.authoring.specs import TensorSpec
from exporter.authoring.structure import map_leaves
from exporter.authoring.tensor import Operand
from exporter.layers.symbolic import BATCH
from exporter.layers.weights import Weights

Specs = Mapping[str, Any]
"""TensorSpecs, or structures of them, by parameter of `call`."""


def specs_of(tensors: Mapping[str, Any]) -> Specs:
    """The specs of tensors like these, in batches of any size."""
    return {name: map_leaves(lambda _, t: _spec(t), x) for name, x in tensors.items()}


def _spec(x: Operand) -> TensorSpec:
    if x.shape is None:
        return TensorSpec(None, x.dtype)
    return TensorSpec([BATCH, *x.shape[1:]] if x.shape else [], x.dtype)


def serving_function(layer: Any, specs: Specs) -> Function:
    """A function of inputs with these specs: the layer's call, its outputs named as the layer wants."""

    def call(*inputs: Any) -> Any:
        return layer._named_outputs(layer(**dict(zip(specs, inputs)), training=False))

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    call.__signature__ = inspect.Signature([inspect.Parameter(name, kind) for name in specs])  # type: ignore[attr-defined]
    return Function(call, tuple(specs.values()))


class Served(Weights):
    """A layer whose call is what is exported of it."""

    _call_specs: Specs | None
    """What the first call got."""
    _serving: Function | None

    def exported_functions(self) -> dict[str, Any]:
        """The class's Functions, and the call as it is exported, once it was asked for."""
        own = self._own_functions()
        return {**own, "__call__": self._serving} if self._serving is not None else own

    def _own_functions(self) -> dict[str, Any]:
        return {name: f for name, f in super().exported_functions().items() if f is not self._serving}

    def exported_signatures(self) -> dict[str, Any] | None:
        """The call, for what the first call got; None where the class has Functions that are traced.

        Raises AuthoringError before the first call.
        """
        if any(traces(f) for f in self._own_functions().values()):
            return None
        specs = self.input_specs()
        if specs is None:
            raise AuthoringError(f"layer '{self.name}' was never called: call it once, so that its inputs are known")
        # Traced anew each time: attributes of the layer may have changed.
        self._serving = serving_function(self, specs)
        return {"serving_default": self._serving}

    def input_specs(self) -> Specs | None:
        """TensorSpecs, or structures of them, by parameter of `call`; None before the first call."""
        return self._call_specs

    def _named_outputs(self, outputs: Any) -> Any:
        """The outputs in the structure in which they are exported."""
        return outputs
