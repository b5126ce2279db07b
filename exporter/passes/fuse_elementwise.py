"""Runs chains of elementwise nodes as one program, so that what is between them never reaches memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Union

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.ops.edge_elementwise import INSTRUCTIONS, MAX_INPUTS, MAX_INSTRUCTIONS
from exporter.passes._match import input_at, is_f32, is_used, live, prune, with_number

Operand = Union[Value, float]
"""An input or an intermediate value, or a number, which becomes a rank-0 constant."""


def fuse_elementwise(graph: Graph) -> int:
    """Replaces two or more connected elementwise nodes by one edge.Elementwise that computes the last of them.

    A producer joins where all that uses its output is in the program already and its output has the program's shape.
    Not for other dtypes than float32, for operators that INSTRUCTIONS lacks, or where the program would need more than
    MAX_INPUTS inputs (numbers among them) or MAX_INSTRUCTIONS instructions. Intermediates that are outputs of the graph
    end a program. What a GEMM or convolution takes into its epilogue is gone before this pass runs.
    """
    changes = 0
    for root in reversed(list(live(graph))):
        if not _is_member(root) or not is_used(graph, root.output):
            continue
        members = _grow(graph, root)
        if len(members) > 1:
            _replace(graph, root, members)
            changes += 1
    return changes


def _is_member(node: Node) -> bool:
    return node.op.name in SPELLING and is_f32(*node.inputs, node.output) and SPELLING[node.op.name](node) is not None


def _grow(graph: Graph, root: Node) -> list[Node]:
    """The nodes of the program that ends in `root`, in the order of the graph."""
    members = [root]
    refused: set[int] = set()
    while True:
        inside = {id(m) for m in members}
        for producer in _producers(members):
            if id(producer) in inside or id(producer) in refused:
                continue
            v = producer.output
            fits = _is_member(producer) and v.type == root.output.type and not graph.is_output(v)
            if fits and all(id(user) in inside for user, _ in v.uses) and _is_small([*members, producer]):
                members.append(producer)
                break
        else:
            position = {id(n): i for i, n in enumerate(graph.nodes)}
            return sorted(members, key=lambda m: position[id(m)])


def _producers(members: list[Node]) -> list[Node]:
    return [v.producer for m in members for v in m.inputs if v is not None and v.producer is not None]


def _is_small(members: list[Node]) -> bool:
    instructions = [spelled for m in members for spelled in SPELLING[m.op.name](m) or ()]
    inside = {_key(m.output) for m in members}
    keys = {_key(o) for _, operands in instructions for o in operands if o is not None}
    return len(instructions) <= MAX_INSTRUCTIONS and len(keys - inside) <= MAX_INPUTS


def _key(operand: Operand) -> tuple[str, float]:
    """What makes two operands the same input: constant scalars are by their number."""
    if not isinstance(operand, Value):
        return "number", operand
    if operand.data is not None and operand.data.ndim == 0:
        return "number", float(operand.data)
    return "value", id(operand)


def _replace(graph: Graph, root: Node, members: list[Node]) -> None:
    inside = {_key(m.output) for m in members}
    inputs: dict[tuple[str, float], Value] = {}
    spelled = [(m, SPELLING[m.op.name](m) or []) for m in members]
    for _, instructions in spelled:
        for _, operands in instructions:
            for o in operands:
                if o is not None and _key(o) not in inside and _key(o) not in inputs:
                    inputs[_key(o)] = o if isinstance(o, Value) else graph.constant(np.float32(o), "number")
    index = {key: i for i, key in enumerate(inputs)}
    program: list[str] = []
    for member, instructions in spelled:
        for name, operands in instructions:
            previous = len(inputs) + len(program) - 1
            places = [previous if o is None else index[_key(o)] for o in operands]
            program.append(" ".join([name, *map(str, places)]))
        index[_key(member.output)] = len(inputs) + len(program) - 1
    made = graph.add("edge.Elementwise", *inputs.values(), program=program, before=root, name=root.name)
    graph.replace(root.output, made)
    prune(graph, list(reversed(members)))


Instructions = list[tuple[str, list["Operand | None"]]]
"""(name, operands) in order; None as an operand is the result of the instruction before."""


def _plain(node: Node) -> Instructions | None:
    return [(node.op.name, list(node.inputs))]


def _with_attributes(*names: str) -> Callable[[Node], Instructions | None]:
    """The operator with attributes as further operands, rounded as float32 attributes are."""

    def spell(node: Node) -> Instructions | None:
        return [(node.op.name, [node.inputs[0], *(float(np.float32(getattr(node.attrs, n))) for n in names)])]

    return spell


def _clip(node: Node) -> Instructions | None:
    low, high = input_at(node, 1), input_at(node, 2)
    return [("Clip", [node.inputs[0], -math.inf if low is None else low, math.inf if high is None else high])]


def _gelu(node: Node) -> Instructions | None:
    return [("GeluTanh" if node.attrs.approximate == "tanh" else "Gelu", [node.inputs[0]])]


def _power(node: Node) -> Instructions | None:
    """x**2 is x * x and x**0.5 a square root, as in the lowering of Pow."""
    squared, rooted = (with_number(node.output, "Pow") == (node.inputs[0], c) for c in (2.0, 0.5))
    if squared or rooted:
        return [("Mul", [node.inputs[0], node.inputs[0]]) if squared else ("Sqrt", [node.inputs[0]])]
    return _plain(node)


def _folded(name: str) -> Callable[[Node], Instructions | None]:
    """An operator of any number of inputs, from the left."""

    def spell(node: Node) -> Instructions | None:
        if len(node.inputs) < 2:
            return None
        first, second, *rest = node.inputs
        start: Instructions = [(name, [first, second])]
        return start + [(name, [None, v]) for v in rest]

    return spell


SPELLING: dict[str, Callable[[Node], Instructions | None]] = {
    **dict.fromkeys(INSTRUCTIONS, _plain),
    **dict.fromkeys(("LeakyRelu", "Elu", "Celu", "ThresholdedRelu", "Swish"), _with_attributes("alpha")),
    "HardSigmoid": _with_attributes("alpha", "beta"),
    "Selu": _with_attributes("alpha", "gamma"),
    "Shrink": _with_attributes("bias", "lambd"),
    "Clip": _clip,
    "Gelu": _gelu,
    "Pow": _power,
    "Max": _folded("Max"),
    "Min": _folded("Min"),
    "Sum": _folded("Add"),
}
"""How an ONNX operator is written as instructions."""
