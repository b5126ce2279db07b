"""Gives nodes and values that took the place of others the names that these had."""

from __future__ import annotations

from edge_rt.graph import Graph, Node
from edge_rt.names import Names


def restore_names(graph: Graph) -> int:
    """Takes off the numbers that made names unique while the nodes that they replaced were still there.

    1. A node gets the name that its first predecessor had.
    2. A value keeps the name of the source model, or follows its node where it was named after it.
    3. A constant that was made for a node or from another constant ("conv_1.bias") follows that.

    Where two nodes, or two values, would get the same name, the later one gets a number. Names of inputs, outputs and
    variables stay.
    """
    nodes, values = Names(), Names()
    changes = 0
    for value in (*graph.inputs, *(s.value for s in graph.variables)):
        values.unique(value.name)
    made: dict[int, str] = {}
    for node in graph.nodes:
        name = nodes.unique(graph.node_names.origins(node.name)[-1])
        for position, value in enumerate(node.outputs):
            made[id(value)] = _name_of_output(graph, node, position, name)
        changes += name != node.name
        node.name = name
    for value in (*(v for n in graph.nodes for v in n.outputs), *graph.constants()):
        name = values.unique(made.get(id(value)) or _name_of_constant(graph, value.name))
        changes += name != value.name
        value.name = name
    graph.node_names, graph.value_names = nodes, values
    return changes


def _name_of_output(graph: Graph, node: Node, position: int, name: str) -> str:
    """What the node's output should be called; node.name is still the old name, `name` the new one."""
    suffix = "" if len(node.outputs) == 1 else f":{position}"
    origins = graph.value_names.origins(node.outputs[position].name)
    return name + suffix if node.name + suffix in origins else origins[-1]


def _name_of_constant(graph: Graph, name: str) -> str:
    name = graph.value_names.origins(name)[-1]
    owner, dot, part = name.rpartition(".")
    for names in (graph.value_names, graph.node_names):
        origins = names.origins(owner)
        if len(origins) > 1:
            return _name_of_constant(graph, origins[-1] + dot + part)
    return name
