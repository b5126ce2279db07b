"""Sums of 3x3 windows for Arm's dot products of four bytes, of columns in registers: by phases of sixteen channels.

Phase k are channels k, k + 4, k + 8 and k + 12. In this order columns are woven, and results packed, by the cheapest of
Arm's permutations: they only ever exchange neighbours.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from edge_rt.kernels.simd import Vec, call, number, pack, primitive, repeat, shuffle, unpack
from edge_rt.lowering.depthwise_int8 import GROUP

I8, I16, U8 = types.int8, types.int16, types.uint8
PHASES = 4
BYTES, SHORTS, WORDS = (ir.VectorType(ir.IntType(8 * size), GROUP // size) for size in (1, 2, 4))
FLOATS, HALF, FEW = ir.VectorType(ir.FloatType(), 4), ir.VectorType(ir.IntType(8), 8), ir.VectorType(ir.IntType(16), 4)
LONG = ir.IntType(64)


def table_size(lines):
    """Bytes of a phase in a table of weights i8[3, lines, 16], starts int32[4] and factors float32[4], for each phase."""
    return (3 * lines + 2) * GROUP


def _paired(builder, x, y, odd):
    """Numbers of x and y alternately, those at even places, or those at odd ones."""
    count = x.type.count
    return shuffle(builder, x, [i - i % 2 + odd + (count if i % 2 else 0) for i in range(count)], y)


@primitive(lambda x: x.to(shape=(PHASES,)) if isinstance(x, Vec) and x.shape in ((3,), (4,)) and x.lanes == GROUP else None)
def weave_phases(context, builder, sig, args):
    """weave_phases(x): byte i of the vectors of x together, as a quad, for each phase. The last byte of quads of three
    vectors is anything."""
    a, b, c, *d = unpack(builder, sig.args[0], args[0])
    upper = [builder.bitcast(_paired(builder, a, b, odd), SHORTS) for odd in (0, 1)]
    if d:
        lower = [builder.bitcast(_paired(builder, c, d[0], odd), SHORTS) for odd in (0, 1)]
    else:
        lower = [builder.bitcast(v, SHORTS) for v in (c, shuffle(builder, c, [i ^ 1 for i in range(GROUP)]))]
    made = [_paired(builder, upper[k % 2], lower[k % 2], k // 2) for k in range(PHASES)]
    return pack(builder, sig.return_type, [builder.bitcast(v, BYTES) for v in made])


@primitive(lambda x, y: x.to(shape=(x.shape[0] + y.shape[0], *x.shape[1:])))
def joined(context, builder, sig, args):
    """joined(x, y): tiles of the same vectors as one, along their first axis."""
    return pack(builder, sig.return_type, [v for t, a in zip(sig.args, args) for v in unpack(builder, t, a).flat])


def _held(builder, p, vector):
    """p, about which LLVM knows nothing, but that it takes `vector` to know it."""
    return builder.asm(ir.FunctionType(p.type, [p.type, vector.type]), "", "=r,0,w", [p, vector], False)


def _windows(x, table, lines, is_small):
    whole = isinstance(lines, types.IntegerLiteral) and isinstance(is_small, types.IntegerLiteral)
    return Vec(I16, 8, (2, lines.literal_value, min(2, x.shape[0] - 2))) if whole else None


@primitive(_windows)
def sum_windows(context, builder, sig, args):
    """sum_windows(x, table, lines, is_small): the sums of a window, or of two neighbours, of each line, times factors, as
    whole numbers of 16 bits [2, lines, windows]: of phases 0 and 1 alternately, and of 2 and 3.

    x: the columns that they see [columns, 4], as of weave_phases: three, or for two windows as many more as the stride.
    table: see table_size. is_small: all these numbers fit 16 bits; else they are saturated.
    As one primitive, since machines do as many things at a time as neighbouring instructions are different: sums of a phase
    stand between those instructions that convert the phase before, and no phase begins before the one before that is done.
    """
    (columns, table, _, _), (lines, is_small) = args, (t.literal_value for t in sig.args[2:])
    seen, windows = unpack(builder, sig.args[0], columns), sig.return_type.shape[2]
    stride, size, whole = len(seen) - 3, table_size(lines), {}

    def table_at(offset, t):
        return builder.load(builder.bitcast(builder.gep(table, [LONG(offset)]), t.as_pointer()), align=1)

    def summed(k, sums):
        for index in np.ndindex(lines, windows):
            sums[index] = table_at((k + 1) * size - 2 * GROUP, WORDS)
        for tap, line in np.ndindex(3, lines):
            weight = table_at(k * size + (tap * lines + line) * GROUP, BYTES)
            for i in range(windows):
                given = sums[line, i], seen[i * stride + tap, k], weight
                sums[line, i] = call(builder, "llvm.aarch64.neon.sdot.v4i32.v16i8", WORDS, *given)
                yield

    def converted(k, sums):
        factor, made = table_at((k + 1) * size - GROUP, FLOATS), dict(sums)
        for step in (
            lambda v: builder.sitofp(v, FLOATS),
            lambda v: builder.fmul(v, factor),
            lambda v: call(builder, "llvm.aarch64.neon.fcvtns.v4i32.v4f32", WORDS, v),
        ):
            for index in made:
                made[index] = step(made[index])
                yield
        whole[k] = made

    before = iter(())
    for k in range(PHASES):
        if k > 1:
            table = _held(builder, table, whole[k - 2][lines - 1, windows - 1])
        sums = {}
        for _ in summed(k, sums):
            next(before, None)
        for _ in before:
            pass
        before = converted(k, sums)
    for _ in before:
        pass
    shorten = _low_shorts if is_small else _saturated_shorts
    pairs = ((whole[2 * half][line, i], whole[2 * half + 1][line, i]) for half, line, i in np.ndindex(2, lines, windows))
    return pack(builder, sig.return_type, [shorten(builder, *pair) for pair in pairs])


def _low_shorts(builder, x, y):
    return _paired(builder, *(builder.bitcast(v, SHORTS) for v in (x, y)), 0)


def _saturated_shorts(builder, x, y):
    first, second = (call(builder, "llvm.aarch64.neon.sqxtn.v4i16", FEW, v) for v in (x, y))
    return shuffle(builder, first, [i // 2 + i % 2 * 4 for i in range(8)], second)


def _bytes(x, *rest):
    return Vec(U8, 8, x.shape) if isinstance(x, Vec) and x.dtype == I16 else None


@primitive(_bytes)
def ramp_bytes(context, builder, sig, args):
    """ramp_bytes(x): the nearest uint8."""
    vectors = unpack(builder, sig.args[0], args[0]).flat
    return pack(builder, sig.return_type, [call(builder, "llvm.aarch64.neon.sqxtun.v8i8", HALF, v) for v in vectors])


@primitive(_bytes)
def limited_bytes(context, builder, sig, args):
    """limited_bytes(x, zero, lo, hi): x + zero within [lo, hi], which are int8."""
    zero, lo, hi = (
        repeat(builder, Vec(t, 8), builder.trunc(v, number(t))) for v, t in zip(args[1:], (I16, I8, I8), strict=True)
    )
    made = []
    for v in unpack(builder, sig.args[0], args[0]).flat:
        moved = call(builder, "llvm.sadd.sat.v8i16", SHORTS, v, zero)
        narrow = call(builder, "llvm.aarch64.neon.sqxtn.v8i8", HALF, moved)
        made.append(call(builder, "llvm.smin.v8i8", HALF, call(builder, "llvm.smax.v8i8", HALF, narrow, lo), hi))
    return pack(builder, sig.return_type, made)


@primitive(lambda p, x, line, step: types.none if isinstance(line, types.IntegerLiteral) else None)
def store_windows(context, builder, sig, args):
    """store_windows(p, x, line, step): bytes of windows of one line of x [2, lines, windows], `step` apart, as channels."""
    vec, line, (p, x, _, step) = sig.args[1], sig.args[2].literal_value, args
    for first, second in unpack(builder, vec, x)[:, line].T:
        pair = (builder.bitcast(v, FEW) for v in (first, second))
        call(builder, "llvm.aarch64.neon.st2.v4i16.p0", ir.VoidType(), *pair, builder.bitcast(p, ir.IntType(8).as_pointer()))
        p = builder.gep(p, [step])
    return context.get_dummy_value()
