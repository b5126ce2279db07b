"""Moves transposes towards the outputs, so that those around channels-last nodes meet and cancel."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_rt.graph import Graph, Node
from exporter.passes._match import input_at, integers, live, produced_by, replace, transpose
from exporter.passes._sink_reshapes import sink_reshape, sink_unsqueeze
from exporter.passes._sink_support import data_operands, remaining, replace_all, source

ONE_INPUT = frozenset({
    "Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Cast", "Ceil", "Celu", "Clip", "Cos",
    "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN",
    "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign",
    "Sin", "Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu", "edge.Lookup",
})  # fmt: skip
"""Operators that treat each element of their first input alike; their other inputs are scalars, or have no order to keep."""

BROADCASTING = frozenset({
    "Add", "And", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater", "GreaterOrEqual", "Less",
    "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "PRelu", "Pow", "Sub", "Sum", "Where", "Xor", "edge.QAdd",
    "edge.QMul",
})  # fmt: skip

REDUCTIONS = frozenset({
    "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare",
})  # fmt: skip


def sink_transposes(graph: Graph) -> int:
    """op(Transpose(x)) -> Transpose(op(x)), with the operator's axes renamed.

    1. Operators on single elements.
    2. Broadcasting operators and Concat, where each other operand is a constant, or transposed in the same way, or has
       axes of size 1 only where axes move; or, where channels move to the front, whose channels-last form exists.
    3. QuantizeLinear and DequantizeLinear, but for scales of blocks, and DynamicQuantizeLinear.
    4. Reductions, Softmax, Split, Slice, Pad, Gather, Squeeze, Unsqueeze, and Reshape where it keeps together what the
       transpose keeps together.

    Not where an axis is not known at export, nor where an operand would need a new transpose that moves elements. The
    transpose stays where others use it.
    """
    changes = 0
    for node in live(graph):
        rule = RULES.get(node.op.name)
        if rule is not None and any(produced_by(v, "Transpose") for v in node.inputs):
            changes += rule(graph, node)
    return changes


def _one_input(graph: Graph, node: Node) -> bool:
    found = source(node.inputs[0])
    if found is None:
        return False
    x, perm = found
    made = graph.add(node.op, x, *node.inputs[1:], attrs=node.attrs, before=node, name=node.name)
    replace(graph, node, transpose(graph, made, perm, node))
    return True


def _scaled(graph: Graph, node: Node) -> bool:
    """QuantizeLinear and DequantizeLinear: `axis` counts where there are several scales."""
    found = source(node.inputs[0])
    scale = node.inputs[1]
    if found is None or scale is None or scale.type.rank is None or scale.type.rank > 1:
        return False
    x, perm = found
    attrs = node.attrs.replace(axis=perm[node.attrs.axis % len(perm)]) if scale.type.rank else node.attrs
    made = graph.add(node.op, x, *node.inputs[1:], attrs=attrs, before=node, name=node.name)
    replace(graph, node, transpose(graph, made, perm, node))
    return True


def _dynamic_quantize(graph: Graph, node: Node) -> bool:
    found = source(node.inputs[0])
    if found is None:
        return False
    x, perm = found
    y, scale, zero = graph.add(node.op, x, before=node, name=node.name)
    replace(graph, node, transpose(graph, y, perm, node), scale, zero)
    return True


def _broadcasting(graph: Graph, node: Node) -> bool:
    found = data_operands(graph, node, node.output.type.rank)
    if found is None:
        return False
    operands, perm = found
    made = graph.add(node.op, *operands(), attrs=node.attrs, before=node, name=node.name)
    replace(graph, node, transpose(graph, made, perm, node))
    return True


def _concat(graph: Graph, node: Node) -> bool:
    found = data_operands(graph, node, node.output.type.rank, same_rank=True)
    if found is None:
        return False
    operands, perm = found
    made = graph.add(node.op, *operands(), axis=perm[node.attrs.axis % len(perm)], before=node, name=node.name)
    replace(graph, node, transpose(graph, made, perm, node))
    return True


def _reduction(graph: Graph, node: Node) -> bool:
    found = source(node.inputs[0])
    given = input_at(node, 1)
    axes = integers(given)
    if found is None or (given is not None and axes is None):
        return False
    x, perm = found
    if not axes:
        if node.attrs.noop_with_empty_axes:
            return False
        axes = list(range(len(perm)))
    taken = sorted(perm[a % len(perm)] for a in axes)
    made = graph.add(node.op, x, graph.constant(np.array(taken)), attrs=node.attrs, before=node, name=node.name)
    after = perm if node.attrs.keepdims else remaining(perm, taken)
    replace(graph, node, transpose(graph, made, after, node))
    return True


def _squeeze(graph: Graph, node: Node) -> bool:
    found = source(node.inputs[0])
    axes = integers(input_at(node, 1))
    if found is None or axes is None:
        return False
    x, perm = found
    taken = sorted(perm[a % len(perm)] for a in axes)
    made = graph.add("Squeeze", x, graph.constant(np.array(taken)), before=node, name=node.name)
    replace(graph, node, transpose(graph, made, remaining(perm, taken), node))
    return True


def _along_axis(graph: Graph, node: Node) -> bool:
    """Operators with an attribute `axis` whose outputs have the axes of the input: Softmax, Split."""
    found = source(node.inputs[0])
    if found is None:
        return False
    x, perm = found
    attrs = node.attrs.replace(axis=perm[node.attrs.axis % len(perm)])
    made = graph.add(node.op, x, *node.inputs[1:], attrs=attrs, before=node, name=node.name)
    replace_all(graph, node, made, perm)
    return True


def _arg_extreme(graph: Graph, node: Node) -> bool:
    found = source(node.inputs[0])
    if found is None:
        return False
    x, perm = found
    axis = perm[node.attrs.axis % len(perm)]
    made = graph.add(node.op, x, attrs=node.attrs.replace(axis=axis), before=node, name=node.name)
    replace(graph, node, transpose(graph, made, perm if node.attrs.keepdims else remaining(perm, [axis]), node))
    return True


def _slice(graph: Graph, node: Node) -> bool:
    found = source(node.inputs[0])
    given = input_at(node, 3)
    axes = integers(given)
    starts = node.inputs[1]
    if found is None or starts is None or (given is not None and axes is None):
        return False
    if axes is None:
        count = starts.type.shape[0] if starts.type.shape else None
        if type(count) is not int:
            return False
        axes = list(range(count))
    x, perm = found
    renamed = graph.constant(np.array([perm[a % len(perm)] for a in axes], np.int64))
    if starts.type.dtype is not renamed.type.dtype:
        renamed = graph.constant(np.array([perm[a % len(perm)] for a in axes], starts.type.dtype.numpy))
    inputs = [x, starts, node.inputs[2], renamed, *node.inputs[4:]]
    made = graph.add("Slice", *inputs, before=node, name=node.name)
    replace(graph, node, transpose(graph, made, perm, node))
    return True


def _pad(graph: Graph, node: Node) -> bool:
    found = source(node.inputs[0])
    amounts, given = integers(node.inputs[1]), input_at(node, 3)
    axes = integers(given)
    if found is None or amounts is None or (given is not None and axes is None):
        return False
    x, perm = found
    rank = len(perm)
    axes = list(range(rank)) if axes is None else axes
    pads = [0] * (2 * rank)
    for i, axis in enumerate(axes):
        pads[perm[axis % rank]], pads[rank + perm[axis % rank]] = amounts[i], amounts[len(axes) + i]
    made = graph.add(
        "Pad", x, graph.constant(np.array(pads)), input_at(node, 2), attrs=node.attrs, before=node, name=node.name
    )
    replace(graph, node, transpose(graph, made, perm, node))
    return True


def _gather(graph: Graph, node: Node) -> bool:
    found = source(node.inputs[0])
    indices = node.inputs[1]
    if found is None or indices is None or indices.type.rank not in (0, 1):
        return False
    x, perm = found
    axis = perm[node.attrs.axis % len(perm)]
    made = graph.add("Gather", x, indices, axis=axis, before=node, name=node.name)
    after = perm if indices.type.rank == 1 else remaining(perm, [axis])
    replace(graph, node, transpose(graph, made, after, node))
    return True


RULES: dict[str, Callable[[Graph, Node], bool]] = {
    **dict.fromkeys(ONE_INPUT, _one_input),
    **dict.fromkeys(BROADCASTING, _broadcasting),
    **dict.fromkeys(REDUCTIONS, _reduction),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax", "Split"), _along_axis),
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg_extreme),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), _scaled),
    "Concat": _concat,
    "DynamicQuantizeLinear": _dynamic_quantize,
    "Gather": _gather,
    "Pad": _pad,
    "Reshape": sink_reshape,
    "Flatten": sink_reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Unsqueeze": sink_unsqueeze,
}
