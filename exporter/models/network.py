"""A network: the calls of layers that lead from a model's inputs to its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edge_rt.errors import AuthoringError
from exporter.authoring.structure import flatten, map_leaves
from exporter.layers.base import Layer
from exporter.layers.symbolic import FunctionalTensor, Node
from exporter.models.input import InputLayer


class Network:
    """inputs, outputs: structures of tensors. nodes: in an order in which each comes after those it needs. layers: by the
    longest way to an output, longest first; then in the order in which the outputs lead to them.

    Raises AuthoringError where an input is none, or an output depends on an input that is not listed, or two layers have
    the same name.
    """

    def __init__(self, inputs: Any, outputs: Any) -> None:
        self.inputs, self.outputs = inputs, outputs
        for what, structure in (("input", inputs), ("output", outputs)):
            for x in flatten(structure):
                if not isinstance(x, FunctionalTensor) or x.node is None:
                    raise AuthoringError(f"a model's {what}s must be tensors of the functional API, got {x!r}")
        for x in flatten(inputs):
            if not isinstance(x.node.layer, InputLayer):
                raise AuthoringError(f"a model's inputs must be made by ex.Input, '{x.name}' is what a layer gives")
        self.nodes, ranks = _followed(flatten(outputs))
        for x in flatten(inputs):
            if x.node not in self.nodes:
                self.nodes.insert(0, x.node)
                ranks.setdefault(x.node.layer, -1)
        given = {id(x.node) for x in flatten(inputs)}
        for node in self.nodes:
            if isinstance(node.layer, InputLayer) and id(node) not in given:
                raise AuthoringError(f"the outputs depend on the input '{node.layer.name}', which is not among the inputs")
        depths = _depths(self.nodes)
        self.layers: list[Layer] = sorted(ranks, key=lambda layer: (-depths[layer], ranks[layer]))
        names = [layer.name for layer in self.layers]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise AuthoringError(f"the layers of a model must have different names, '{doubled[0]}' occurs twice")

    def nodes_of(self, layer: Layer) -> list[Node]:
        """The calls of a layer in this network, in the order in which they were made."""
        own = {id(node) for node in self.nodes}
        return [node for node in layer._inbound_nodes if id(node) in own]

    def run(self, inputs: Sequence[Any]) -> Any:
        """The outputs for tensors of the inputs, in the order of `flatten`."""
        known: dict[int, Any] = {id(x): given for x, given in zip(flatten(self.inputs), inputs)}

        def read(_: Any, x: Any) -> Any:
            return known[id(x)] if isinstance(x, FunctionalTensor) else x

        for node in self.nodes:
            if isinstance(node.layer, InputLayer):
                continue
            result = node.layer(*map_leaves(read, node.arguments), **map_leaves(read, node.keywords))
            made = [x for x in flatten(result) if x is not None]
            known.update((id(x), value) for x, value in zip(node.outputs, made))
        return map_leaves(read, self.outputs)


def _followed(outputs: Sequence[FunctionalTensor]) -> tuple[list[Node], dict[Layer, int]]:
    """(the calls that outputs need, each after those it needs; layers by the order in which they are met)."""
    order: list[Node] = []
    ranks: dict[Layer, int] = {}
    done: set[int] = set()
    for output in outputs:
        assert output.node is not None
        waiting: list[tuple[Node, bool]] = [(output.node, False)]
        while waiting:
            node, entered = waiting.pop()
            if entered:
                order.append(node)
                continue
            if id(node) in done:
                continue
            done.add(id(node))
            ranks.setdefault(node.layer, len(ranks))
            waiting.append((node, True))
            for x in reversed(node.inputs):
                if x.node is None:
                    raise AuthoringError(f"layer '{node.layer.name}' was called on '{x.name}', which only stands for a type")
                waiting.append((x.node, False))
    return order, ranks


def _depths(nodes: Sequence[Node]) -> dict[Layer, int]:
    """For each layer the number of calls on the longest way behind it."""
    of_node: dict[int, int] = {}
    of_layer: dict[Layer, int] = {}
    for node in reversed(nodes):
        depth = max(of_node.get(id(node), 0), of_layer.get(node.layer, 0))
        of_node[id(node)] = of_layer[node.layer] = depth
        for x in node.inputs:
            of_node[id(x.node)] = max(depth + 1, of_node.get(id(x.node), 0))
    return of_layer
