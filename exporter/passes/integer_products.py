"""MatMulInteger and ConvInteger, and what turns their sums into real numbers, become integer products."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.types import DType
from exporter.passes._integer import Weights, add_product, columns_of, conv_weights, is_scalar, matrix_weights
from exporter.passes._layout import channels_first, channels_last
from exporter.passes._match import Array, contents, input_at, is_f32, live, produced_by, prune, sole_user
from exporter.passes.channels_last_conv import conv_geometry

MATMUL, CONV, TO_FLOAT = "MatMulInteger", "ConvInteger", "com.microsoft.MatMulIntegerToFloat"


def integer_products(graph: Graph) -> int:
    """Replaces products of bytes, whose left operand may be quantised while the model runs.

    1. MatMulInteger -> edge.QGemm, ConvInteger -> edge.QConv, QDepthwiseConv or QGemm between transposes. They give int32,
       or real numbers where Cast to float32 and Mul with scales are all that the sums are for: constants for each column
       times one number, which may be computed (from DynamicQuantizeLinear).
    2. com.microsoft.MatMulIntegerToFloat -> edge.QGemm.

    What follows is fused by fuse_epilogues. Not where the right operand, its zero point or its scales are not constant, or
    the left one has several zero points or scales.
    """
    changes = 0
    for node in live(graph):
        if node.op.name in (MATMUL, CONV, TO_FLOAT) and _replace(graph, node):
            changes += 1
    return changes


def _replace(graph: Graph, node: Node) -> bool:
    is_real = node.op.name == TO_FLOAT
    a, b = node.inputs[:2]
    a_zero, b_zero = (input_at(node, i) for i in ((4, 5) if is_real else (2, 3)))
    zero = None if b_zero is None else contents(b_zero)
    if a is None or b is None or b.data is None or not is_scalar(a_zero) or (b_zero is not None and zero is None):
        return False
    if zero is not None and (zero.ndim > 1 or (zero.size > 1 and zero.ndim != 1)):
        return False
    image, restore, weights = _weights(graph, node, a, b, zero)
    if weights is None:
        return False
    if is_real:
        return _to_float(graph, node, image, weights, a_zero)
    scaled = _scaled(graph, node.output, _columns(node, b))
    if scaled is None:
        y = add_product(graph, weights, image, node, output="int32", a_zero=a_zero)
        graph.replace(node.output, restore(y))
        prune(graph, [node])
        return True
    last, a_scale, scale = scaled
    y = add_product(graph, weights, image, last, output="float32", a_scale=a_scale, scale=scale, a_zero=a_zero)
    graph.replace(last.output, restore(y))
    prune(graph, [last])
    return True


def _weights(graph: Graph, node: Node, a: Value, b: Value, zero: Array | None) -> tuple[Value, Any, Weights | None]:
    """(left operand in the product's layout, function that gives the result the node's layout, weights or None)."""
    rank = b.type.rank
    if node.op.name == CONV:
        g = conv_geometry(node, a, b) if a.type.rank in (3, 4) else None
        if g is None:
            return a, None, None
        weights = conv_weights(graph, b, zero, node.attrs.group, g)
        end = node if (found := _scaled(graph, node.output, _columns(node, b))) is None else found[0]
        a_rank = a.type.rank
        assert a_rank is not None
        return channels_last(graph, a, node), lambda y: channels_first(graph, y, a_rank, end), weights
    per_column = zero is not None and zero.size > 1
    if not a.type.rank or rank is None or rank < 2 or (rank > 2 and (a.type.rank < 2 or per_column)):
        return a, None, None
    return a, lambda y: y, matrix_weights(graph, b, zero)


def _columns(node: Node, b: Value) -> tuple[int, int]:
    """(number of columns, their axis in the sums)."""
    assert b.data is not None
    return (b.data.shape[0], 1) if node.op.name == CONV else (b.data.shape[-1], -1)


def _to_float(graph: Graph, node: Node, a: Value, weights: Weights, a_zero: Value | None) -> bool:
    n = weights.attributes["n"]
    a_scale, b_scale, bias = node.inputs[2], contents(node.inputs[3]), input_at(node, 6)
    if not is_scalar(a_scale) or b_scale is None or b_scale.size not in (1, n):
        return False
    addend: Any = bias
    if bias is not None and contents(bias) is not None:
        addend = columns_of(contents(bias), n)  # type: ignore[arg-type]
    if bias is not None and (addend is None or bias.type.shape != (n,)):
        return False
    y = add_product(
        graph, weights, a, node, a_zero=a_zero, a_scale=a_scale, scale=b_scale, bias=addend, output="float32"
    )
    graph.replace(node.output, y)
    prune(graph, [node])
    return True


def _scaled(graph: Graph, sums: Value, columns: tuple[int, int]) -> tuple[Node, Value | None, Array] | None:
    """(the Mul that makes the sums real, a scale that is computed or None, constant scales)."""
    cast = sole_user(graph, sums, "Cast")
    if cast is None or cast.output.type.dtype is not DType.FLOAT32:
        return None
    mul = sole_user(graph, cast.output, "Mul")
    if mul is None or mul.output.type != cast.output.type:
        return None
    scale = next((v for v in mul.inputs if v is not cast.output), None)
    if scale is None or not is_f32(scale):
        return None
    inner = produced_by(scale, "Mul")
    factors = list(inner.inputs) if inner is not None and contents(scale) is None else [scale]
    fixed = [contents(v) for v in factors]
    computed = [v for v, data in zip(factors, fixed) if data is None]
    arrays = [data for data in fixed if data is not None]
    if len(computed) > 1 or len(arrays) > 1 or not all(map(is_scalar, computed)):
        return None
    rows = columns_of(arrays[0], *columns) if arrays else np.ones(1, np.float32)
    if rows is None:
        return None
    flat = arrays[0] if arrays and arrays[0].size == 1 else rows
    return mul, computed[0] if computed else None, np.asarray(flat, np.float32)
