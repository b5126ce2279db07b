"""Transposes pass nodes that change the rank: Reshape, Flatten and Unsqueeze."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from edge_rt.graph import Graph, Node
from edge_rt.types import Dim
from exporter.passes._match import input_at, integers, replace, transpose
from exporter.passes._sink_support import source
from exporter.passes.merge_reshapes import reshape_target

Group = tuple[list[int], list[int]]
"""(axes of the input, axes of the output) that hold the same elements."""


def sink_reshape(graph: Graph, node: Node) -> bool:
    """Reshape(Transpose(x)) -> Transpose(Reshape(x)) where axes that the Reshape joins or splits move as one block."""
    found = source(node.inputs[0])
    wanted = node.output.type.shape
    if found is None or wanted is None or node.inputs[0] is None or node.inputs[0].type.shape is None:
        return False
    x, perm = found
    given = node.inputs[0].type.shape
    groups = same_elements(given, wanted)
    if groups is None or x.type.shape is None:
        return False
    blocks: list[tuple[int, list[int]]] = []
    for inputs, outputs in groups:
        axes = [perm[i] for i in inputs if given[i] != 1]
        if not _adjacent(axes, x.type.shape):
            return False
        blocks.append((axes[0], outputs))
    order = [axis for _, outputs in sorted(blocks) for axis in outputs]
    target = reshape_target(x.type.shape, [wanted[axis] for axis in order])
    if target is None:
        return False
    made = graph.add("Reshape", x, graph.constant(np.array(target, np.int64)), before=node, name=node.name)
    replace(graph, node, transpose(graph, made, tuple(order.index(axis) for axis in range(len(order))), node))
    return True


def same_elements(given: Sequence[Dim], wanted: Sequence[Dim]) -> list[Group] | None:
    """The finest groups of axes of two shapes with equal sizes, in order; each with an input axis that is not 1.

    None where a size is 0, where all are 1, or where the products of unknown sizes never agree.
    """
    if any(d == 0 for d in [*given, *wanted]):
        return None
    groups: list[Group] = []
    inputs: list[int] = []
    j, done, reached = 0, _one(), _one()
    for i, size in enumerate(given):
        inputs.append(i)
        done = done * size
        if size == 1:
            continue
        outputs: list[int] = []
        product, k = reached, j
        while k < len(wanted) and product != done:
            product = product * wanted[k]
            outputs.append(k)
            k += 1
        if product == done and outputs:
            groups.append((inputs, outputs))
            inputs, j, reached = [], k, product
    if not groups or done != reached or any(d != 1 for d in wanted[j:]):
        return None
    groups[-1][0].extend(inputs)
    groups[-1][1].extend(range(j, len(wanted)))
    return groups


def _one() -> Dim:
    return 1


def _adjacent(axes: Sequence[int], shape: Sequence[Dim]) -> bool:
    """Whether the axes ascend, with nothing but axes of size 1 between them."""
    return all(a < b and all(d == 1 for d in shape[a + 1 : b]) for a, b in itertools.pairwise(axes))


def sink_unsqueeze(graph: Graph, node: Node) -> bool:
    """Unsqueeze(Transpose(x)) -> Transpose(Unsqueeze(x)); a new axis stays in front of the same axis."""
    found = source(node.inputs[0])
    axes = integers(input_at(node, 1))
    rank = node.output.type.rank
    if found is None or axes is None or rank is None:
        return False
    x, perm = found
    new = sorted(a % rank for a in axes)
    old = [axis for axis in range(rank) if axis not in new]
    origin = dict(zip(old, perm))
    # Each axis of the result by where it goes in x: at an axis of x, or as a new one before or behind it.
    places: dict[int, tuple[float, int]] = {}
    for axis in range(rank):
        if axis in origin:
            places[axis] = (float(origin[axis]), 0)
            continue
        following = next((a for a in old if a > axis), None)
        places[axis] = (origin[following] - 0.5 if following is not None else origin[old[-1]] + 0.5, axis)
    order = sorted(places, key=lambda axis: places[axis])
    inserted = [position for position, axis in enumerate(order) if axis in new]
    made = graph.add("Unsqueeze", x, graph.constant(np.array(inserted)), before=node, name=node.name)
    replace(graph, node, transpose(graph, made, tuple(order.index(axis) for axis in range(rank)), node))
    return True
