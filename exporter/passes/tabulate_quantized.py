"""Functions of one 8-bit number become tables."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.interpreter import run_node
from edge_rt.types import DType
from exporter.passes._match import Array, live, prune
from exporter.passes._quantized import quantised, rounding_of
from exporter.passes.sink_transposes import BROADCASTING, ONE_INPUT

MAX_NODES = 32
LOOKUP = "edge.Lookup"


def tabulate_quantized(graph: Graph) -> int:
    """QuantizeLinear(f(DequantizeLinear(q))) -> edge.Lookup(q, table of all 256 results).

    f may be any operators on single elements, with numbers as their other operands; also none at all, which requantises, or
    gives back q where scale and zero point are equal. Tables in a row become one. The results are those of the
    operators themselves.

    Not where f needs several tensors, or tensors other than of one scale.
    """
    changes = 0
    for node in live(graph):
        if rounding_of(node) is None:
            continue
        found = _region(node)
        if found is None:
            continue
        q, nodes = found
        same = _gives_back(node, q, nodes)
        if same and graph.is_output(node.output) and q.producer is None:
            continue
        graph.replace(node.output, q if same else _lookup(graph, node, q, nodes))
        prune(graph, [node])
        changes += 1
    return changes


def _region(last: Node) -> tuple[Value, set[Node]] | None:
    """(q, the nodes between it and the result of `last`) where that is a function of the elements of q."""
    nodes, pending = {last}, [last]
    leaf: Value | None = None
    while pending:
        node = pending.pop()
        is_front = node.op.name in (LOOKUP, "DequantizeLinear")
        for v in node.inputs[:1] if is_front or node is last else node.inputs:
            if v is None or (v.data is not None and v.data.size == 1 and node is not last):
                continue
            producer = v.producer
            if is_front and not _is_table(producer):
                if v.data is not None or (leaf is not None and leaf is not v):
                    return None
                leaf = v
            elif producer is None or not (is_front or _is_elementwise(producer)) or len(nodes) == MAX_NODES:
                return None
            elif producer not in nodes:
                nodes.add(producer)
                pending.append(producer)
    if leaf is None or leaf.type.shape is None or last.output.type.shape != leaf.type.shape:
        return None
    return (leaf, nodes) if all(_is_alike(n.output, leaf) for n in nodes) else None


def _is_alike(value: Value, leaf: Value) -> bool:
    """Whether the value has one number for each of the leaf, or one for all."""
    shape = value.type.shape
    return shape is not None and (shape == leaf.type.shape or all(d == 1 for d in shape))


def _is_table(node: Node | None) -> bool:
    return node is not None and node.op.name == LOOKUP and node.inputs[1] is not None and node.inputs[1].is_constant


def _is_elementwise(node: Node) -> bool:
    if node.op.name == "DequantizeLinear":
        found = quantised(node.output)
        return found is not None and found.is_uniform
    return node.op.name in ONE_INPUT or node.op.name in BROADCASTING


def _gives_back(last: Node, q: Value, nodes: set[Node]) -> bool:
    if len(nodes) != 2:
        return False
    x, y = quantised(last.inputs[0]), rounding_of(last)
    return x is not None and y is not None and x.equals(y)


def _lookup(graph: Graph, last: Node, q: Value, nodes: set[Node]) -> Value:
    """The table by running the nodes on all that q may be."""
    codes = np.arange(256, dtype=np.uint8).view(np.int8 if q.type.dtype is DType.INT8 else np.uint8)
    results: dict[int, Array | None] = {id(q): codes}
    for node in graph.nodes:
        if node in nodes:
            inputs = [None if v is None else results.get(id(v), v.data) for v in node.inputs]
            results |= {id(v): r for v, r in zip(node.outputs, run_node(node, inputs))}
    data = results[id(last.output)]
    assert data is not None
    table = graph.constant(np.ascontiguousarray(data.reshape(-1)), f"{last.name}.table")
    made: Value = graph.add(LOOKUP, q, table, before=last, name=last.name)
    return made
