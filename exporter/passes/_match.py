"""What passes share: questions about values and nodes, and the replacement of a node by others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.types import DType

Array = np.ndarray[Any, Any]


def live(graph: Graph) -> Iterator[Node]:
    """The nodes at the time of the call, in order, without those that have no use when their turn comes."""
    for node in list(graph.nodes):
        if any(is_used(graph, v) for v in node.outputs):
            yield node


def is_used(graph: Graph, value: Value) -> bool:
    return bool(value.uses) or graph.is_output(value)


def contents(value: Value | None) -> Array | None:
    """Contents of a value that are fixed: a constant's, or those that inference found. None if unknown or symbolic."""
    if value is None:
        return None
    if value.data is not None:
        return value.data
    if value.known is None or value.known.dtype == object:
        return None
    return value.known


def integers(value: Value | None) -> list[int] | None:
    """Contents of a fixed integer tensor as a flat list."""
    array = contents(value)
    return None if array is None or array.dtype.kind not in "iu" else [int(i) for i in array.ravel()]


def scalar(value: Value | None) -> float | None:
    """The number that a fixed real tensor holds in all its elements; None if there is no such number."""
    array = contents(value)
    if array is None or array.size == 0 or array.dtype.kind not in "fiu":
        return None
    first = array.flat[0]
    return float(first) if array.size == 1 or bool((array == first).all()) else None


def produced_by(value: Value | None, *ops: str) -> Node | None:
    """The node that computes the value, if it is one of these operators."""
    node = None if value is None else value.producer
    return node if node is not None and node.op.name in ops else None


def sole_user(graph: Graph, value: Value, *ops: str) -> Node | None:
    """The node whose input is all that the value is for, if it is one of these operators (any, if none are named)."""
    if not graph.has_one_use(value):
        return None
    node = value.uses[0][0]
    return node if not ops or node.op.name in ops else None


def operands(node: Node, *ops: str) -> tuple[Node, Value] | None:
    """(producer of one operand, the other operand) of a node with two, where the producer is one of these operators."""
    a, b = node.inputs
    for one, other in ((a, b), (b, a)):
        found = produced_by(one, *ops)
        if found is not None and other is not None:
            return found, other
    return None


def constant_operand(node: Node) -> tuple[Value, Array] | None:
    """(the other operand, contents) of a node with two operands of which one is constant."""
    a, b = node.inputs
    if b is not None and b.data is not None and a is not None:
        return a, b.data
    if a is not None and a.data is not None and b is not None:
        return b, a.data
    return None


def is_f32(*values: Value | None) -> bool:
    return all(v is None or v.type.dtype is DType.FLOAT32 for v in values)


def input_at(node: Node, position: int) -> Value | None:
    """An optional input; None where it is absent."""
    return node.inputs[position] if position < len(node.inputs) else None


def permutation(node: Node) -> tuple[int, ...]:
    """The axes of a Transpose, also where the attribute is left out. The input's rank must be known."""
    rank = node.inputs[0].type.rank  # type: ignore[union-attr]
    assert rank is not None
    return tuple(node.attrs.perm) if node.attrs.perm else tuple(reversed(range(rank)))


def inverse(perm: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argsort(perm))


def transpose(graph: Graph, value: Value, perm: tuple[int, ...], before: Node) -> Value:
    """The transposed value; the value itself for the identity, a constant for a constant."""
    if perm == tuple(range(len(perm))):
        return value
    if value.data is not None:
        return graph.constant(np.ascontiguousarray(value.data.transpose(perm)), value.name)
    made: Value = graph.add("Transpose", value, perm=perm, before=before)
    return made


def replace(graph: Graph, node: Node, *values: Value) -> None:
    """Makes all users of the node's outputs use `values`, then removes the node and what only it needed."""
    for old, new in zip(node.outputs, values):
        if old is not new:
            graph.replace(old, new)
    prune(graph, [node])


def prune(graph: Graph, nodes: list[Node]) -> int:
    """Removes those of the nodes whose outputs are not used, then those that only these needed. Number removed."""
    removed = 0
    pending = list(nodes)
    while pending:
        node = pending.pop()
        if any(is_used(graph, v) for v in node.outputs):
            continue
        graph.remove(node)
        removed += 1
        sources = {id(v.producer): v.producer for v in node.inputs if v is not None and v.producer is not None}
        pending += [source for source in sources.values() if source not in pending]
    return removed


def is_close(a: float | None, b: float) -> bool:
    """Whether a float32 number, as models spell it, means b."""
    return a is not None and abs(a - b) <= 1e-5 * abs(b)


def with_number(value: Value | None, op: str) -> tuple[Value, float] | None:
    """(x, c) where the value is x op c with one number c: Add and Mul in either order; Sub, Div and Pow with c behind.

    "Mul" also reads x / c, "Add" also x - c. None where the number would broadcast x to a larger shape.
    """
    node = produced_by(value, op, *({"Mul": ("Div",), "Add": ("Sub",)}.get(op, ())))
    if node is None or len(node.inputs) != 2:
        return None
    a, b = node.inputs
    c = scalar(b)
    if a is not None and c is not None:
        x, number = a, c
        if node.op.name != op:
            if c == 0.0:
                return None
            number = 1 / c if op == "Mul" else -c
    else:
        c = scalar(a) if node.op.name in ("Add", "Mul") else None
        if b is None or c is None:
            return None
        x, number = b, c
    return (x, number) if x.type == node.output.type else None


def factors(value: Value | None) -> tuple[Value, Value] | None:
    """(a, b) where the value is a * b."""
    node = produced_by(value, "Mul")
    return None if node is None or None in node.inputs else (node.inputs[0], node.inputs[1])  # type: ignore[return-value]


def flatten_product(graph: Graph, value: Value, most: int = 2) -> tuple[float, list[Value]]:
    """(c, values) where the value is c times the product of at most so many others, through products of one use."""
    number, pending = 1.0, [value]
    values: list[Value] = []
    while pending:
        v = pending.pop()
        scaled = with_number(v, "Mul")
        product = factors(v)
        inner = v is value or graph.has_one_use(v)
        if inner and scaled is not None:
            number *= scaled[1]
            pending.append(scaled[0])
        elif inner and product is not None and len(pending) + len(values) + 2 <= most:
            pending += product
        else:
            values.append(v)
    return number, values


def is_square_of(value: Value | None, x: Value) -> bool:
    """Whether the value is x * x, or x ** 2."""
    node = produced_by(value, "Mul", "Pow")
    if node is None or node.inputs[0] is not x:
        return False
    return node.inputs[1] is x if node.op.name == "Mul" else scalar(node.inputs[1]) == 2.0
