"""What is computed on rows of a constant table is computed on the table, at export."""

from __future__ import annotations

from edge_rt.graph import Graph, Node, Value
from exporter.passes._match import constant_operand, live, replace, sole_user
from exporter.passes.sink_transposes import ONE_INPUT

TWO_INPUTS = frozenset({"Add", "Sub", "Mul", "Div", "Max", "Min", "Pow"})


def compute_on_tables(graph: Graph) -> int:
    """op(Gather(table, ids)) -> Gather(op(table), ids) for a constant table, rows along its first axis:

    1. op of single elements.
    2. op with a constant that goes along the row: of the shape of a row, or with axes of size 1 before and in it.

    Constant folding then computes the new table. Not where the rows that were read are used elsewhere, too (there would be
    two tables), where the constant is larger than a row, for other axes, or where the table has elements of less than 32
    bits or gets others: it is compressed.
    """
    changes = 0
    for gather in live(graph):
        table = gather.inputs[0] if gather.op.name == "Gather" and gather.attrs.axis == 0 else None
        if table is None or table.data is None or not gather.output.type.rank or table.data.itemsize < 4:
            continue
        user = sole_user(graph, gather.output, *ONE_INPUT, *TWO_INPUTS)
        if user is not None and user.output.type.dtype is not table.type.dtype:
            continue
        made = None if user is None else _on_table(graph, user, gather.output, table)
        if user is None or made is None:
            continue
        replace(graph, user, graph.add("Gather", made, gather.inputs[1], axis=0, before=user, name=gather.name))
        changes += 1
    return changes


def _on_table(graph: Graph, node: Node, rows: Value, table: Value) -> Value | None:
    """The operator applied to the table."""
    if node.op.name in ONE_INPUT:
        if any(v is rows or (v is not None and not v.is_constant) for v in node.inputs[1:]):
            return None
        made: Value = graph.add(node.op, table, *node.inputs[1:], attrs=node.attrs, before=node, name=node.name)
        return made
    found = constant_operand(node) if len(node.inputs) == 2 else None
    if found is None or node.output.type.shape != rows.type.shape:
        return None
    constant, row = found[1], table.type.static_shape[1:]
    lead, own = constant.shape[: -len(row) or None] if row else constant.shape, constant.shape[-len(row) :] if row else ()
    if any(d != 1 for d in lead) or any(d not in (1, size) for d, size in zip(reversed(own), reversed(row))):
        return None
    small = graph.constant(constant.reshape(own))
    operands = [table if v is rows else small for v in node.inputs]
    result: Value = graph.add(node.op, *operands, attrs=node.attrs, before=node, name=node.name)
    return result
