"""Transposed convolutions: all products by GEMM, then every output gathers its own. Rows are done in strips, which
bounds the memory for the products. Depthwise ones need no products: every output gathers pixels times weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_rt.lowering._layout import ceil_div
from edge_rt.lowering._spec import BoundNode, Call, In, KernelSpec, Lowered, Out, Scratch, Table, lowers, parts_for
from edge_rt.lowering.gemm import gemm_call, transpose_call
from edge_rt.ops._windows import Geometry
from edge_rt.ops.edge_conv_transpose import transpose_geometry
from edge_rt.ops.edge_gemm import WIDTH

GATHER_TAPS_F32 = KernelSpec(
    "gather_taps_f32",
    "source:f32* weights:f32* bias:f32* y:f32* geometry:i64* first_in:i64 rows_in:i64 first_out:i64 rows_out:i64 lo:f32 "
    "hi:f32",
)
"""Rows first_out.. of y [n, oh, ow, group * columns] from products, the source [n, rows_in, w, group, kernel h, kernel w,
columns], which belong to input rows first_in...; or from the pixels of the source [n, rows_in, w, columns] themselves, times
weights [kernel h, kernel w, columns]. geometry, int64: n, h, w, group, columns, kernel h and w, output h and w; of h and of
w: the stride, from one tap of an output to its next, and how many inputs that goes back; numbers of a group of the source's
pixels, and from tap to tap in these and in the weights, which for products are ones [columns]; then of the first outputs, as
many as a stride, of h and of w: their first tap, and what it sees. Work is shared by output rows."""

_STRIP = 1 << 20
"""Bytes of products that a strip should not exceed."""


@lowers("edge.ConvTranspose")
def conv_transpose(node: BoundNode) -> Lowered:
    if not node.outputs[0].size:
        return []
    attrs, (n, h, w, c) = node.attrs, node.type(0).static_shape
    g = transpose_geometry(attrs, (h, w))
    is_depthwise = attrs.group == c == attrs.n
    group, columns = (1, c) if is_depthwise else (attrs.group, attrs.n // attrs.group)
    places = (c, 0, c) if is_depthwise else (math.prod(g.kernel) * columns, columns, 0)
    table = [n, h, w, group, columns, *g.kernel, *g.out]
    for stride, dilation in zip(g.strides, g.dilations):
        common = math.gcd(stride, dilation)
        table += [stride, stride // common, dilation // common]
    table += places
    for i in range(2):
        table += _first_taps(g.kernel[i], g.strides[i], g.dilations[i], g.begin[i])
    bias = In(2) if node.has(2) else Table(np.zeros(attrs.n), np.float32)
    given = {"y": Out(0), "bias": bias, "geometry": Table(table), "lo": attrs.lo, "hi": attrs.hi}
    calls = (_depthwise if is_depthwise else _by_strips)(attrs, (n, h, w, c), g, given)
    if attrs.activation:
        from edge_rt.lowering.elementwise import activation_call

        calls.append(activation_call(attrs.activation, attrs.alpha, node.outputs[0].size, (4,)))
    return calls


def _first_taps(kernel: int, stride: int, dilation: int, begin: int) -> list[int]:
    """Of each output below the stride: its first tap, or `kernel` if there is none, and the input that this one sees."""
    found = []
    for at in range(begin, begin + stride):
        tap = next((t for t in range(kernel) if (at - t * dilation) % stride == 0), kernel)
        found += [tap, (at - tap * dilation) // stride]
    return found


def _depthwise(attrs: Any, shape: tuple[int, ...], g: Geometry, given: dict[str, Any]) -> list[Call]:
    """Every output sums pixels times weights, for which panels of one row each are transposed: a channel after the other."""
    n, h, _, c = shape
    padded = ceil_div(math.prod(g.kernel), WIDTH) * WIDTH
    work = n * math.prod(g.out) * c * ceil_div(math.prod(g.kernel), math.prod(g.strides))
    return [
        transpose_call(In(1), Scratch(0), 1, c, padded, scratch=(4 * padded * c,)),
        GATHER_TAPS_F32(
            source=In(0), weights=Scratch(0), first_in=0, rows_in=h, first_out=0, rows_out=g.out[0], **given,
            parts=parts_for(work // 4, n * g.out[0]), flops=2 * work,
        ),
    ]  # fmt: skip


def _by_strips(attrs: Any, shape: tuple[int, ...], g: Geometry, given: dict[str, Any]) -> list[Call]:
    n, h, w, c = shape
    group, channels, columns = attrs.group, c // attrs.group, attrs.n // attrs.group
    width = math.prod(g.kernel) * columns
    weights = ceil_div(width, WIDTH)
    reach = (g.kernel[0] - 1) * g.dilations[0]
    rows_fit = max(1, _STRIP // max(1, 4 * n * w * group * width))
    strip = max(1, (rows_fit - 1) * g.strides[0] - reach + 1, g.strides[0])
    calls: list[Call] = []
    ones = Table(np.ones(columns), np.float32)
    for first_out in range(0, g.out[0], strip):
        rows_out = min(strip, g.out[0] - first_out)
        # Input rows that reach an output row of this strip.
        first_in = min(max(0, ceil_div(first_out + g.begin[0] - reach, g.strides[0])), h)
        last_in = max(first_in, min(h, (first_out + rows_out - 1 + g.begin[0]) // g.strides[0] + 1))
        rows_in = last_in - first_in
        if rows_in and w:
            offsets = [
                [
                    (image * h + first_in) * w * c + i * channels, i * weights,
                    0, (image * rows_in * w * group + i) * width,
                ]
                for image in range(n)
                for i in range(group)
            ]
            calls.append(
                gemm_call(
                    In(0), In(1), Scratch(0), m=rows_in * w, n=width, k=channels, batches=offsets, a_row=c,
                    y_row=group * width, own_scratch=(4 * n * rows_in * w * group * width,),
                )
            )  # fmt: skip
        work = n * rows_out * g.out[1] * attrs.n * ceil_div(math.prod(g.kernel), math.prod(g.strides))
        calls.append(
            GATHER_TAPS_F32(
                source=Scratch(0), weights=ones, first_in=first_in, rows_in=rows_in, first_out=first_out,
                rows_out=rows_out, **given, parts=parts_for(work, n * rows_out), scratch=(4,), flops=work,
            )
        )  # fmt: skip
    return calls
