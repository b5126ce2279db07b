"""A graph as a GraphDef, the form in which TensorBoard draws it.

Every node, input, constant, variable and output becomes a node. `/` in names makes the boxes that TensorBoard opens and
closes. The graphs that control flow runs lie in a box of their operator: `cond/then_branch/...`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.graph import Graph, Node
from edge_rt.names import Names
from edge_rt.types import DType, TensorType
from exporter.summary import protos
from exporter.summary.protos import proto

INPUT, CONSTANT, VARIABLE, ASSIGN, OUTPUT = "Placeholder", "Const", "VariableV2", "Assign", "_Retval"
"""Operators of the nodes that stand for no node of the graph: TensorFlow's names, which TensorBoard knows."""

SHOWN_BYTES = 256
"""Contents of constants up to so many bytes are in the GraphDef."""


def graph_def(graph: Graph) -> Any:
    """A GraphDef with all nodes of the graph, and of those inside of its control flow."""
    made = proto("graph").GraphDef()
    made.versions.producer = 22
    _Drawing(made).draw(graph, "", None)
    return made


class _Drawing:
    """A GraphDef while it is made."""

    def __init__(self, made: Any) -> None:
        self._made = made
        self._names = Names()

    def draw(self, graph: Graph, scope: str, outer: dict[int, str] | None) -> list[str]:
        """Adds a graph, its names after `scope`. outer: what feeds its inputs, by their ids. The names of its outputs."""
        # Nodes come first, so that they have the names by which profiles call them.
        named = {id(node): self._names.unique(scope + node.name) for node in graph.nodes}
        sources: dict[int, str] = {}
        for v in graph.inputs:
            fed = [outer[id(v)]] if outer and id(v) in outer else []
            sources[id(v)] = self._add(scope + v.name, INPUT, fed, [v.type], dtype=v.type.dtype)
        for s in graph.variables:
            type_ = s.value.type
            sources[id(s.value)] = self._add(scope + s.name, VARIABLE, [], [type_], dtype=type_.dtype, shape=type_)
        for v in graph.constants():
            data = v.data if v.data is not None and v.data.nbytes <= SHOWN_BYTES else None
            sources[id(v)] = self._add(scope + v.name, CONSTANT, [], [v.type], dtype=v.type.dtype, value=data)
        for node in graph.nodes:
            self._draw_node(node, named[id(node)], sources)
        for s in graph.variables:
            if s.update is not None:
                inputs = [sources[id(s.value)], sources[id(s.update)]]
                self._add(f"{sources[id(s.value)]}/assign", ASSIGN, inputs, [s.update.type], T=s.update.type.dtype)
        return [
            self._add(scope + name, OUTPUT, [sources[id(v)]], [v.type], T=v.type.dtype)
            for name, v in zip(graph.output_names, graph.outputs)
        ]

    def _draw_node(self, node: Node, name: str, sources: dict[int, str]) -> None:
        inputs = [sources[id(v)] for v in node.inputs if v is not None]
        attributes: dict[str, Any] = {}
        for key, value in node.attrs:
            if isinstance(value, Graph):
                # What feeds a body is the end of both lists: captured values come last.
                pairs = zip(reversed(value.inputs), reversed(node.inputs))
                outer = {id(inner): sources[id(v)] for inner, v in pairs if v is not None}
                inputs += [f"^{made}" for made in self.draw(value, f"{name}/{key}/", outer)]
            elif value is not None:
                attributes[key] = value
        if node.outputs:
            attributes["T"] = node.output.type.dtype
        self._append(name, node.op.name, inputs, [v.type for v in node.outputs], attributes)
        for place, v in enumerate(node.outputs):
            sources[id(v)] = f"{name}:{place}" if place else name

    def _add(self, name: str, op: str, inputs: list[str], types: list[TensorType], **attributes: Any) -> str:
        given = self._names.unique(name)
        self._append(given, op, inputs, types, {k: v for k, v in attributes.items() if v is not None})
        return given

    def _append(
        self, name: str, op: str, inputs: list[str], types: list[TensorType], attributes: dict[str, Any]
    ) -> None:
        node = self._made.node.add(name=name, op=op, input=inputs)
        node.attr["_output_shapes"].list.shape.extend(protos.shape(t) for t in types)
        for key, value in attributes.items():
            _set(node.attr[key], value)


def _set(attribute: Any, value: Any) -> None:
    """Fills an AttrValue."""
    if isinstance(value, bool):
        attribute.b = value
    elif isinstance(value, int):
        attribute.i = value
    elif isinstance(value, float):
        attribute.f = value
    elif isinstance(value, str):
        attribute.s = value.encode()
    elif isinstance(value, DType):
        attribute.type = protos.data_type(value)
    elif isinstance(value, TensorType):
        attribute.shape.CopyFrom(protos.shape(value))
    elif isinstance(value, np.ndarray) and value.nbytes <= SHOWN_BYTES:
        attribute.tensor.CopyFrom(protos.tensor(value))
    elif isinstance(value, tuple) and all(isinstance(x, int) for x in value):
        attribute.list.i.extend(value)
    elif isinstance(value, tuple) and all(isinstance(x, float) for x in value):
        attribute.list.f.extend(value)
    else:
        attribute.s = str(value).encode()
