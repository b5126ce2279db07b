"""What `ex.export` and `ex.save` take of a layer: its call for the inputs of its first call, with `training=False`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from exporter.authoring.function import Function
from exporter.authoring.specs import TensorSpec
from exporter.authoring.structure import map_leaves
from exporter.authoring.tensor import Operand
from exporter.layers.symbolic import BATCH

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
