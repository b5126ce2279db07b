"""Epilogues of 8-bit products: int32 sums, in the nearest cache, become what an operator gives."""

from __future__ import annotations

from llvmlite import ir
from numba import types

from edge_rt.kernels.simd import (
    Vec,
    call,
    convert,
    fma,
    load,
    load_first,
    machine,
    maximum,
    minimum,
    pack,
    pointer,
    primitive,
    select,
    shuffle,
    splat,
    store,
    store_first,
    unpack,
)
from edge_rt.kernels.tiles import clamp
from edge_rt.lowering.gemm_int8 import AWAY, FLOAT32, INT32

F32, I32, U8 = types.float32, types.int32, types.uint8
WIDTH = 16


@primitive(lambda x: x.to(dtype=I32) if isinstance(x, Vec) and x.dtype == F32 else None)
def nearest(context, builder, sig, args):
    """nearest(x): the nearest int32 of float32 x, halves to the even neighbour; |x| < 2**31. 0 in the low bits for NaN."""
    vec, made = sig.return_type, []
    for x in unpack(builder, sig.args[0], args[0]).flat:
        if machine(context).arch == "aarch64":
            made.append(call(builder, f"llvm.aarch64.neon.fcvtns.v{vec.lanes}i32.v{vec.lanes}f32", vec.ir, x))
        elif vec.lanes == 8:
            made.append(call(builder, "llvm.x86.avx.cvt.ps2dq.256", vec.ir, x))
        else:
            mask, current = ir.Constant(ir.IntType(16), -1), ir.IntType(32)(4)
            made.append(call(builder, "llvm.x86.avx512.mask.cvtps2dq.512", vec.ir, x, vec.ir(None), mask, current))
    return pack(builder, vec, made)


@primitive(lambda x: Vec(U8, WIDTH) if isinstance(x, Vec) and x.dtype == I32 and x.lanes * x.count == WIDTH else None)
def low_bytes(context, builder, sig, args):
    """low_bytes(x): the low bytes of sixteen int32, in one vector."""
    vectors = list(unpack(builder, sig.args[0], args[0]).flat)
    while len(vectors) > 1:
        lanes = range(2 * vectors[0].type.count)
        vectors = [shuffle(builder, x, list(lanes), y) for x, y in zip(vectors[::2], vectors[1::2])]
    return pack(builder, sig.return_type, [builder.trunc(vectors[0], ir.VectorType(ir.IntType(8), WIDTH))])


def finisher(target):
    """finish(mode, sums, row, height, columns, factor, addend, low, high, zero, residual, has_residual, y, y_row).

    sums: int32[height, row], of which `columns` (at most row) are of use; factor, addend: float32[row].
    mode INT32: y = sums. FLOAT32: y = clamp(sums * factor + addend + residual, low, high). EVEN, AWAY: y = round(clamp(sums
    * factor, low, high)) + zero as bytes. Rows of y and residual (in y's numbers) are y_row apart.
    """
    shape = (WIDTH // target.lanes,)
    NUMBERS, WHOLE = Vec(F32, target.lanes, shape), Vec(I32, target.lanes, shape)

    def away(x):
        whole = convert(WHOLE, x)
        rest = x - convert(NUMBERS, whole)
        one, none = splat(WHOLE, 1), splat(WHOLE, 0)
        return whole + select(rest >= 0.5, one, none) - select(rest <= -0.5, one, none)

    def bytes_of(rounding):
        def run(sums, row, height, columns, factor, low, high, zero, y, y_row):
            for q in range(0, columns, WIDTH):
                f = load(NUMBERS, factor + q)
                source, to = sums + q, y + q
                if q + WIDTH <= columns:
                    for _ in range(height):
                        x = minimum(maximum(convert(NUMBERS, load(WHOLE, source)) * f, low), high)
                        store(to, low_bytes(rounding(x) + zero))
                        source += row
                        to += y_row
                else:
                    for _ in range(height):
                        x = minimum(maximum(convert(NUMBERS, load(WHOLE, source)) * f, low), high)
                        store_first(to, low_bytes(rounding(x) + zero), columns - q)
                        source += row
                        to += y_row

        return run

    def floats(sums, row, height, columns, factor, addend, low, high, residual, has_residual, y, y_row):
        for q in range(0, columns, WIDTH):
            f, more = load(NUMBERS, factor + q), load(NUMBERS, addend + q)
            for r in range(height):
                x = fma(convert(NUMBERS, load(WHOLE, sums + (r * row + q))), f, more)
                at = r * y_row + q
                if q + WIDTH <= columns:
                    if has_residual:
                        x = x + load(NUMBERS, residual + at)
                    store(y + at, clamp(x, low, high))
                else:
                    if has_residual:
                        x = x + load_first(NUMBERS, residual + at, columns - q)
                    store_first(y + at, clamp(x, low, high), columns - q)

    def integers(sums, row, height, columns, y, y_row):
        for q in range(0, columns, WIDTH):
            for r in range(height):
                x, to = load(WHOLE, sums + (r * row + q)), y + (r * y_row + q)
                if q + WIDTH <= columns:
                    store(to, x)
                else:
                    store_first(to, x, columns - q)

    even_bytes, away_bytes = bytes_of(nearest), bytes_of(away)

    def finish(mode, sums, row, height, columns, factor, addend, low, high, zero, residual, has_residual, y, at, y_row):
        if mode == INT32:
            integers(sums, row, height, columns, pointer(I32, y) + at, y_row)
        elif mode == FLOAT32:
            floats(
                sums, row, height, columns, factor, addend, low, high, residual + at, has_residual,
                pointer(F32, y) + at, y_row,
            )  # fmt: skip
        elif mode == AWAY:
            away_bytes(sums, row, height, columns, factor, low, high, zero, y + at, y_row)
        else:
            even_bytes(sums, row, height, columns, factor, low, high, zero, y + at, y_row)

    return finish
