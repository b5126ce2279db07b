"""Matrix products: all of them run the panel GEMM kernel, after packing where an operand is not constant."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.lowering._layout import ceil_div as ceil_div
from edge_rt.lowering._spec import Arg, BoundNode, Call, In, KernelSpec, Lowered, Out, Scratch, Table, lowers, parts_for
from edge_rt.lowering.windows import BLOCK_PIXELS, K_TOGETHER, Windows
from edge_rt.ops._panels import WIDTH
from edge_rt.ops.edge_gemm import ACTIVATIONS as _NAMES
from edge_rt.ops.edge_gemm import SCALE, ZERO, EpilogueAttrs, panel_batch
from edge_rt.types import DType

ACTIVATIONS = {name: code for code, name in enumerate(_NAMES)}

GEMM_F32 = KernelSpec(
    "gemm_f32",
    "a:f32* b:f32* bias:f32* residual:f32* y:f32* patches:f32* batches:i64* geometry:i64* batch:i64 m:i64 n:i64 k:i64 "
    "a_row:i64 a_size:i64 y_row:i64 row_block:i64 col_block:i64 k_block:i64 halves:i64 format:i64 scale:f32* zero:i8* "
    "block:i64 blocks:i64 lo:f32 hi:f32 activation:i64 alpha:f32",
    in_place=(("residual", "y"),), strided=("y", "y_row"), merges=True,
)  # fmt: skip
"""y[i, j] = act(clamp(sum over k of a[i, k] * b[k, j] + bias[j] + residual[i, j])) for each of `batch` matrices.

