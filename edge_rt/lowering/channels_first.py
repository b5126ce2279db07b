"""Convolutions that export had to leave in ONNX's layout, because ranks or padding were not known yet: operands are turned
and packed for edge.Conv's kernel when the model runs."""

from __future__ import annotations

import math

from edge_rt.lowering._layout import ceil_div
from edge_rt.lowering._spec import Arg, BoundNode, Call, In, Lowered, Out, Scratch, lowers
from edge_rt.lowering.conv import conv_call
from edge_rt.lowering.gemm import is_f32, pack_call, transpose_call
from edge_rt.ops._windows import Geometry, geometry
from edge_rt.ops.edge_gemm import WIDTH

PANELS, TAPS, IMAGE, RESULT = range(4)
"""Scratch buffers: weights in panels, weights with channels last, x and y with channels last."""


@lowers("Conv")
def conv(node: BoundNode) -> Lowered:
    """Over one or two axes, float32."""
    x, w = node.type(0).static_shape, node.type(1).static_shape
    if not is_f32(node) or len(x) > 4:
        return None
    if not node.outputs[0].size:
        return []
    (n, c, *sizes), (m, depth, *kernel) = x, w
    group = node.attrs.group
    g = _over_two_axes(geometry(node.attrs, sizes, kernel))
    taps, pixels, out_pixels = math.prod(kernel), math.prod(sizes), math.prod(g.out)
    calls: list[Call] = []

    def turned(source: Arg, target: Arg, batch: int, rows: int, columns: int) -> Arg:
        """Where [batch, columns, rows] is, made from [batch, rows, columns]; the same place if no number moves."""
        if rows == 1 or columns == 1:
            return source
        calls.append(transpose_call(source, target, batch, rows, columns))
        return target

    weights = turned(In(1), Scratch(TAPS), m, depth, taps)
    panels = 4 * group * ceil_div(m // group, WIDTH) * depth * taps * WIDTH
    calls.append(pack_call(weights, Scratch(PANELS), group, depth * taps, m // group, True))
    image = turned(In(0), Scratch(IMAGE), n, c, pixels)
    moves = m > 1 and out_pixels > 1
    sizes_of_scratch = [panels, 4 * m * depth * taps, 4 * n * c * pixels, 4 * n * m * out_pixels if moves else 4]
    calls.append(
        conv_call(
            image, Scratch(PANELS), Scratch(RESULT) if moves else Out(0), (n, *_two(sizes, 1), c), g, m, group,
            node.optional(2), 0, None, sizes_of_scratch,
        )
    )  # fmt: skip
    if moves:
        calls.append(transpose_call(Scratch(RESULT), Out(0), n, out_pixels, m))
    return calls


def _two(values: list[int] | tuple[int, ...], filler: int) -> tuple[int, ...]:
    return (filler, *values) if len(values) == 1 else tuple(values)


def _over_two_axes(g: Geometry) -> Geometry:
    """The same windows, with an axis of size 1 in front of a single one."""
    fillers = Geometry((1,), (1,), (1,), (0,), (0,), (1,))
    return Geometry(*(_two(values, filler[0]) for values, filler in zip(g, fillers)))
