"""Looks rows of compressed tables up before they are decoded, so that the table stays small."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import input_at, live, produced_by, replace

MIN_BYTES = 1 << 16
"""Smaller tables are decoded at export."""


def gather_before_decoding(graph: Graph) -> int:
    """Gather(decode(table), i) -> decode(Gather(table, i)) over axis 0 of a constant table.

    1. decode is Cast, or Mul, Div, Add or Sub with a constant that has one number per row (gathered too) or for all.
    2. decode is DequantizeLinear with one scale, or along another axis than 0.

    Not for tables below MIN_BYTES, where the decoded table has other uses, or where decoding does not widen it in the
    end: the innermost table must have elements of at most 16 bits.
    """
    changes = 0
    while found := _sweep(graph):
        changes += found
    return changes


def _sweep(graph: Graph) -> int:
    """Moves lookups over one step of decoding."""
    changes = 0
    for node in live(graph):
        if node.op.name != "Gather" or node.attrs.axis != 0:
            continue
        table, indices = node.inputs
        decode = produced_by(table, "Cast", "Mul", "Div", "Add", "Sub", "DequantizeLinear")
        if decode is None or table is None or indices is None or not graph.has_one_use(table):
            continue
        position = _table_position(decode, table)
        if position is None:
            continue
        inputs = [
            _rows(graph, v, indices, table, node) if i == position or decode.op.name != "DequantizeLinear" else v
            for i, v in enumerate(decode.inputs)
        ]
        attrs = decode.attrs
        if decode.op.name == "DequantizeLinear" and decode.inputs[1] is not None and decode.inputs[1].type.rank:
            assert table.type.rank is not None
            attrs = attrs.replace(axis=attrs.axis % table.type.rank + (indices.type.rank or 0) - 1)
        replace(graph, node, graph.add(decode.op, *inputs, attrs=attrs, before=node, name=decode.name))
        changes += 1
    return changes


def _table_position(decode: Node, table: Value) -> int | None:
    """The input of the decoding node that holds the compressed table."""
    for position, v in enumerate(decode.inputs):
        if v is None or v.type.shape != table.type.shape or not _is_compressed(v):
            continue
        others = [o for i, o in enumerate(decode.inputs) if i != position]
        if any(o is not None and not o.is_constant for o in others):
            return None
        if decode.op.name == "DequantizeLinear":
            scale = input_at(decode, 1)
            along_rows = scale is not None and scale.type.rank == 1 and decode.attrs.axis % len(v.type.shape or ()) == 0
            return None if along_rows or scale is None or (scale.type.rank or 0) > 1 else position
        return position
    return None


def _is_compressed(value: Value) -> bool:
    """Whether a large constant with elements of at most 16 bits is behind the value."""
    if value.data is not None:
        return value.data.itemsize <= 2 and value.data.nbytes >= MIN_BYTES
    decode = produced_by(value, "Cast", "Mul", "Div", "Add", "Sub", "DequantizeLinear")
    return decode is not None and _table_position(decode, value) is not None


def _rows(graph: Graph, v: Value | None, indices: Value, table: Value, before: Node) -> Value | None:
    """The rows of an operand that broadcasts to the table, shaped to broadcast to the table's rows."""
    if v is None or v.type.shape is None or table.type.shape is None:
        return v
    rank = len(table.type.shape)
    if len(v.type.shape) == rank and v.type.shape[0] == table.type.shape[0]:
        made: Value = graph.add("Gather", v, indices, axis=0, before=before)
        return made
    if len(v.type.shape) < rank or v.data is None:
        return v
    return graph.constant(np.squeeze(v.data, 0), v.name)
