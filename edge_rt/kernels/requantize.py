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
    new,
    pack,
    pointer,
    primitive,
    repeat,
    select,
    shuffle,
    splat,
    store,
    store_first,
    unpack,
)
from edge_rt.kernels.tiles import clamp
from edge_rt.lowering.gemm_int8 import AWAY, FLOAT32, INT32

F32, I8, I32, U8 = types.float32, types.int8, types.int32, types.uint8
WIDTH = 16
SHORT, BYTE = ir.IntType(16), ir.IntType(8)


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


def _saturated_arm(builder, four, zero, lo, hi, flip):
    """Sixteen int32 in four vectors."""
    halves = []
    for low, high in zip(four[::2], four[1::2]):
        low, high = (call(builder, "llvm.aarch64.neon.sqxtn.v4i16", ir.VectorType(SHORT, 4), v) for v in (low, high))
        joined = shuffle(builder, low, list(range(8)), high)
        moved = call(builder, "llvm.sadd.sat.v8i16", joined.type, joined, zero)
        halves.append(call(builder, "llvm.aarch64.neon.sqxtn.v8i8", ir.VectorType(BYTE, 8), moved))
    return _within(builder, shuffle(builder, halves[0], list(range(16)), halves[1]), lo, hi, flip)


def _saturated_x86(builder, four, zero, lo, hi, flip):
    """Packing takes numbers from both operands for each 16 bytes: in those, four of each vector lie together."""
    lanes = four[0].type.count
    name = {16: "llvm.x86.avx512.packss{}.512", 8: "llvm.x86.avx2.packss{}"}[lanes]
    shorts, bytes_ = ir.VectorType(SHORT, 2 * lanes), ir.VectorType(BYTE, 4 * lanes)
    pairs = [call(builder, name.format("dw"), shorts, *pair) for pair in zip(four[::2], four[1::2])]
    pairs = [call(builder, f"llvm.sadd.sat.v{2 * lanes}i16", shorts, p, zero) for p in pairs]
    return _within(builder, call(builder, name.format("wb"), bytes_, *pairs), lo, hi, flip)


def _within(builder, x, lo, hi, flip):
    for name, bound in (("smax", lo), ("smin", hi)):
        x = call(builder, f"llvm.{name}.v{x.type.count}i8", x.type, x, bound)
    return builder.xor(x, flip)


@primitive(
    lambda x, zero, lo, hi, flip: Vec(U8, 4 * x.lanes, x.shape[:-1])
    if isinstance(x, Vec) and x.shape and x.shape[-1] == 4 and x.dtype == I32
    else None
)
def saturated(context, builder, sig, args):
    """saturated(x, zero, lo, hi, flip): int32 x + zero, which may saturate at 16 bits, within [lo, hi], which are int8, and
    its bits xored with flip. Four vectors along the last axis of x become one: four numbers of each in turn."""
    vectors = unpack(builder, sig.args[0], args[0]).reshape(-1, 4)
    is_arm, lanes = machine(context).arch == "aarch64", sig.args[0].lanes

    def repeated(value, t, count):
        return repeat(builder, Vec(t, count), builder.trunc(value, ir.IntType(t.bitwidth)))

    zero = repeated(args[1], types.int16, 2 * lanes)
    limits = [repeated(v, I8, 4 * lanes) for v in args[2:]]
    make = _saturated_arm if is_arm else _saturated_x86
    return pack(builder, sig.return_type, [make(builder, list(four), zero, *limits) for four in vectors])


def _literals(*numbers):
    return all(isinstance(n, types.IntegerLiteral) for n in numbers)


@primitive(lambda x, count: Vec(U8, WIDTH, (count.literal_value,)) if _literals(count) else None)
def rows_of_sixteen(context, builder, sig, args):
    """rows_of_sixteen(x, count): the first `count` rows that `saturated` made of rows of sixteen numbers."""
    vec, made = sig.args[0], []
    for v in unpack(builder, vec, args[0]).flat:
        if vec.lanes > WIDTH:
            words = builder.bitcast(v, ir.VectorType(ir.IntType(32), vec.lanes // 4))
            order = [4 * (i % 4) + i // 4 for i in range(16)] if vec.lanes == 64 else [0, 4, 1, 5, 2, 6, 3, 7]
            v = builder.bitcast(shuffle(builder, words, order), v.type)
        if vec.lanes == 64:  # LLVM would shuffle for each part, instead of storing parts
            v = builder.asm(ir.FunctionType(v.type, [v.type]), "", "=v,0", [v], False)
        made += [shuffle(builder, v, list(range(i, i + WIDTH))) for i in range(0, vec.lanes, WIDTH)]
    return pack(builder, sig.return_type, made[: sig.return_type.count])


@primitive(lambda x: x.to(shape=(-(-x.count // 4), 4)) if isinstance(x, Vec) else None)
def in_fours(context, builder, sig, args):
    """in_fours(x): the vectors of x, four in a row; the last ones are repeated."""
    vectors = list(unpack(builder, sig.args[0], args[0]).flat)
    return pack(builder, sig.return_type, vectors + vectors[-1:] * (sig.return_type.count - len(vectors)))


@primitive(lambda x, *shape: x.to(shape=tuple(n.literal_value for n in shape)) if _literals(*shape) else None)
def shaped(context, builder, sig, args):
    """shaped(x, *shape): the same vectors in another shape."""
    return args[0]


@primitive(new)
def widened_bytes(context, builder, sig, args):
    """widened_bytes(V, x): uint8 x, sixteen in a vector, as int32 V, which has as many numbers."""
    vec, made = sig.return_type, []
    for v in unpack(builder, sig.args[1], args[1]).flat:
        wide = builder.zext(v, ir.VectorType(ir.IntType(32), WIDTH))
        made += [shuffle(builder, wide, list(range(i, i + vec.lanes))) for i in range(0, WIDTH, vec.lanes)]
    return pack(builder, vec, made)


def to_whole(target):
    """whole(x): the nearest int32 of float32, halves even; beyond 16 bits anything beyond 16 bits of that sign."""
    if target.arch == "aarch64":
        return lambda x: nearest(x)
    # Beyond int32, cvtps2dq gives the smallest one.
    return lambda x: nearest(minimum(x, 32767.0))


def ender(target, rows, panels):
    """end(acc, (as_bytes, out, factor, zero, lo, hi, flip, y, y_row)): the end of a tile of sums in registers.

    acc: int32 [rows, panels, 16 / lanes]. Not as_bytes: to out, int32[rows, panels * 16]. Else round(acc * factor) + zero
    within [lo, hi], with bits xored with flip, to y; halves become even. factor: float32[panels * 16].
    """
    FACTOR = Vec(F32, target.lanes, (1, panels, WIDTH // target.lanes))
    NUMBERS = FACTOR.to(shape=(rows, *FACTOR.shape[1:]))

    whole, count = to_whole(target), rows * panels

    def end(acc, ending):
        as_bytes, out, factor, zero, lo, hi, flip, y, y_row = ending
        if as_bytes:
            made = in_fours(whole(convert(NUMBERS, acc) * load(FACTOR, factor, 0, WIDTH)))
            rounded = rows_of_sixteen(saturated(made, zero, lo, hi, flip), count)
            store(y, shaped(rounded, rows, panels), y_row, WIDTH)
        else:
            store(out, acc)

    return end


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
