"""Runs the branch of an If whose condition is known, without the If."""

from __future__ import annotations

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import contents, live, prune


def inline_if(graph: Graph) -> int:
    """Replaces an If whose condition is fixed by the nodes of the branch that it takes.

    Not where the condition depends on an input, also if only on its shape: such an If is resolved when the sizes are
    known.
    """
    changes = 0
    for node in live(graph):
        if node.op.name != "If":
            continue
        condition = contents(node.inputs[0])
        if condition is None or condition.size != 1:
            continue
        branch = node.attrs.then_branch if bool(condition.ravel()[0]) else node.attrs.else_branch
        results = copy_into(graph, branch, node.inputs[1:], node)
        for old, new in zip(node.outputs, results):
            graph.replace(old, new)
        prune(graph, [node])
        changes += 1
    return changes


def copy_into(graph: Graph, body: Graph, inputs: tuple[Value | None, ...], before: Node) -> list[Value]:
    """Adds the nodes of `body` to `graph` in front of a node. Returns the body's outputs for these inputs."""
    copies: dict[int, Value] = {id(own): given for own, given in zip(body.inputs, inputs) if given is not None}

    def copy(value: Value) -> Value:
        if id(value) not in copies and value.data is not None:
            copies[id(value)] = graph.constant(value.data, value.name)
        return copies[id(value)]

    for node in body.nodes:
        made = graph.add(
            node.op,
            *(None if v is None else copy(v) for v in node.inputs),
            name=node.name,
            outputs=[v.name for v in node.outputs],
            before=before,
            attrs=node.attrs,
        )
        made_values = made if isinstance(made, tuple) else (made,)
        copies.update((id(old), new) for old, new in zip(node.outputs, made_values))
    return [copy(v) for v in body.outputs]
