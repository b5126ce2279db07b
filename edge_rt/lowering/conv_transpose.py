"""Transposed convolutions: all products by GEMM, then every output gathers its own. Rows are done in strips, which
bounds the memory for the products."""

from __future__ import annotations

import math

from edge_rt.lowering._layout import ceil_div
from edge_rt.lowering._spec import BoundNode, Call, In, KernelSpec, Lowered, Out, Scratch, Table, lowers, parts_for
from edge_rt.lowering.gemm import ACTIVATIONS, gemm_call
from edge_rt.ops.edge_conv import transpose_geometry
from edge_rt.ops.edge_gemm import WIDTH

GATHER_PRODUCTS_F32 = KernelSpec(
    "gather_products_f32",
    "products:f32* bias:f32* y:f32* geometry:i64* first_in:i64 rows_in:i64 first_out:i64 rows_out:i64 lo:f32 hi:f32 "
    "activation:i64 alpha:f32",
)
"""Rows first_out.. of y [n, oh, ow, group * columns] from products [n, rows_in, w, group, kernel h, kernel w,
columns], which belong to input rows first_in... geometry: int64[15], n, h, w, group, columns, kernel h and w, strides
h and w, top and left pad, dilations h and w, output h and w. Work is shared by output rows. bias may be null."""

_STRIP = 1 << 20
"""Bytes of products that a strip should not exceed."""


@lowers("edge.ConvTranspose")
def conv_transpose(node: BoundNode) -> Lowered:
    if not node.outputs[0].size:
        return []
    attrs, (n, h, w, c) = node.attrs, node.type(0).static_shape
    g = transpose_geometry(attrs, (h, w))
    group, channels, columns = attrs.group, c // attrs.group, attrs.n // attrs.group
    width = math.prod(g.kernel) * columns
    weights = ceil_div(width, WIDTH)
    geometry = Table([n, h, w, group, columns, *g.kernel, *g.strides, *g.begin, *g.dilations, *g.out])
    reach = (g.kernel[0] - 1) * g.dilations[0]
    rows_fit = max(1, _STRIP // max(1, 4 * n * w * group * width))
    strip = max(1, (rows_fit - 1) * g.strides[0] - reach + 1, g.strides[0])
    calls: list[Call] = []
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
        work = n * rows_out * g.out[1] * attrs.n * math.prod(g.kernel)
        calls.append(
            GATHER_PRODUCTS_F32(
                products=Scratch(0), bias=node.optional(2), y=Out(0), geometry=geometry, first_in=first_in,
                rows_in=rows_in, first_out=first_out, rows_out=rows_out, lo=attrs.lo, hi=attrs.hi,
                activation=ACTIVATIONS[attrs.activation], alpha=attrs.alpha, parts=parts_for(work, n * rows_out),
                scratch=(4,), flops=work,
            )
        )  # fmt: skip
    return calls
