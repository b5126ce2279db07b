"""Finds scaled dot-product attention in the products and the softmax that frameworks write it with."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import (
    contents,
    is_f32,
    live,
    permutation,
    produced_by,
    replace,
    scalar,
    transpose,
    with_number,
)


class Scores(NamedTuple):
    """scale * q k^T + mask."""

    q: Value
    k: Value
    """As its transpose in the graph: [batch, heads, size, keys]."""
    scale: float
    mask: Value | None


def recognize_attention(graph: Graph) -> int:
    """softmax(scale * q k^T + mask) v -> Attention(q, k, v, mask), all of them [batch, heads, length, size].

    The scale may be a constant factor of the product, of q or of k. NaNs of the softmax may be replaced by zeros
    (Where(IsNaN(s), 0, s)), which is what Attention gives where a query may see nothing.

    Not where a value in between is used elsewhere or is an output, where k is not the result of a Transpose, where
    heads differ, for a scale that is not positive, for other dtypes than float32, or where the mask might hide all keys
    from a query while the program would give NaN: it must be finite, or NaNs be replaced.
    """
    changes = 0
    for node in live(graph):
        if node.op.name != "MatMul" or not is_f32(*node.inputs):
            continue
        found = _weights(graph, node.inputs[0])
        if found is None:
            continue
        softmax, replaces_nan = found
        scores = _scores(graph, softmax.inputs[0])
        v = node.inputs[1]
        if scores is None or v is None or not _fits(scores, v):
            continue
        if scores.mask is not None and not replaces_nan and not _is_finite(scores.mask):
            continue
        turned = produced_by(scores.k, "Transpose")
        assert turned is not None
        assert turned.inputs[0] is not None
        perm = permutation(turned)
        k = transpose(graph, turned.inputs[0], (*perm[:2], perm[3], perm[2]), node)
        inputs = [scores.q, k, v] if scores.mask is None else [scores.q, k, v, scores.mask]
        y, *_ = graph.add("Attention", *inputs, scale=scores.scale, before=node, name=node.name)
        replace(graph, node, y)
        changes += 1
    return changes


def _weights(graph: Graph, value: Value | None) -> tuple[Node, bool] | None:
    """(Softmax over the last of four axes, whether NaNs of it are replaced by zeros) whose result only `value` is."""
    if value is None or value.type.rank != 4 or not graph.has_one_use(value):
        return None
    chosen = produced_by(value, "Where")
    if chosen is not None:
        condition, zero, kept = chosen.inputs
        test = produced_by(condition, "IsNaN")
        if test is None or kept is None or test.inputs[0] is not kept or scalar(zero) != 0.0:
            return None
        if len(kept.uses) != 2 or graph.is_output(kept) or len(test.output.uses) != 1:
            return None
        value = kept
    softmax = produced_by(value, "Softmax")
    if softmax is None or softmax.attrs.axis % 4 != 3:
        return None
    return softmax, chosen is not None


def _scores(graph: Graph, value: Value | None) -> Scores | None:
    if value is None or not graph.has_one_use(value):
        return None
    added = produced_by(value, "Add")
    if added is not None:
        for product, other in (added.inputs, added.inputs[::-1]):
            if product is None or product.type != value.type or not graph.has_one_use(product):
                continue
            found = _product(graph, product)
            if found is not None:
                return found._replace(mask=other)
        return None
    return _product(graph, value)


def _product(graph: Graph, value: Value) -> Scores | None:
    """The scores without mask: a MatMul, times a number."""
    value, scale = _unscaled(graph, value)
    product = produced_by(value, "MatMul")
    if product is None or not graph.has_one_use(value):
        return None
    q, k = product.inputs
    assert q is not None
    assert k is not None
    q, q_scale = _unscaled(graph, q)
    k, k_scale = _unscaled(graph, k)
    total = scale * q_scale * k_scale
    return Scores(q, k, total, None) if 0 < total < math.inf and produced_by(k, "Transpose") is not None else None


def _unscaled(graph: Graph, value: Value) -> tuple[Value, float]:
    """(x, c) where the value is x * c and has no other use; (value, 1) otherwise."""
    found = with_number(value, "Mul") if graph.has_one_use(value) else None
    return (value, 1.0) if found is None else found


def _fits(scores: Scores, v: Value) -> bool:
    q, k = scores.q.type.shape, scores.k.type.shape
    if q is None or k is None or v.type.shape is None or not len(q) == len(k) == len(v.type.shape) == 4:
        return False
    if scores.mask is not None and (scores.mask.type.rank is None or not is_f32(scores.mask)):
        return False
    return q[:2] == k[:2] == v.type.shape[:2] and is_f32(scores.q, scores.k, v)


def _is_finite(mask: Value) -> bool:
    """Whether the mask is obviously finite: a constant, or something times or chosen among finite constants."""
    known = contents(mask)
    if known is not None:
        return bool(np.isfinite(known).all())
    scaled = with_number(mask, "Mul")
    if scaled is not None:
        return math.isfinite(scaled[1])
    chosen = produced_by(mask, "Where")
    if chosen is None:
        return False
    choices = [contents(v) for v in chosen.inputs[1:]]
    return all(c is not None and bool(np.isfinite(c).all()) for c in choices)
