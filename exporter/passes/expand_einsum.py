"""Writes Einsum as a matrix product of operands whose axes were sorted, which has a kernel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.ops.einsum import terms_of
from edge_rt.types import Dim
from exporter.passes._match import Array, is_f32, live, replace, transpose


class _Operand(NamedTuple):
    """A tensor and the letters of its axes."""

    value: Value
    axes: str


def expand_einsum(graph: Graph) -> int:
    """Einsum of one or two operands -> ReduceSum, Transpose, MatMul (or Mul, where nothing is summed), Reshape.

    "bhci,bhcj->bhij" is MatMul(Transpose(a), b). Axes that both operands have and the result keeps are batches; several axes
    of one kind become one. Not for other dtypes than float32, an axis that an operand has twice, sizes that broadcast,
    ellipses, more operands, or several axes of unknown sizes that would have to become one.
    """
    changes = 0
    for node in live(graph):
        if node.op.name != "Einsum" or not is_f32(*node.inputs) or "." in node.attrs.equation:
            continue
        terms, output = terms_of(node.attrs.equation)
        operands = [_Operand(v, term) for v, term in zip(node.inputs, terms) if v is not None]
        sizes = _sizes(operands)
        if sizes is None or len(operands) > 2:
            continue
        needed = [_summed(graph, o, set(output).union(*(p.axes for p in operands if p is not o)), node) for o in operands]
        made = needed[0] if len(needed) == 1 else _product(graph, needed[0], needed[1], output, sizes, node)
        if made is None:
            continue
        replace(graph, node, transpose(graph, made.value, tuple(made.axes.index(c) for c in output), node))
        changes += 1
    return changes


def _sizes(operands: list[_Operand]) -> dict[str, Dim] | None:
    """The size of each axis; None if one is not the same wherever it stands, or stands twice in one operand."""
    sizes: dict[str, Dim] = {}
    for value, axes in operands:
        if value.type.shape is None or len(set(axes)) != len(axes):
            return None
        for letter, size in zip(axes, value.type.shape):
            if sizes.setdefault(letter, size) != size or size == 0:
                return None
    return sizes


def _summed(graph: Graph, operand: _Operand, kept: set[str], before: Node) -> _Operand:
    """The operand without the axes that nobody else has."""
    value, axes = operand
    places = [i for i, letter in enumerate(axes) if letter not in kept]
    if not places:
        return operand
    where = graph.constant(np.array(places, np.int64))
    return _Operand(
        graph.add("ReduceSum", value, where, keepdims=False, before=before), "".join(c for c in axes if c in kept)
    )


def _product(
    graph: Graph, a: _Operand, b: _Operand, output: str, sizes: dict[str, Dim], before: Node
) -> _Operand | None:
    """Sums of products over the axes that both have and the result lacks. None if shapes cannot be written down."""
    shared = [c for c in a.axes if c in b.axes]
    batch = "".join(c for c in output if c in shared)
    summed = "".join(c for c in shared if c not in output)
    own = [[c for c in output if c in o.axes and c not in shared] for o in (a, b)]
    if _is_right(a, b, own, output):
        a, b, own = b, a, own[::-1]
    rows, columns = ("".join(letters) for letters in own)
    if not summed:
        axes = np.arange(len(batch), len(batch) + len(rows + columns))
        left, right = _sorted(graph, a, batch + rows, before), _sorted(graph, b, batch + columns, before)
        wide = _unsqueezed(graph, left, axes[len(rows) :], before), _unsqueezed(graph, right, axes[: len(rows)], before)
        return _Operand(graph.add("Mul", *wide, before=before, name=before.name), batch + rows + columns)
    shapes = [_shape(batch, groups, sizes) for groups in ([rows, summed], [summed, columns], [*rows, *columns])]
    if None in shapes and not len(rows) == len(summed) == len(columns) == 1:
        return None
    left, right = _sorted(graph, a, batch + rows + summed, before), _sorted(graph, b, batch + summed + columns, before)
    if not len(rows) == len(summed) == 1:
        left = _reshaped(graph, left, shapes[0], before)
    if not len(summed) == len(columns) == 1:
        right = _reshaped(graph, right, shapes[1], before)
    y = graph.add("MatMul", left, right, before=before, name=before.name)
    if not len(rows) == len(columns) == 1:
        y = _reshaped(graph, y, shapes[2], before)
    return _Operand(y, batch + rows + columns)


def _is_right(a: _Operand, b: _Operand, own: list[list[str]], output: str) -> bool:
    """Whether the product is better written as b times a: weights stand on the right, else what the result names last."""
    if (a.value.data is None) != (b.value.data is None):
        return a.value.data is not None
    return output.endswith("".join(own[1] + own[0])) and all(own)


def _sorted(graph: Graph, operand: _Operand, axes: str, before: Node) -> Value:
    return transpose(graph, operand.value, tuple(operand.axes.index(c) for c in axes), before)


def _unsqueezed(graph: Graph, value: Value, axes: Array, before: Node) -> Value:
    if not axes.size:
        return value
    made: Value = graph.add("Unsqueeze", value, graph.constant(axes.astype(np.int64)), before=before)
    return made


def _shape(batch: str, groups: list[str], sizes: dict[str, Dim]) -> list[int] | None:
    """A shape for Reshape: batches as they are (0), then one axis for each group. None if a size is not known."""
    made = [0] * len(batch)
    for group in groups:
        size = 1
        for letter in group:
            dim = sizes[letter]
            if not isinstance(dim, int):
                return None
            size *= dim
        made.append(size)
    return made


def _reshaped(graph: Graph, value: Value, shape: list[int] | None, before: Node) -> Value:
    made: Value = graph.add("Reshape", value, graph.constant(np.array(shape, np.int64)), before=before)
    return made
