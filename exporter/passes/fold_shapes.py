"""Turns shapes that the program computes into constants where inference can say them."""

from __future__ import annotations

import numpy as np

from edge_rt.dims import Sym
from edge_rt.graph import Graph, Node
from edge_rt.types import Dim
from exporter.passes._match import live, replace
from exporter.passes.merge_reshapes import in_numbers


def fold_shapes(graph: Graph) -> int:
    """Replaces the computed shape of a Reshape or Expand by a constant that means the same.

    1. Reshape(x, s), s known up to unknown sizes: an unknown size that x has at the same axis is written 0 (copy it),
       one remaining unknown size -1.
    2. Expand(x, s): a size that x already has at that axis is written 1; all others must be numbers.

    Not where the contents of s are not known at all, where two sizes would have to be -1, or where `allowzero` is set
    and s has a 0 (which is a size then).
    """
    changes = 0
    for node in live(graph):
        rule = {"Reshape": _reshape, "Expand": _expand}.get(node.op.name)
        shape = node.inputs[1] if rule is not None else None
        if rule is None or shape is None or shape.is_constant or shape.known is None:
            continue
        target = rule(node, [d if isinstance(d, Sym) else int(d) for d in shape.known.ravel()])
        if target is None:
            continue
        constant = graph.constant(np.array(target, np.int64), f"{node.name}.shape")
        replace(graph, node, graph.add(node.op, node.inputs[0], constant, before=node, name=node.name))
        changes += 1
    return changes


def _reshape(node: Node, shape: list[Dim]) -> list[int] | None:
    x = node.inputs[0]
    if x is None or x.type.shape is None or (node.attrs.allowzero and 0 in shape):
        return None
    return in_numbers(x.type.shape, shape)


def _expand(node: Node, shape: list[Dim]) -> list[int] | None:
    x = node.inputs[0]
    if x is None or x.type.shape is None:
        return None
    padded: tuple[Dim, ...] = (*(1 for _ in range(len(shape) - len(x.type.shape))), *x.type.shape)
    offset = len(padded) - len(shape)
    target: list[int] = []
    for axis, d in enumerate(shape):
        if type(d) is int:
            target.append(d)
        elif padded[axis + offset] == d:
            target.append(1)
        else:
            return None
    return target
