"""Rounding to 16 bits and back is arithmetic in float32, which holds all such integers."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.ops._rules import integer_range
from edge_rt.types import DType
from exporter.passes._match import contents, input_at, is_f32, live, produced_by, replace

WIDE = (DType.INT16, DType.UINT16)


def expand_wide_quantization(graph: Graph) -> int:
    """DequantizeLinear(QuantizeLinear(x, s, z), t, u) of 16 bits -> (Clip(Round(x / s), lo - z, hi - z) + z - u) * t.

    NaN stays NaN. Not for scales that are not one float32 number, zero points that are not constant, nor another precision.
    """
    changes = 0
    for node in live(graph):
        decode = node if node.op.name == "DequantizeLinear" else None
        encode = None if decode is None else produced_by(decode.inputs[0], "QuantizeLinear")
        if decode is None or encode is None or encode.output.type.dtype not in WIDE or encode.inputs[0] is None:
            continue
        ends = (encode.inputs[0], *encode.inputs[1:2], decode.inputs[1], decode.output)
        if not is_f32(*ends) or encode.attrs.precision not in (None, DType.FLOAT32):
            continue
        made = _rounded(graph, encode, decode)
        if made is not None:
            replace(graph, decode, made)
            changes += 1
    return changes


def _number(node: Node, position: int) -> int | None:
    """A constant zero point; 0 where there is none."""
    if input_at(node, position) is None:
        return 0
    zero = contents(input_at(node, position))
    return int(zero.reshape(-1)[0]) if zero is not None and zero.size == 1 else None


def _rounded(graph: Graph, encode: Node, decode: Node) -> Value | None:
    x, scales = encode.inputs[0], (encode.inputs[1], decode.inputs[1])
    if x is None or any(s is None or not s.type.is_static or s.type.size != 1 for s in scales):
        return None
    zero, other = _number(encode, 2), _number(decode, 2)
    if zero is None or other is None:
        return None
    low, high = (graph.constant(np.float32(limit - zero)) for limit in integer_range(encode.output.type.dtype.numpy))
    number = graph.constant(np.zeros(0, np.int64))
    down, up = (graph.add("Reshape", s, number, before=decode) for s in scales)
    y: Value = graph.add("Round", graph.add("Div", x, down, before=decode), before=decode)
    y = graph.add("Clip", y, low, high, before=decode)
    if zero != other:
        y = graph.add("Add", y, graph.constant(np.float32(zero - other)), before=decode)
    return graph.add("Mul", y, up, before=decode, name=decode.name)  # type: ignore[no-any-return]
