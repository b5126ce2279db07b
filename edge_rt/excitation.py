"""Squeeze-and-excite blocks without walks over the image of their own.

Between a depthwise convolution and a projection such a block takes the mean of each channel, makes a gate of it, and
multiplies all pixels by their gates. The convolution sums its pixels, row by row, while they are near: only means of rows
are left to join. And a product of gated pixels is one of pixels and gated weights, which are fewer, unless images are small.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, MutableMapping
from typing import TYPE_CHECKING

from edge_rt.binding import Step
from edge_rt.types import DType, TensorType

if TYPE_CHECKING:
    from edge_rt.binder import Walk

BOUNDED = frozenset({"Sigmoid", "HardSigmoid", "Tanh", "Softsign", "Softmax"})
"""Operators whose results lie within [-1, 1]: weights times these do not overflow."""


def shorten_blocks(walk: Walk, kept: Iterable[int]) -> None:
    """Changes the steps of such blocks. kept: slots that others read, too, or whose bytes have several names."""
    names = {step.item.op.name for step in walk.steps}
    if not ({"edge.DepthwiseConv", "ReduceMean"} <= names or {"Mul", "edge.Gemm"} <= names):
        return
    makers = {slot: step for step in walk.steps for slot in step.outputs}
    readers: dict[int, int] = dict.fromkeys(kept, 2)
    for step in walk.steps:
        for slot in step.inputs:
            if slot is not None:
                readers[slot] = readers.get(slot, 0) + 1
    for step in walk.steps:
        before = makers.get(-1 if not step.inputs or step.inputs[0] is None else step.inputs[0])
        if before is None or not before.calls or not step.calls:
            continue
        match before.item.op.name, step.item.op.name:
            case "edge.DepthwiseConv", "ReduceMean":
                _sum_rows(before, step, walk)
            case "Mul", "edge.Gemm" if readers[before.outputs[0]] == 1:
                _gate_weights(before, step, walk.types, makers, walk.roots)


def _sum_rows(conv: Step, mean: Step, walk: Walk) -> None:
    """Lets the convolution give the means of rows, if what the other step reduces are all pixels of each channel."""
    from edge_rt.lowering.gates import row_mean_calls

    images, h, _, channels = shape = walk.types[conv.outputs[0]].static_shape
    (conv_call,), (mean_call,) = conv.calls or (), mean.calls or ()
    calls = row_mean_calls(conv_call, mean_call, shape)
    if calls is None:
        return
    slot = conv.outputs[1] if len(conv.outputs) > 1 else walk.slots.new()
    walk.types[slot] = TensorType(DType.FLOAT32, (images, h, channels))
    conv.outputs, conv.calls = (conv.outputs[0], slot), (calls[0],)
    mean.inputs, mean.calls = (slot, *mean.inputs[1:]), (calls[1],)


def _gate_weights(
    product: Step, gemm: Step, types: MutableMapping[int, TensorType], makers: Mapping[int, Step], roots: Mapping[int, int]
) -> None:
    """Makes the product one of weights and gates, if it is one of pixels and gates and that pays."""
    for x, gate in (product.inputs, product.inputs[::-1]):
        assert x is not None
        assert gate is not None
        maker = makers.get(roots.get(gate, gate))
        if maker is not None and _is_bounded(maker) and _gate(product, gemm, x, gate, types):
            return


def _is_bounded(maker: Step) -> bool:
    """Whether all that the step makes lies within [-1, 1]."""
    attrs, name = maker.item.attrs, maker.item.op.name
    if name == "edge.Elementwise":
        name = attrs.program[-1].partition(" ")[0]
    if name in ("edge.Gemm", "edge.QGemm"):
        return attrs.activation in BOUNDED or (attrs.activation == "" and attrs.lo >= -1 and attrs.hi <= 1)
    return name in BOUNDED


def _gate(product: Step, gemm: Step, x: int, gate: int, types: MutableMapping[int, TensorType]) -> bool:
    """As _gate_weights, of these factors; whether it did."""
    from edge_rt.lowering.gates import gated_calls, panels_shape

    made, (call,) = product.outputs[0], gemm.calls or ()
    shape, given = types[x].static_shape, types[gate].static_shape
    if types[made].static_shape != shape or not 1 <= len(given) <= len(shape):
        return False
    given = (1,) * (len(shape) - len(given)) + given
    images = math.prod(given[:-1])
    lead = next((i for i, d in enumerate(given[:-1]) if d == 1 != shape[i]), len(given) - 1)
    if given != (*shape[:lead], *[1] * (len(shape) - 1 - lead), shape[-1]):
        return False
    calls = gated_calls(call, gemm.item.attrs, images, math.prod(shape[lead:-1]))
    if calls is None:
        return False
    panels, bias, residual, scale, zero = (*gemm.inputs[1:], None, None, None, None)[:5]
    product.inputs, product.calls, product.scratch = (panels, gate, scale, zero), (calls[0],), []
    gemm.inputs, gemm.calls, gemm.scratch = (x, made, bias, residual), (calls[1],), []
    types[made] = TensorType(DType.FLOAT32, panels_shape(images, gemm.item.attrs.n, shape[-1]))
    return True
