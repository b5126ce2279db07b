"""Sums of depthwise windows for machines without dot products of four bytes: one tap at a time, widened.

What a line of the result sees is copied first, with its padding, as u8[rows, count, 16]; neighbours share what they widen.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from edge_rt.kernels.requantize import in_fours, kind_of, packer, rows_of_sixteen, to_whole
from edge_rt.kernels.simd import (
    Vec,
    call,
    convert,
    load,
    machine,
    new,
    pack,
    pointer,
    primitive,
    shuffle,
    splat,
    store,
    unpack,
)
from edge_rt.kernels.tiles_int8 import byte_of
from edge_rt.lowering.depthwise_int8 import GROUP

F32, I8, I16, I32, U8 = types.float32, types.int8, types.int16, types.int32, types.uint8
MANY = 4
"""Neighbours that are summed together."""


def _wide(target, shape):
    """The type of `widen`ed bytes, of which a vector gives the last axis."""
    dtype, lanes = (I16, 8) if target.arch == "aarch64" else (I32, target.lanes)
    return Vec(dtype, lanes, (*shape, GROUP // lanes))


@primitive(new)
def widen(context, builder, sig, args):
    """widen(V, x): vectors of GROUP bytes as numbers of the type that `add_products` multiplies, see `_wide`."""
    vec, given, made = sig.return_type, sig.args[1], []
    whole = ir.FunctionType(vec.ir, [vec.ir])
    for v in unpack(builder, given, args[1]).flat:
        for first in range(0, GROUP, vec.lanes):
            some = shuffle(builder, v, list(range(first, first + vec.lanes)))
            some = (builder.sext if given.dtype.signed else builder.zext)(some, vec.ir)
            if machine(context).arch == "aarch64":  # else LLVM would widen again what each product takes of it
                some = builder.asm(whole, "", "=w,0", [some], False)
            made.append(some)
    return pack(builder, vec, made)


@primitive(
    lambda x, start, step, count: x.to(shape=(count.literal_value, *x.shape[1:]))
    if all(isinstance(i, types.IntegerLiteral) for i in (start, step, count))
    else None
)
def pick_rows(context, builder, sig, args):
    """pick_rows(x, start, step, count): x[start], x[start + step], ... of a tile, by constants."""
    start, step, count = (i.literal_value for i in sig.args[1:])
    return pack(builder, sig.return_type, unpack(builder, sig.args[0], args[0])[start : start + step * count : step].flat)


@primitive(lambda acc, x, w: acc)
def add_products(context, builder, sig, args):
    """add_products(acc, x, w): acc + x * w for widened x and w, int32; acc has a last axis of vectors for GROUP numbers."""
    vec, xs = sig.return_type, sig.args[1]
    acc, x, w = (unpack(builder, t, a) for t, a in zip(sig.args, args))
    shape, made = (*vec.shape[:-1], xs.shape[-1]), []
    rows = zip(acc.reshape(-1, vec.shape[-1]), *(np.broadcast_to(v, shape).reshape(-1, shape[-1]) for v in (x, w)))
    for sums, seen, weights in rows:
        for j, z in enumerate(sums):
            if machine(context).arch == "aarch64":
                half = list(range(4 * (j % 2), 4 * (j % 2) + 4))
                pair = (shuffle(builder, v[j // 2], half) for v in (seen, weights))
                product = call(builder, "llvm.aarch64.neon.smull.v4i32", vec.ir, *pair)
            else:  # each int32 is a pair of int16, of which the upper ones of x, which has no sign, are zero
                pairs = ir.VectorType(ir.IntType(16), 2 * vec.lanes)
                name = {16: "llvm.x86.avx512.pmaddw.d.512", 8: "llvm.x86.avx2.pmadd.wd"}[vec.lanes]
                product = call(builder, name, vec.ir, *(builder.bitcast(v[j], pairs) for v in (seen, weights)))
            made.append(builder.add(z, product))
    return pack(builder, vec, made)


def row_of(target, kernel_w, stride, outputs):
    """row(acc, x, w): adds one kernel row to `outputs` neighbours, whose loads overlap."""
    count = (outputs - 1) * stride + kernel_w
    SEEN, TAP = Vec(byte_of(target), GROUP, (count,)), Vec(I8, GROUP, (1,))
    WIDE, WEIGHTS = _wide(target, (count,)), _wide(target, (1,))

    def make(tap):
        def last(acc, seen, w):
            return add_products(acc, pick_rows(seen, tap, stride, outputs), widen(WEIGHTS, load(TAP, w + tap * GROUP)))

        if tap == 0:
            return last
        before = make(tap - 1)
        return lambda acc, seen, w: last(before(acc, seen, w), seen, w)

    steps = make(kernel_w - 1)
    return lambda acc, x, w: steps(acc, widen(WIDE, load(SEEN, x)), w)


def block_of(target, kernel_w, stride, outputs):
    """block(acc, x, x_row, w, kernel_h): adds the windows of `outputs` neighbours."""
    row = row_of(target, kernel_w, stride, outputs)

    def block(acc, x, x_row, w, kernel_h):
        for _ in range(kernel_h):
            acc = row(acc, x, w)
            x += x_row
            w += kernel_w * GROUP
        return acc

    return block


def loop_of(target, outputs):
    """loop(...): as block, for any kernel, stride and dilation."""
    SEEN, TAP = Vec(byte_of(target), GROUP, (outputs,)), Vec(I8, GROUP, (1,))
    WIDE, WEIGHTS = _wide(target, (outputs,)), _wide(target, (1,))

    def loop(acc, x, x_row, stride, dilation, w, kernel_h, kernel_w):
        for r in range(kernel_h):
            for k in range(kernel_w):
                seen = widen(WIDE, load(SEEN, x + (r * x_row + k * dilation * GROUP), stride * GROUP))
                acc = add_products(acc, seen, widen(WEIGHTS, load(TAP, w)))
                w += GROUP
        return acc

    return loop


def gatherer(target):
    """gather(...): copies what the windows of lines see to `to`, u8[groups, rows, count, 16], with flipped bits.

    Arguments as for the gatherer of quads; count: columns from first_column on.
    """
    LINE = Vec(U8, GROUP)

    def gather(
        image, row_step, pixel, channels, h, w, first_row, row_gap, rows, first_column, count, blank, flip, to
    ):  # fmt: skip
        mask = splat(LINE, flip)
        outside = load(LINE, blank) ^ mask
        for group in range((channels + GROUP - 1) // GROUP):
            at = max(0, min(group * GROUP, channels - GROUP))
            for r in range(rows):
                row = first_row + r * row_gap
                source, inside = image + (row * row_step + at), row >= 0 and row < h
                for i in range(count):
                    column = first_column + i
                    if not inside or column < 0 or column >= w:
                        store(to, outside)
                    elif channels >= GROUP:
                        store(to, load(LINE, source + column * pixel) ^ mask)
                    else:
                        for q in range(channels):
                            to[q] = source[column * pixel + q] ^ flip
                    to += GROUP

    return gather


def sweeper(target):
    """sweep(...): the sums of a line of `columns` columns, and of what follows them up to MANY, as those of quads do."""
    three_1, three_2, five_1, five_2 = (block_of(target, k, s, MANY) for k, s in ((3, 1), (3, 2), (5, 1), (5, 2)))
    several, whole, packed = loop_of(target, MANY), to_whole(target), packer(target)
    SUMS = Vec(I32, target.lanes, (MANY, GROUP // target.lanes))
    NUMBERS, FACTOR = SUMS.to(dtype=F32), Vec(F32, target.lanes, (1, GROUP // target.lanes))

    def sweep(
        x, x_row, stride, dilation, w, kernel_h, kernel_w, start, factor, as_bytes, zero, lo, hi, flip, y, columns
    ):  # fmt: skip
        kind, how = kernel_w * 10 + stride if dilation == 1 else 0, kind_of(zero, lo, hi)
        for i in range(0, columns, MANY):
            here, acc = x + i * stride * GROUP, load(SUMS, start, 0)
            if kind == 31:
                acc = three_1(acc, here, x_row, w, kernel_h)
            elif kind == 32:
                acc = three_2(acc, here, x_row, w, kernel_h)
            elif kind == 51:
                acc = five_1(acc, here, x_row, w, kernel_h)
            elif kind == 52:
                acc = five_2(acc, here, x_row, w, kernel_h)
            else:
                acc = several(acc, here, x_row, stride, dilation, w, kernel_h, kernel_w)
            if as_bytes:
                made = in_fours(whole(convert(NUMBERS, acc) * load(FACTOR, factor, 0)))
                store(y + i * GROUP, rows_of_sixteen(packed(made, how, zero, lo, hi, flip), MANY))
            else:
                store(pointer(I32, y + 4 * i * GROUP), acc)

    return sweep
