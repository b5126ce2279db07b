"""8-bit products with exact int32 sums: one kernel for matrices and convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.lowering._spec import Arg, BoundNode, Call, In, KernelSpec, Lowered, Out, Scratch, Table, lowers, parts_for
from edge_rt.lowering.gemm import ACTIVATIONS, balanced, batch_offsets, ceil_div
from edge_rt.lowering.gemv_int8 import gemv_call
from edge_rt.lowering.pack_int8 import SLACK, Bytes, rows_call
from edge_rt.ops.edge_gemm import WIDTH
from edge_rt.ops.edge_int8 import A_SCALE, A_ZERO, B_ZERO, BIAS, DEPTH, RESIDUAL, SCALE, SUMS_AT, whole_limits

GEMM_INT8 = KernelSpec(
    "gemm_int8",
    "a:u8* b:i8* sums:i32* a_zero:u8* a_scale:f32* scale:f32* bias:i32* residual:f32* b_zero:i32* ones:i8* y:u8* "
    "batches:i64* offsets:i64* batch:i64 lines:i64 pixels:i64 n:i64 k:i64 runs:i64 runs_in_block:i64 depth:i64 quads:i64 "
    "lines_in_image:i64 image_step:i64 line_step:i64 pixel_step:i64 y_row:i64 line_block:i64 pixel_block:i64 col_block:i64 "
    "scale_step:i64 b_zero_step:i64 flip:i64 mode:i64 lo:f32 hi:f32 y_zero:i64 y_flip:i64 activation:i64 alpha:f32",
    in_place=(("residual", "y"),), merges=True,
)
"""y of edge.QGemm, for each of `batch` matrices; a: bytes of the CPU's own sign (flipped from the other one by `flip`).

Rows of y, y_row apart, are `lines` times `pixels`. Pixel i of line l reads a from (l / lines_in_image) * image_step +
(l % lines_in_image) * line_step + i * pixel_step on: `runs` runs of 4 * depth bytes, at offsets int64[runs]. batches:
int64[batch, 5], offsets in numbers: of a, of b's panels, of sums, of scale, bias and b_zero, of y and residual.
runs_in_block: runs that are summed before moving on. k: how many products are summed, which b_zero needs, and then `ones`,
a panel like b's first one that sums a.
quads: of a tile of matrix registers, where a CPU has them and its system gives them; runs are cut into such tiles. 0: none
are used.
scale_step, b_zero_step: 1 for a number per column, 0 for one in all. y: of the type that `mode` says. lo and hi: of y less
y_zero. y_flip: 128 for uint8, else 0. bias is float32 in mode FLOAT32. Absent operands are null. Work is shared by blocks of
lines, pixels and panels, of which the first two have MOST_ROWS rows at most.
"""

INT32, FLOAT32, EVEN, AWAY = range(4)
"""Modes: int32, float32, or bytes whose halves are rounded to even, or away from zero."""

MOST_ROWS = 112
_DEPTH_BLOCK = 128
"""Quads of k that are summed before moving on: two panels of them stay in the nearest cache."""
_MATRIX_QUADS, _LEAST_QUADS = 16, 5
"""Quads of k of a tile of matrix registers, at most and at least."""
_MATRIX_ROWS, _MATRIX_K, _MATRIX_WORK = 6, 40, 1 << 20
"""Rows, products of a sum, and operations from which on these registers pay: measured."""
_RESULT_COST = 32
"""What making a result of a sum takes, in numbers of k."""


def _step(node: BoundNode, index: int) -> int:
    return int(node.has(index) and node.type(index).size > 1)


class Epilogue:
    """Arguments of the products' kernels that an edge.QGemm, QConv or QDepthwiseConv decides."""

    __slots__ = ("args", "has_b_zero")

    def __init__(
        self, attrs: Any, sign: Bytes, *, sums: Arg, a_zero: Arg = 0, a_scale: Arg = 0, scale: Arg = 0,
        scale_step: int = 0, bias: Arg = 0, residual: Arg = 0, b_zero: Arg = 0, b_zero_step: int = 0,
    ) -> None:  # fmt: skip
        mode = {"int32": INT32, "float32": FLOAT32}.get(attrs.output, AWAY if attrs.rounding == "away" else EVEN)
        low, high = whole_limits(attrs) if mode in (EVEN, AWAY) else (attrs.lo, attrs.hi)
        zero = attrs.y_zero if mode in (EVEN, AWAY) else 0
        flip = 128 if attrs.output == "uint8" else 0
        self.has_b_zero = isinstance(b_zero, In)
        self.args: dict[str, Any] = {
            "sums": sums, "a_zero": a_zero, "a_scale": a_scale, "scale": scale, "scale_step": scale_step, "bias": bias,
            "residual": residual, "b_zero": b_zero, "b_zero_step": b_zero_step, "flip": sign.flip, "mode": mode,
            "lo": float(low - zero), "hi": float(high - zero), "y_zero": zero, "y_flip": flip,
            "activation": ACTIVATIONS[attrs.activation], "alpha": attrs.alpha,
        }  # fmt: skip

    @property
    def makes_bytes(self) -> bool:
        """Whether results are bytes as most machines round them, of weights without zero points."""
        return self.args["mode"] == EVEN and not self.has_b_zero

    @staticmethod
    def of(node: BoundNode) -> Epilogue:
        """Of a node of our own, whose inputs are in the order that they share."""
        return Epilogue(
            node.attrs, Bytes.of(node), sums=In(SUMS_AT), a_zero=node.optional(A_ZERO),
            a_scale=node.optional(A_SCALE), scale=node.optional(SCALE), scale_step=_step(node, SCALE),
            bias=node.optional(BIAS), residual=node.optional(RESIDUAL), b_zero=node.optional(B_ZERO),
            b_zero_step=_step(node, B_ZERO),
        )  # fmt: skip


