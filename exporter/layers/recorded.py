"""What a layer was called on in the functional API."""

from __future__ import annotations

from typing import Any

from edge_rt.errors import AuthoringError
from exporter.layers.symbolic import Node
from exporter.layers.weights import Weights


class Recorded(Weights):
    """A layer that remembers its calls on tensors of the functional API."""

    _inbound_nodes: list[Node]

    @property
    def input(self) -> Any:
        """What the layer was called on in the functional API. Raises AuthoringError unless that was done once."""
        node = self._only_node()
        return node.arguments[0] if len(node.arguments) == 1 else node.inputs

    @property
    def output(self) -> Any:
        """What the layer gave in the functional API. Raises AuthoringError unless it was called once."""
        return self._only_node().structure

    def _only_node(self) -> Node:
        nodes = self._inbound_nodes
        if len(nodes) != 1:
            what = "on tensors of the functional API"
            raise AuthoringError(f"layer '{self.name}' must have been called once {what}, it was called {len(nodes)} times")
        return nodes[0]
