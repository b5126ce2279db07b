"""Networks as data, in the form in which Keras 3 writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.structure import map_leaves
from exporter.layers.base import Layer
from exporter.layers.serialization import deserialize, serialize, serialize_object, sharing
from exporter.layers.symbolic import FunctionalTensor, Node
from exporter.models.input import InputLayer
from exporter.models.network import Network

TENSOR = "__keras_tensor__"


def network_config(network: Network) -> dict[str, Any]:
    """{"layers": [...with their calls as "inbound_nodes"], "input_layers", "output_layers"}.

    Raises AuthoringError for a layer or an argument that is no data.
    """
    places = {id(node): (layer.name, i) for layer in network.layers for i, node in enumerate(network.nodes_of(layer))}

    def history(x: FunctionalTensor) -> list[Any]:
        return [*places[id(x.node)], x.index]

    def argument(_: Any, x: Any) -> Any:
        if not isinstance(x, FunctionalTensor):
            return serialize(x)
        config = {"shape": None if x.shape is None else list(x.shape), "dtype": x.dtype.name, "keras_history": history(x)}
        return {"class_name": TENSOR, "config": config}

    layers = []
    for layer in network.layers:
        entry = {**serialize_object(layer), "name": layer.name, "inbound_nodes": []}
        for node in network.nodes_of(layer) if not isinstance(layer, InputLayer) else ():
            call = {"args": list(map_leaves(argument, node.arguments)), "kwargs": map_leaves(argument, node.keywords)}
            entry["inbound_nodes"].append(call)
        layers.append(entry)
    ends = {"input_layers": network.inputs, "output_layers": network.outputs}
    return {"layers": layers, **{name: map_leaves(lambda _, x: history(x), x) for name, x in ends.items()}}


def network_of(config: Mapping[str, Any]) -> tuple[Any, Any]:
    """(inputs, outputs) of new layers called as the config says. Raises AuthoringError where it does not make sense."""
    with sharing():
        layers = {entry["name"]: deserialize(entry) for entry in config["layers"]}
    waiting = [(layers[entry["name"]], list(entry["inbound_nodes"])) for entry in config["layers"]]
    made: dict[str, list[Node]] = {name: layer._inbound_nodes[:1] for name, layer in layers.items() if _is_input(layer)}

    def tensor(history: Any) -> FunctionalTensor:
        name, node, index = history
        nodes = made[name]
        found: FunctionalTensor = nodes[node].outputs[index]
        return found

    def is_there(data: Any) -> bool:
        if isinstance(data, Mapping):
            if data.get("class_name") == TENSOR:
                name, node, _ = data["config"]["keras_history"]
                return bool(node < len(made.get(name, ())))
            return all(is_there(x) for x in data.values())
        return not isinstance(data, (list, tuple)) or all(map(is_there, data))

    def argument(data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("class_name") == TENSOR:
            return tensor(data["config"]["keras_history"])
        if isinstance(data, Mapping) and "class_name" not in data:
            return {key: argument(x) for key, x in data.items()}
        return [argument(x) for x in data] if isinstance(data, (list, tuple)) else deserialize(data)

    while any(calls for _, calls in waiting):
        progress = False
        for layer, calls in waiting:
            while not _is_input(layer) and calls and is_there(calls[0]):
                call = calls.pop(0)
                layer(*map(argument, call["args"]), **{key: argument(x) for key, x in call["kwargs"].items()})
                made.setdefault(_name_in(layers, layer), []).append(layer._inbound_nodes[-1])
                progress = True
            if _is_input(layer):
                calls.clear()
        if not progress:
            names = ", ".join(layer.name for layer, calls in waiting if calls)
            raise AuthoringError(f"the config says nothing of tensors that the layers {names} are called on")
    return _map_histories(tensor, config["input_layers"]), _map_histories(tensor, config["output_layers"])


def _is_input(layer: Layer) -> bool:
    return isinstance(layer, InputLayer)


def _name_in(layers: Mapping[str, Layer], layer: Layer) -> str:
    return next(name for name, x in layers.items() if x is layer)


def _map_histories(tensor: Any, data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: _map_histories(tensor, x) for key, x in data.items()}
    if not isinstance(data, (list, tuple)):
        raise AuthoringError(f"an input or output of a config must be [layer, call, output], got {data!r}")
    if len(data) == 3 and isinstance(data[0], str) and all(isinstance(x, int) for x in data[1:]):
        return tensor(data)
    return [_map_histories(tensor, x) for x in data]
