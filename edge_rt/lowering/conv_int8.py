"""Convolutions of 8-bit integers: tiles of the GEMM kernel run over the image itself, or over a copy that has its padding.

Depthwise ones have their own kernel: see depthwise_int8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from edge_rt.lowering._spec import (
    AVX2,
    Arg,
    BoundNode,
    Call,
    In,
    Lowered,
    Out,
    Scratch,
    lowers,
)
from edge_rt.lowering.gemm import ceil_div
from edge_rt.lowering.gemm_int8 import Epilogue, Rows, gemm_call, product_calls
from edge_rt.lowering.pack_int8 import SLACK, Bytes, windows_call
from edge_rt.ops._windows import Geometry
from edge_rt.ops.edge_conv import window_geometry
from edge_rt.ops.edge_gemm import WIDTH
from edge_rt.ops.edge_int8 import DEPTH


class Image:
    """Bytes that windows are read from: of x itself (direct), or of a copy [groups, n, rows, columns, pixel] of it."""

    __slots__ = ("copy", "direct", "groups_lie_apart", "line", "pixel", "row", "size")

    def __init__(self, shape: Sequence[int], g: Geometry, group: int, sign: Bytes) -> None:
        _, h, w, c = shape
        channels, (kh, kw) = c // group, g.kernel
        padded = any(g.begin) or any(
            (o - 1) * s + (k - 1) * d + 1 - b > size
            for o, s, k, d, b, size in zip(g.out, g.strides, g.kernel, g.dilations, g.begin, (h, w))
        )
        together = kw == 1 or (group == 1 and g.dilations[1] == 1)
        fits = together and (kw * channels) % DEPTH == 0
        self.direct = fits and sign.is_native and not padded
        self.pixel, self.row, self.size = g.strides[1] * c, w * c, h * w * c
        self.line, self.groups_lie_apart = g.strides[0] * w * c, False
        self.copy: list[int] = []
        if self.direct:
            return
        rows, down = (g.out[0] - 1) * g.strides[0] + (kh - 1) * g.dilations[0] + 1, 1
        if kh == 1:
            rows, down = g.out[0], g.strides[0]
        taps, stride, columns, pixel = 1, 1, (g.out[1] - 1) * g.strides[1] + (kw - 1) * g.dilations[1] + 1, channels
        if kw == 1 or g.dilations[1] > 1:  # what windows see side by side
            taps, stride, columns, pixel = kw, g.strides[1], g.out[1], ceil_div(kw * channels, DEPTH) * DEPTH
        self.copy = [
            *shape, group, channels, rows, columns, pixel, taps, stride, g.dilations[1] if taps > 1 else 1, *g.begin, down
        ]  # fmt: skip
        self.row, self.size, self.groups_lie_apart = columns * pixel, rows * columns * pixel, True
        self.line = self.row * (1 if kh == 1 else g.strides[0])
        self.pixel = pixel if stride == g.strides[1] else g.strides[1] * pixel

    def group_step(self, n: int, channels: int) -> int:
        return n * self.size if self.groups_lie_apart else channels

    def copy_bytes(self) -> int:
        return self.copy[4] * self.copy[0] * self.size + SLACK


def conv_calls(
    b: Arg, shape: tuple[int, ...], g: Geometry, n: int, group: int, sign: Bytes, epilogue: Epilogue,
    own_scratch: Sequence[int] = (), x: Arg | None = None, y: Arg | None = None,
) -> list[Call]:  # fmt: skip
    """A convolution of x [n, h, w, c] of this shape with edge.QConv's panels; x and y: by default input and output 0."""
    x, y = In(0) if x is None else x, Out(0) if y is None else y
    channels, columns, pixels = shape[3] // group, n // group, math.prod(g.out)
    plain = g.kernel == g.strides == (1, 1) and not any((*g.begin, *g.end))
    if plain and group == 1:
        m = shape[0] * pixels
        return product_calls(b, (m, channels), (), (), channels, n, sign, epilogue, own_scratch, x, y)
    image = Image(shape, g, group, sign)
    used = g.kernel[1] * channels
    depth = ceil_div(used, DEPTH)
    rows = Rows(
        g.out[1], image.pixel, depth * DEPTH, used, shape[0] * g.out[0], g.out[0], image.size, image.line,
        [k * g.dilations[0] * image.row for k in range(g.kernel[0])],
    )  # fmt: skip
    if (plain and image.direct) or (math.prod(g.kernel) == 1 and not image.direct):  # pixels lie one after the other
        rows = Rows(shape[0] * pixels, image.pixel, depth * DEPTH, used)
    panels = ceil_div(columns, WIDTH) * g.kernel[0] * depth * DEPTH * WIDTH
    step = image.group_step(shape[0], channels)
    batches = [[i * step, i * panels, i * columns, i * columns, i * columns] for i in range(group)]
    if image.direct:
        return [gemm_call(x, b, y, rows, columns, batches, epilogue, n, scratch=own_scratch)]
    copy, scratch = Scratch(len(own_scratch)), [*own_scratch, image.copy_bytes()]
    return [
        windows_call(x, epilogue.args["a_zero"], copy, sign, image.copy, scratch=scratch),
        gemm_call(copy, b, y, rows, columns, batches, epilogue, n),
    ]


@lowers("edge.QConv")
def q_conv(node: BoundNode) -> Lowered:
    if not node.outputs[0].size:
        return []
    shape, attrs = node.type(0).static_shape, node.attrs
    g = window_geometry(attrs, shape[1:3])
    sign, epilogue = Bytes.of(node), Epilogue.of(node)
    if node.target == AVX2 and attrs.group == 1 and g.kernel == (3, 3) and epilogue.makes_bytes:
        from edge_rt.lowering.winograd_int8 import is_worth_it, winograd_calls

        if is_worth_it(shape, g, attrs.n):
            return winograd_calls(In(0), In(1), Out(0), shape, g, attrs.n, sign, epilogue)
    return conv_calls(In(1), shape, g, attrs.n, attrs.group, sign, epilogue)