b: panels in a format of ops/_panels.py, whatever its pointer says: f32 (PLAIN), f16 (HALF), INT8 or INT4. Integers have
scale and zero (or null): `blocks` rows of 16 for each panel, one row for each `block` of k, see there. batches:
int64[batch, 4], offsets in numbers: of a, of b (in panels), of bias, of y and residual. Rows of a lie a_row apart, those
of y and residual y_row. With `geometry` (see lowering/windows.py) a is an NHWC image of a_size numbers, and its windows are
the rows. Work is shared by blocks of row_block rows (with geometry: its blocks) and col_block panels; k_block numbers of k
are summed before moving on. halves: where not 0, so many half panels, all there are, are summed by twos where a target can
(kernels/half_panels.py). patches: scratch for copied windows, or for slices of rows (`sliced_room` for each part): INT8
with one scale a column and no zero points, without geometry; else null. residual, bias and geometry may be null.
"""

_SLICED_FROM = 64
# Columns, and numbers of k, from which on it pays to slice rows.
_SLICED_PARTS = 4
# Most parts that slice the same rows.

PACK_F32 = KernelSpec(
    "pack_panels_f32", "b:f32* panels:f32* batch:i64 heads:i64 k:i64 n:i64 transposed:i64 scale:f32"
)
"""scale times b, [batch, k, heads, n] or transposed [batch, n, heads, k], as panels [batch, heads, ceil(n/16), k, 16]."""

TRANSPOSE_F32 = KernelSpec("transpose_f32", "x:f32* y:f32* batch:i64 rows:i64 columns:i64")
"""x [batch, rows, columns] as y [batch, columns, rows]."""

PLAIN, HALF, INT8, INT4 = range(4)
FORMATS = {DType.FLOAT32: PLAIN, DType.FLOAT16: HALF, DType.INT8: INT8, DType.UINT8: INT4}
K_BLOCK, _ROW_BLOCK = K_TOGETHER, BLOCK_PIXELS
# A k block of a panel pair stays in the nearest caches.
_ROWS, _FEW_ROWS = 5, 30
# Row blocks are multiples of the first, and no smaller than the second (twice that where rows are many).

_WIDE, _TILES = 4, {1: 1.3, 2: 1.1, 3: 1.05}
# Panels of the widest tiles, and how much longer those of fewer take, about.
_BY_TWOS, _BY_TWOS_ROWS = (3, 5), 64
# Half panels that are worth being summed by twos, and the rows from which on they are worth being interleaved.
_WIDE_ROWS = 2
# Rows up to which tiles are wide on all targets: see kernels/tiles.py.
_MANY = 16
# So many units are shared out well whatever their size.


def balanced(size: int, most: int, multiple: int) -> int:
    """The size of blocks, at most `most` and a multiple of `multiple`, that share `size` evenly."""
    if size <= most:
        return max(size, 1)
    return ceil_div(ceil_div(size, ceil_div(size, most)), multiple) * multiple


def in_lines(size: int) -> int:
    """So many numbers in whole cache lines."""
    return (size + 15) // 16 * 16


def sliced_room(rows: int, k: int) -> int:
    """Numbers of float32 that slices of so many rows take (kernels/sliced.py), with a word for each row in front."""
    return in_lines(rows) + rows * in_lines(k)


class Compact:
    """What panels that are not f32 need: see GEMM_F32; block 0 for all of k."""

    __slots__ = ("block", "format", "scale", "zero")

    def __init__(self, format: int = PLAIN, scale: Arg = 0, zero: Arg = 0, block: int = 0) -> None:
        self.format, self.scale, self.zero, self.block = format, scale, zero, block


def compact_of(node: BoundNode) -> Compact:
    """Of the panels of an edge.Gemm or edge.Conv."""
    return Compact(FORMATS[node.type(1).dtype], node.optional(SCALE), node.optional(ZERO), node.attrs.block)


def gemm_call(
    a: Arg, b: Arg, y: Arg, *, m: int, n: int, k: int, batches: Sequence[Sequence[int]], bias: Arg = 0,
    residual: Arg = 0, attrs: EpilogueAttrs | None = None, a_row: int = 0, y_row: int = 0,
    windows: Windows | None = None, a_size: int = 0, own_scratch: Sequence[int] = (), compact: Compact | None = None,
    sliced: bool = False, narrow: bool = False,
) -> Call:  # fmt: skip
    """A call of GEMM_F32. windows: of a convolution. own_scratch: bytes of the node's scratch buffers, behind which one for
    copied windows or for slices comes. compact: of panels that are not f32. sliced: whether rows may be sliced. narrow:
    see BoundNode.has_narrow_tiles."""
    compact = compact or Compact()
    batch, panels = len(batches), ceil_div(n, WIDTH)
    work = 2 * batch * m * n * k
    row_block = balanced(m, _ROW_BLOCK, _ROWS)
    k_block = windows.k_block if windows is not None else balanced(k, K_BLOCK, 16)
    most_parts = 64 if windows is None else windows.most_parts
    parts = parts_for(work // 8, min(most_parts, batch * ceil_div(m, 5) * ceil_div(panels, 2)))
    units = batch * (ceil_div(m, row_block) if windows is None else windows.blocks)
    if sliced:
        parts = min(parts, max(_SLICED_PARTS, units))
    if windows is None and parts > units and m >= panels * WIDTH:  # a and y outweigh b, and lie near who made them
        least = _FEW_ROWS if m <= 2 * _ROW_BLOCK else 2 * _FEW_ROWS
        row_block = min(row_block, balanced(m, max(ceil_div(m * batch, parts), least), _ROWS))
        row_block = _evenly(m, batch, row_block, range(least, min(m, _ROW_BLOCK) + 1, _ROWS), {})
        units = batch * ceil_div(m, row_block)
    copies = sliced or (windows is not None and windows.scratch > 0)
    by_twos = windows is None and compact.format == PLAIN and m >= _BY_TWOS_ROWS and k <= K_BLOCK and k % 2 == 0
    halves = ceil_div(n, WIDTH // 2) if by_twos and ceil_div(n, WIDTH // 2) in _BY_TWOS else 0
    col_block = panels if halves else _column_block(panels, units, parts, copies, narrow and m > _WIDE_ROWS)
    units *= ceil_div(panels, col_block)
    parts = max(1, min(parts, units))
    room = windows.scratch if windows is not None else 4 * sliced_room(row_block, k) if sliced else 0
    scratch = [*own_scratch, parts * room] if room else own_scratch
    return GEMM_F32(
        a=a, b=b, bias=bias, residual=residual, y=y, patches=Scratch(len(own_scratch)) if room else 0,
        batches=Table(batches), geometry=0 if windows is None else Table(windows.table), batch=batch,
        m=m, n=n, k=k, a_row=a_row or k, a_size=a_size, y_row=y_row or n,
        row_block=row_block, col_block=col_block, k_block=k_block, halves=halves, format=compact.format, scale=compact.scale,
        zero=compact.zero, block=compact.block or max(k, 1), blocks=ceil_div(k, compact.block) if compact.block else 1,
        lo=attrs.lo if attrs else -math.inf, hi=attrs.hi if attrs else math.inf,
        activation=ACTIVATIONS[attrs.activation] if attrs else 0, alpha=attrs.alpha if attrs else 0.0,
        parts=parts, scratch=scratch, flops=work,
    )  # fmt: skip


def _column_block(panels: int, units: int, parts: int, copies: bool, narrow: bool) -> int:
    """Panels of a block, where `units` blocks of rows are to become about `parts` units. copies: each part copies rows.
    narrow: blocks of one take no longer."""
    if parts <= units:
        return max(panels, 1)
    block = max(_WIDE, ceil_div(panels, ceil_div(parts, units)) // _WIDE * _WIDE)
    if copies:
        return block
    block = _evenly(panels, units, block, range(min(2, panels), min(3 * _WIDE, panels) + 1), _TILES)
    return _evenly(panels, units, block, (block, 1), {}) if narrow else block


def _evenly(size: int, units: int, block: int, others: Sequence[int], longer: dict[int, float]) -> int:
    """The block of `size` in each of some units: of `others` the one with which 2 and 4 threads have least to do one after
    the other, if those of size `block` are few. longer: how much longer small blocks take, about."""
    if units * ceil_div(size, block) >= _MANY:
        return block

    def cost(block: int) -> float:
        blocks = units * ceil_div(size, block)
        return (2 * ceil_div(blocks, 2) + 4 * ceil_div(blocks, 4)) * block * longer.get(block, 1.0)

    return min(others, key=cost, default=block)


def batch_offsets(a: Sequence[int], b: Sequence[int], y: Sequence[int], sizes: tuple[int, int, int]) -> list[list[int]]:
    """Offsets [batch, 4] of matrices whose batch shapes a and b broadcast to y; sizes: numbers in one of a and y, panels
    in one of b."""
    columns = []
    for shape, size in ((a, sizes[0]), (b, sizes[1])):
        index = np.arange(math.prod(shape)).reshape([1] * (len(y) - len(shape)) + list(shape))
        columns.append(np.broadcast_to(index, y).reshape(-1) * size)
    count = math.prod(y)
    offsets: list[list[int]] = np.stack([*columns, np.zeros(count, int), np.arange(count) * sizes[2]], 1).tolist()
    return offsets


def pack_call(
    b: Arg, panels: Arg, batch: int, k: int, n: int, transposed: bool, scale: float = 1.0, heads: int = 1, **more: Any
) -> Call:
    units = batch * heads * ceil_div(n, WIDTH)
    parts = parts_for(4 * batch * heads * k * n, units)
    return PACK_F32(
        b=b, panels=panels, batch=batch, heads=heads, k=k, n=n, transposed=int(transposed), scale=scale, parts=parts,
        **more,
    )  # fmt: skip


def product_calls(
    a_shape: Sequence[int], b_shape: Sequence[int], y_shape: Sequence[int], *, turn_a: bool = False,
    turn_b: bool = False, scale: float = 1.0, bias: Arg = 0, residual: Arg = 0,
) -> list[Call]:  # fmt: skip
    """y = scale * a @ b + bias + residual of inputs 0 and 1 (matrices in the last two axes, turned where said)."""
    k, n = b_shape[-2:] if not turn_b else b_shape[-1:-3:-1]
    m = a_shape[-1] if turn_a else a_shape[-2]
    a_batch, b_batch = math.prod(a_shape[:-2]), math.prod(b_shape[:-2])
    panels = b_batch * ceil_div(n, WIDTH) * k * WIDTH
    scratch = [max(4, 4 * panels), 4 * a_batch * m * k if turn_a else 4]
    calls = [pack_call(In(1), Scratch(0), b_batch, k, n, turn_b, scale, scratch=scratch)]
    if turn_a:
        calls.append(transpose_call(In(0), Scratch(1), a_batch, k, m))
    if b_batch == 1 and not turn_a:
        offsets, m = [[0, 0, 0, 0]], a_batch * m
    else:
        sizes = m * k, ceil_div(n, WIDTH), m * n
        offsets = batch_offsets(a_shape[:-2], b_shape[:-2], y_shape[:-2], sizes)
    a = Scratch(1) if turn_a else In(0)
    calls.append(gemm_call(a, Scratch(0), Out(0), m=m, n=n, k=k, batches=offsets, bias=bias, residual=residual))
    return calls


def transpose_call(x: Arg, y: Arg, batch: int, rows: int, columns: int, **more: Any) -> Call:
    parts = parts_for(batch * rows * columns, batch * ceil_div(rows, 16))
    return TRANSPOSE_F32(x=x, y=y, batch=batch, rows=rows, columns=columns, parts=parts, **more)


def is_f32(node: BoundNode) -> bool:
    return all(t is None or t.dtype is DType.FLOAT32 for t in node.inputs)


@lowers("edge.PackPanels")
def pack_panels(node: BoundNode) -> Lowered:
    shape = node.type(0).static_shape
    if not is_f32(node):
        return None
    if not node.outputs[0].size:
        return []
    k, n = shape[-2:] if not node.attrs.transposed else shape[-1:-3:-1]
    return [pack_call(In(0), Out(0), math.prod(shape[:-2]), k, n, node.attrs.transposed)]


@lowers("edge.Gemm")
def gemm(node: BoundNode) -> Lowered:
    a, y = node.type(0).static_shape, node.outputs[0].static_shape
    if not node.outputs[0].size:
        return []
    k, n, batch = a[-1], node.attrs.n, panel_batch(node.inputs)
    m, offsets = math.prod(a[:-1]), [[0, 0, 0, 0]]
    if math.prod(batch) > 1:
        m = a[-2]
        offsets = batch_offsets(a[:-2], batch, y[:-2], (m * k, ceil_div(n, WIDTH), m * n))
    elif batch:
        m = math.prod(y[:-1])
    compact = compact_of(node)
    sliced = node.arch == "x86_64" and compact.format == INT8 and not (node.has(ZERO) or compact.block)
    return [
        gemm_call(
            In(0), In(1), Out(0), m=m, n=n, k=k, batches=offsets, bias=node.optional(2), residual=node.optional(3),
            attrs=node.attrs, compact=compact, sliced=sliced and min(n, k) >= _SLICED_FROM,
            narrow=node.has_narrow_tiles,
        )
    ]  # fmt: skip


@lowers("MatMul")
def matmul(node: BoundNode) -> Lowered:
    a, b, y = node.type(0).static_shape, node.type(1).static_shape, node.outputs[0].static_shape
    if not is_f32(node):
        return None
    if not node.outputs[0].size:
        return []
    y = y if len(a) > 1 else (*y, 1) if len(b) == 1 else (*y[:-1], 1, y[-1])
    y = y if len(b) > 1 else (*y, 1) if len(a) > 1 else (1, 1)
    return product_calls(a if len(a) > 1 else (1, *a), b if len(b) > 1 else (*b, 1), y)


@lowers("Gemm")
def onnx_gemm(node: BoundNode) -> Lowered:
    """alpha * A' @ B' + beta * C, for C of a row or of the whole of Y and beta 1."""
    attrs, y = node.attrs, node.outputs[0].static_shape
    if not is_f32(node):
        return None
    if not node.outputs[0].size:
        return []
    bias: Arg = 0
    residual: Arg = 0
    if node.has(2) and attrs.beta != 0:
        c = node.type(2).static_shape
        if attrs.beta != 1:
            return None
        if math.prod(c) == y[1] and c[-1:] == y[1:]:
            bias = In(2)
        elif c == y:
            residual = In(2)
        else:
            return None
    a, b = node.type(0).static_shape, node.type(1).static_shape
    return product_calls(
        a, b, y, turn_a=bool(attrs.transA), turn_b=bool(attrs.transB), scale=attrs.alpha, bias=bias, residual=residual
    )
