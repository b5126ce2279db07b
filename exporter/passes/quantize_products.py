"""Convolutions and matrix products between DequantizeLinear and QuantizeLinear become integer products."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from edge_rt.graph import Graph, Node, Value
from exporter.passes._integer import Weights, add_product, columns_of, conv_weights, matrix_weights, packed_at_run_time
from exporter.passes._layout import channels_first, channels_last
from exporter.passes._match import Array, contents, input_at, is_f32, live, prune
from exporter.passes._quantized import Quantised, quantised, rounding_behind, zero_point
from exporter.passes.channels_last_conv import conv_geometry

Restore = Callable[[Value], Value]

COARSEST_BIAS, LARGEST_BIAS = 1 / 16, 2**30
"""Steps of the result that one step of an integer bias may be, where the bias was real and is rounded; and how many."""


class Addend(NamedTuple):
    """What is added to each column: real numbers, and where they were quantised the integers and their scale."""

    real: Array | None = None
    whole: Array | None = None
    scale: Array | None = None


def quantize_products(graph: Graph) -> int:
    """Replaces products of two dequantised operands by integer products of what was dequantised.

    1. Conv over one or two axes with constant weights -> edge.QConv, QDepthwiseConv, or QGemm for 1x1, between transposes.
    2. MatMul, with a right operand that is constant or packed at run time -> edge.QGemm.
    3. Gemm with constant weights and a constant addend of a row -> edge.QGemm.

    A QuantizeLinear that is all the result is for, also behind Relu and Clip, becomes part of the product, which then gives
    integers. Otherwise the product gives real numbers. Integer products are exact; so the result differs from that of the
    real operators, rounded once more in between, by a step of the QuantizeLinear at most.

    Not where a scale or zero point is not constant, the left operand has more than one scale or is not of bytes, the right
    one has scales along another axis than that of the columns, or the addend is not constant.
    """
    changes = 0
    for node in live(graph):
        rule = RULES.get(node.op.name)
        if rule is not None and is_f32(*node.inputs) and rule(graph, node):
            changes += 1
    return changes


def _operands(node: Node) -> tuple[Quantised, Quantised] | None:
    a, b = quantised(node.inputs[0]), quantised(node.inputs[1])
    return (a, b) if a is not None and b is not None and a.is_uniform and b.is_bytes else None


def _conv(graph: Graph, node: Node) -> bool:
    found = _operands(node)
    x, w = node.inputs[:2]
    if found is None or x is None or w is None or found[1].q.data is None or x.type.rank not in (3, 4):
        return False
    a, b = found
    g = conv_geometry(node, x, w)
    addend = _addend(input_at(node, 2), b.q.data.shape[0], 0)  # type: ignore[union-attr]
    if g is None or addend is None or (b.scale.size > 1 and b.axis != 0):
        return False
    weights = conv_weights(graph, b.q, b.zero, node.attrs.group, g)
    image = channels_last(graph, a.q, node)
    factor, rank = a.scale * b.scale, x.type.rank
    _finish(graph, node, image, a, weights, factor, addend, lambda y: channels_first(graph, y, rank, node))
    return True


def _matmul(graph: Graph, node: Node) -> bool:
    found = _operands(node)
    if found is None:
        return False
    a, b = found
    rank = b.q.type.rank
    if not a.q.type.rank or rank is None or rank < 2 or (rank > 2 and a.q.type.rank < 2):
        return False
    if b.scale.size > 1 and (rank > 2 or b.axis != rank - 1):
        return False
    if b.q.data is not None:
        weights: Weights | None = matrix_weights(graph, b.q, b.zero)
    else:
        weights = packed_at_run_time(graph, b.q, b.zero, node) if b.scale.size == 1 else None
    if weights is None:
        return False
    _finish(graph, node, a.q, a, weights, a.scale * b.scale, Addend(), lambda y: y)
    return True


def _gemm(graph: Graph, node: Node) -> bool:
    found, attrs = _operands(node), node.attrs
    if found is None or attrs.transA or found[1].q.data is None:
        return False
    a, b = found
    turned = bool(attrs.transB)
    n = b.q.data.shape[0 if turned else 1]  # type: ignore[union-attr]
    addend = _addend(input_at(node, 2), n, -1)
    if addend is None or (b.scale.size > 1 and b.axis != (0 if turned else 1)):
        return False
    if addend.real is not None and attrs.beta != 1:
        return False
    weights = matrix_weights(graph, b.q, b.zero, transposed=turned)
    _finish(graph, node, a.q, a, weights, a.scale * b.scale * np.float32(attrs.alpha), addend, lambda y: y)
    return True


RULES = {"Conv": _conv, "MatMul": _matmul, "Gemm": _gemm}


def _addend(value: Value | None, n: int, axis: int) -> Addend | None:
    """What a product adds to its columns along `axis`; None where that is not one row of constants."""
    if value is None:
        return Addend()
    whole = quantised(value)
    if whole is not None and whole.q.data is not None and not whole.zero.any() and whole.scale.size in (1, n):
        q = columns_of(whole.q.data, n, axis)
        return None if q is None else Addend(q.astype(np.float32) * whole.scale, q.astype(np.int32), whole.scale)
    real = contents(value)
    row = None if real is None else columns_of(real, n, axis)
    return None if row is None else Addend(np.ascontiguousarray(row, np.float32))


def _whole(addend: Addend, factor: Array, steps: Array) -> Array | None:
    """The addend in whole steps of the sums, int32; None where that is too coarse or does not fit.

    factor: real size of a step of the sums; steps: the same in steps of the result.
    """
    if addend.whole is not None and addend.scale is not None and np.allclose(addend.scale, factor, rtol=1e-5, atol=0.0):
        return addend.whole
    rounded = np.rint(addend.real.astype(np.float64) / factor)  # type: ignore[union-attr]
    if steps.max(initial=0.0) > COARSEST_BIAS or np.abs(rounded).max(initial=0.0) > LARGEST_BIAS:
        return None
    return np.asarray(rounded.astype(np.int32))


def _finish(
    graph: Graph, node: Node, a: Value, of: Quantised, weights: Weights, factor: Array, addend: Addend, restore: Restore
) -> None:
    """Puts the product in the node's place. factor: real size of a step of its sums; restore: gives it the node's layout."""
    rounding, a_zero = rounding_behind(graph, node.output), zero_point(graph, of)
    if rounding is not None:
        steps = factor / rounding.scale[0]
        bias = None if addend.real is None else _whole(addend, factor, steps)
        if addend.real is None or bias is not None:
            y = add_product(
                graph, weights, a, node, a_zero=a_zero, output=rounding.dtype.value, scale=steps, bias=bias,
                y_zero=int(rounding.zero[0]), lo=rounding.lo, hi=rounding.hi,
            )  # fmt: skip
            graph.replace(rounding.q, restore(y))
            prune(graph, [rounding.node])
            return
    y = add_product(graph, weights, a, node, a_zero=a_zero, output="float32", scale=factor, bias=addend.real)
    graph.replace(node.output, restore(y))
    prune(graph, [node])