class Rows:
    """Where rows of a lie: `lines` times `pixels` of them, see GEMM_INT8. offsets: of a row's runs of `run` bytes each, of
    which `used` count."""

    __slots__ = ("image_step", "line_step", "lines", "lines_in_image", "offsets", "pixel_step", "pixels", "run", "used")

    def __init__(
        self, pixels: int, pixel_step: int, run: int, used: int, lines: int = 1, lines_in_image: int = 1,
        image_step: int = 0, line_step: int = 0, offsets: Sequence[int] = (0,),
    ) -> None:  # fmt: skip
        self.pixels, self.pixel_step, self.run, self.used, self.lines = pixels, pixel_step, run, used, lines
        self.lines_in_image, self.image_step, self.line_step = lines_in_image, image_step, line_step
        self.offsets = offsets


def gemm_call(
    a: Arg, b: Arg, y: Arg, rows: Rows, n: int, batches: Sequence[Sequence[int]], epilogue: Epilogue, y_row: int = 0,
    **more: Any,
) -> Call:  # fmt: skip
    batch, panels, depth = len(batches), ceil_div(n, WIDTH), rows.run // DEPTH
    m, k = rows.lines * rows.pixels, rows.used * len(rows.offsets)
    work = 2 * batch * m * n * k
    is_row = batch * m == 1 and tuple(rows.offsets) == (0,) and not any(batches[0])
    if is_row and epilogue.args["mode"] == EVEN and not epilogue.has_b_zero:
        return gemv_call(a, b, y, n, depth, work, epilogue.args, **more)
    ones = _ones(len(rows.offsets), depth, rows.used) if epilogue.has_b_zero else 0
    pieces = _pieces(depth)
    depth //= pieces
    offsets = [start + i * depth * DEPTH for start in rows.offsets for i in range(pieces)]
    took, most_parts = 2 * batch * m * n * (k + _RESULT_COST), batch * ceil_div(m, 5) * ceil_div(panels, 2)
    parts = max(parts_for(work // 24, most_parts), parts_for(took // 24, min(most_parts, 2)))
    pixel_block = balanced(rows.pixels, MOST_ROWS, 28)
    line_block = max(1, min(rows.lines, MOST_ROWS // max(1, rows.pixels)))
    units = batch * ceil_div(rows.lines, line_block) * ceil_div(rows.pixels, pixel_block)
    if parts > units and m > 2 * panels * WIDTH:
        line_block = max(1, min(line_block, ceil_div(rows.lines * batch, parts)))
        if line_block == 1:
            blocks = ceil_div(parts, rows.lines * batch)
            pixel_block = min(pixel_block, balanced(rows.pixels, max(ceil_div(rows.pixels, blocks), 28), 28))
        units = batch * ceil_div(rows.lines, line_block) * ceil_div(rows.pixels, pixel_block)
    col_block = panels
    if parts > units:
        col_block = max(2, ceil_div(panels, ceil_div(parts, units)) // 2 * 2)
        units *= ceil_div(panels, col_block)
    return GEMM_INT8(
        a=a, b=b, y=y, batches=Table(batches), offsets=Table(offsets), batch=batch, lines=rows.lines,
        pixels=rows.pixels, n=n, k=k, runs=len(offsets), runs_in_block=max(1, _DEPTH_BLOCK // max(1, depth)), depth=depth,
        quads=matrix_quads(depth) if m >= _MATRIX_ROWS and k >= _MATRIX_K and work >= _MATRIX_WORK else 0,
        lines_in_image=rows.lines_in_image, image_step=rows.image_step, line_step=rows.line_step,
        pixel_step=rows.pixel_step, y_row=y_row or n,
        line_block=line_block, pixel_block=pixel_block, col_block=max(col_block, 1),
        ones=ones, parts=max(1, min(parts, units)), flops=work,
        **epilogue.args, **more,
    )  # fmt: skip


def _pieces(depth: int) -> int:
    """Into how many equal pieces to cut runs of so many quads, so that a piece fits a block."""
    least = ceil_div(depth, _DEPTH_BLOCK)
    return next((p for p in range(least, 4 * least + 1) if depth % p == 0), 1) if least > 1 else 1


def matrix_quads(depth: int) -> int:
    """How deep tiles `depth` quads of a run are cut into for matrix registers, which hold sixteen; 0 where they would be too
    flat to be worth it."""
    return next((q for q in range(_MATRIX_QUADS, _LEAST_QUADS - 1, -1) if depth % q == 0), 0)


def _ones(runs: int, depth: int, used: int) -> Table:
    """A panel of ones, but for what pads a run."""
    panel = np.zeros((runs, depth * DEPTH, WIDTH), np.int8)
    panel[:, :used] = 1
    return Table(panel.reshape(runs, depth, DEPTH, WIDTH).swapaxes(2, 3), np.int8)


def product_calls(
    b: Arg, a_shape: Sequence[int], b_batch: Sequence[int], y_batch: Sequence[int], k: int, n: int, sign: Bytes,
    epilogue: Epilogue, own_scratch: Sequence[int] = (), a: Arg | None = None, y: Arg | None = None,
) -> list[Call]:  # fmt: skip
    """y = a @ b for a [..., m, k] and panels b [*b_batch, ...]; a and y: by default input and output 0.

    own_scratch: bytes of the node's other buffers.
    """
    a, y = In(0) if a is None else a, Out(0) if y is None else y
    depth, total = ceil_div(k, DEPTH), math.prod(a_shape[:-1])
    direct = sign.is_native and k % DEPTH == 0
    row = depth * DEPTH
    m, batches = total, [[0, 0, 0, 0, 0]]
    if math.prod(b_batch) > 1 or math.prod(y_batch) * a_shape[-2] > total:
        m = a_shape[-2]
        sizes = m * row, ceil_div(n, WIDTH) * depth * DEPTH * WIDTH, m * n
        offsets = batch_offsets(a_shape[:-2], b_batch, y_batch, sizes)
        batches = [[at, panel, panel // sizes[1] * n if sizes[1] else 0, 0, to] for at, panel, _, to in offsets]
    rows = Rows(m, row, row, k)
    if direct:
        return [gemm_call(a, b, y, rows, n, batches, epilogue, scratch=own_scratch)]
    copy = Scratch(len(own_scratch))
    scratch = [*own_scratch, total * row + SLACK]
    return [
        rows_call(a, copy, sign, total, k, scratch=scratch),
        gemm_call(copy, b, y, rows, n, batches, epilogue),
    ]


@lowers("edge.QGemm")
def q_gemm(node: BoundNode) -> Lowered:
    a, panels, y = node.type(0).static_shape, node.type(1).static_shape, node.outputs[0].static_shape
    if not node.outputs[0].size:
        return []
    a = a if len(a) > 1 else (1, *a)
    y_batch = y[:-2] if len(panels) > 4 else a[:-2]
    return product_calls(
        In(1), a, panels[:-4], y_batch, node.attrs.k, node.attrs.n, Bytes.of(node), Epilogue.of(node)
    )
