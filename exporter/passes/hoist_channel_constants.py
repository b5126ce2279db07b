"""Moves constants of channels up through the transpose behind a convolution, to where they can be folded into it."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph
from exporter.passes._match import constant_operand, inverse, is_f32, live, permutation, produced_by, replace, transpose

CONSTANT = ("Add", "Div", "Mul", "Sub")


def hoist_channel_constants(graph: Graph) -> int:
    """Transpose(conv(x)) * c -> Transpose(conv(x) * c'), and so for Add, Sub and Div; c has a number for each channel.

    That is what layers with channels last are traced to. Not where a value in between is used elsewhere or is an output,
    where the constant varies along other axes than the channels or makes the result larger, for a constant divided by a
    convolution, or for other dtypes than float32.
    """
    changes = 0
    for node in live(graph):
        if node.op.name not in CONSTANT or not is_f32(*node.inputs):
            continue
        found = constant_operand(node)
        if found is None or found[0].type != node.output.type or not graph.has_one_use(found[0]):
            continue
        x, c = found
        turned = produced_by(x, "Transpose")
        y = None if turned is None else turned.inputs[0]
        if turned is None or y is None or not graph.has_one_use(y) or produced_by(y, "Conv", "ConvTranspose") is None:
            continue
        back = inverse(permutation(turned))
        line = c.reshape((1,) * (len(back) - c.ndim) + c.shape).transpose(back)
        is_divided = node.op.name == "Div" and node.inputs[1] is x
        if is_divided or any(size != 1 for axis, size in enumerate(line.shape) if axis != 1):
            continue
        constant = graph.constant(np.ascontiguousarray(line))
        operands = [constant if v is not x else y for v in node.inputs]
        made = graph.add(node.op, *operands, before=node, name=node.name)
        replace(graph, node, transpose(graph, made, permutation(turned), node))
        changes += 1
    return changes
