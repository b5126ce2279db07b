"""Normalisations: over whole rows, over groups of channels, with fixed statistics, across neighbouring channels."""

from __future__ import annotations

import math

from edge_rt.lowering._layout import around
from edge_rt.lowering._spec import BoundNode, Call, In, KernelSpec, Lowered, Out, Scratch, lowers, parts_for
from edge_rt.lowering.elementwise import program_call
from edge_rt.types import DType

LAYER_NORM_F32 = KernelSpec(
    "layer_norm_f32",
    "x:f32* scale:f32* bias:f32* out:f32* mean:f32* inverse:f32* rows:i64 size:i64 epsilon:f32 centred:i64",
    in_place=(("x", "out"),),
)
"""out = (x - mean) / sqrt(variance + epsilon) * scale + bias over rows of `size`; not centred: the mean is taken as 0.

scale, bias: f32[size], or null; mean, inverse: f32[rows], what was subtracted and multiplied by, or null.
"""
GROUP_NORM_F32 = KernelSpec(
    "group_norm_f32",
    "x:f32* scale:f32* bias:f32* out:f32* rows:i64 groups:i64 channels:i64 run:i64 epsilon:f32",
    in_place=(("x", "out"),),
)
"""Rows are groups of `channels` runs of `run` numbers; channel c of group g has scale and bias [g * channels + c].

scale and bias: f32[groups * channels].
"""
LRN_F32 = KernelSpec(
    "lrn_f32", "x:f32* out:f32* batch:i64 channels:i64 inner:i64 before:i64 after:i64 factor:f32 beta:f32 bias:f32"
)
"""out = x / (bias + factor * sum of squares of the channels c - before .. c + after) ** beta."""


def _is_f32(node: BoundNode) -> bool:
    return all(t is None or t.dtype is DType.FLOAT32 for t in node.inputs)


@lowers("LayerNormalization", "RMSNormalization")
def layer_norm(node: BoundNode) -> Lowered:
    """Where scale and bias are as large as a row."""
    shape = node.type(0).static_shape
    axis = node.attrs.axis % len(shape)
    rows, size = math.prod(shape[:axis]), math.prod(shape[axis:])
    if not _is_f32(node) or any(node.has(i) and node.type(i).size != size for i in (1, 2)):
        return None
    wanted = [Out(i) if i < len(node.used) and node.used[i] else 0 for i in (1, 2)]
    return [
        LAYER_NORM_F32(
            x=In(0), scale=node.optional(1), bias=node.optional(2), out=Out(0), mean=wanted[0], inverse=wanted[1],
            rows=rows, size=size, epsilon=float(node.attrs.epsilon),
            centred=int(node.op.name == "LayerNormalization"),
            parts=parts_for(4 * rows * size, max(rows, 1)), flops=8 * rows * size,
        )
    ]  # fmt: skip


def _group_norm(node: BoundNode, groups: int) -> Lowered:
    n, c, *rest = node.type(0).static_shape
    if not _is_f32(node):
        return None
    run, work = math.prod(rest), node.type(0).size
    return [
        GROUP_NORM_F32(
            x=In(0), scale=In(1), bias=In(2), out=Out(0), rows=n * groups, groups=groups, channels=c // groups, run=run,
            epsilon=float(node.attrs.epsilon), parts=parts_for(work, max(n * groups, 1)), flops=8 * work,
        )
    ]  # fmt: skip


@lowers("InstanceNormalization")
def instance_norm(node: BoundNode) -> Lowered:
    return _group_norm(node, node.type(0).static_shape[1])


@lowers("GroupNormalization")
def group_norm(node: BoundNode) -> Lowered:
    return _group_norm(node, node.attrs.num_groups)


@lowers("BatchNormalization")
def batch_norm(node: BoundNode) -> Lowered:
    """Inference: scale / sqrt(variance + epsilon) per channel goes into scratch, then one program runs over x."""
    shape = node.type(0).static_shape
    if node.attrs.training_mode or not _is_f32(node):
        return None
    channels = shape[1] if len(shape) > 1 else 1
    own = (channels, *[1] * (len(shape) - 2)) if len(shape) > 1 else (1,)
    factor = program_call(
        ["Add 0 1", "Sqrt 3", "Div 2 4"], [(In(4), (channels,)), float(node.attrs.epsilon), (In(1), (channels,))],
        (channels,), Scratch(0), 1, [4 * channels],
    )  # fmt: skip
    whole = program_call(
        ["Sub 0 1", "Mul 4 2", "Add 5 3"], [(In(0), shape), (In(3), own), (Scratch(0), own), (In(2), own)], shape,
        Out(0), 1, [4 * channels],
    )  # fmt: skip
    return None if factor is None or whole is None else [factor, whole]


@lowers("LRN")
def lrn(node: BoundNode) -> Lowered:
    if not _is_f32(node):
        return None
    batch, channels, inner = around(node.type(0).static_shape, 1)
    size, work = node.attrs.size, node.type(0).size * (40 + node.attrs.size)
    call: Call = LRN_F32(
        x=In(0), out=Out(0), batch=batch, channels=channels, inner=inner, before=(size - 1) // 2, after=size // 2,
        factor=float(node.attrs.alpha) / size, beta=float(node.attrs.beta), bias=float(node.attrs.bias),
        parts=parts_for(work, max(batch * channels, 1)), flops=work,
    )  # fmt: skip
    return [call]
