"""`clone_model`: the same layers with new weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.structure import map_leaves
from exporter.layers.base import Layer
from exporter.layers.serialization import deserialize, serialize_object
from exporter.layers.symbolic import FunctionalTensor
from exporter.models.functional import Functional
from exporter.models.input import InputLayer
from exporter.models.model import Model
from exporter.models.sequential import Sequential


def clone_model(model: Model, clone_function: Callable[[Layer], Layer] | None = None) -> Any:
    """A model with the same layers and new weights.

    clone_function: called with each layer of a Functional or Sequential but its inputs; gives what stands in its place.
    Raises AuthoringError for it with a model of another class, and for layers whose config is no data.
    """
    if clone_function is None:
        return deserialize(serialize_object(model))
    if isinstance(model, Sequential):
        start = [] if model._start is None else [_copied_input(model._start)]
        return type(model)([*start, *map(clone_function, model.layers)], name=model.name)
    if not isinstance(model, Functional):
        raise AuthoringError(f"clone_function: the layers of a {type(model).__name__} are called by its own code")
    network = model._networked()
    layers = {x: _copied_input(x) if isinstance(x, InputLayer) else clone_function(x) for x in network.layers}
    known: dict[int, Any] = {}
    for node in network.nodes:
        layer = layers[node.layer]
        if isinstance(layer, InputLayer):
            made = layer.place
        else:
            layer(*map_leaves(_reader(known), node.arguments), **map_leaves(_reader(known), node.keywords))
            made = layer._inbound_nodes[-1]
        known.update((id(old), new) for old, new in zip(node.outputs, made.outputs))
    inputs, outputs = (map_leaves(_reader(known), x) for x in (network.inputs, network.outputs))
    return type(model)(inputs, outputs, name=model.name)


def _copied_input(layer: InputLayer) -> InputLayer:
    made: InputLayer = InputLayer.from_config(layer.get_config())
    return made


def _reader(known: dict[int, Any]) -> Callable[[Any, Any], Any]:
    return lambda _, x: known[id(x)] if isinstance(x, FunctionalTensor) else x
