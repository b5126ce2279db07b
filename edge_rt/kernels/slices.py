"""Rows of floats as integers of 24 bits, a power of two times the numbers, which products take apart into three slices of a
byte."""

from __future__ import annotations

from llvmlite import ir
from numba import types

from edge_rt.kernels._registry import apart
from edge_rt.kernels.memory import F32
from edge_rt.kernels.saturation import nearest
from edge_rt.kernels.simd import Vec, bitcast, largest, load, load_first, maximum, minimum, pack, primitive, splat, unpack
from edge_rt.kernels.tiles import WIDTH

I32, U8 = types.int32, types.uint8
INF_BITS, EXPONENT = 0x7F800000, 23
"""The bits of infinity, and where the exponent of a float32 begins."""
BITS = 23
"""Of the integers, beside their sign."""
SLICES = 3


@primitive(lambda x: Vec(U8, x.lanes, (SLICES,)) if isinstance(x, Vec) and x.dtype == I32 and x.count == 1 else None)
def in_slices(context, builder, sig, args):
    """in_slices(x): the lowest bytes of a vector of int32, the next ones, and those above these."""
    (x,), byte = unpack(builder, sig.args[0], args[0]).flat, ir.VectorType(ir.IntType(8), sig.args[0].lanes)
    shifts = (ir.Constant(x.type, [8 * i] * x.type.count) for i in range(SLICES))
    return pack(builder, sig.return_type, [builder.trunc(builder.lshr(x, shift), byte) for shift in shifts])


def row_slicer(keep, size):
    """slice_rows(a, a_row, rows, k, powers, out, pitch, plane): of each sixteen numbers of a row keep(whole, out, plane)
    writes the integers, `size` bytes for each; rows are `pitch` bytes apart. powers: int32[rows], the bits of the float that
    a sum of slices is to be multiplied with, or INF_BITS for a row that is not finite."""
    V, WORDS = Vec(F32, WIDTH), Vec(I32, WIDTH)

    def keep_all(x, scale, out, plane):
        keep(minimum(nearest(x * scale), splat(WORDS, (1 << BITS) - 1)), out, plane)

    @apart
    def slice_rows(a, a_row, rows, k, powers, out, pitch, plane):
        full = k // WIDTH * WIDTH
        for r in range(rows):
            top = splat(WORDS, 0)
            for i in range(0, full, WIDTH):
                top = maximum(top, bitcast(WORDS, load(V, a + i)) & 0x7FFFFFFF)
            if full < k:
                top = maximum(top, bitcast(WORDS, load_first(V, a + full, k - full)) & 0x7FFFFFFF)
            bits = largest(top)
            powers[r] = INF_BITS
            if bits < INF_BITS:
                exponent = max(bits >> EXPONENT, I32(BITS))
                powers[r] = exponent << EXPONENT
                scale = bitcast(V, splat(WORDS, I32(2 * 127 + BITS - 1 - exponent) << EXPONENT))
                for i in range(0, full, WIDTH):
                    keep_all(load(V, a + i), scale, out + size * i, plane)
                if full < k:
                    keep_all(load_first(V, a + full, k - full), scale, out + size * full, plane)
            a += a_row
            out += pitch

    return slice_rows


def unit_of(unit, batches, m, panels, row_block, col_block, a_row, y_row):
    """Of a unit of work, as GEMM_F32 shares it: which block of rows it is, how many rows; its panels, from the first to the
    last; and where its rows of a, its matrix's panels, the bias and its rows of y begin."""
    row_blocks, col_blocks = (m + row_block - 1) // row_block, (panels + col_block - 1) // col_block
    block = unit // col_blocks
    index = block // row_blocks
    first_row, first_panel = (block - index * row_blocks) * row_block, (unit - block * col_blocks) * col_block
    rows, last_panel = min(m - first_row, row_block), min(panels, first_panel + col_block)
    a_at, y_at = batches[4 * index] + first_row * a_row, batches[4 * index + 3] + first_row * y_row
    return block, rows, first_panel, last_panel, a_at, batches[4 * index + 1], batches[4 * index + 2], y_at
