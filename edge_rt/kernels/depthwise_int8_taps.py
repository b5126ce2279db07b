"""Sums of depthwise windows for machines without dot products of four bytes: one tap at a time, widened, or on Arm two taps
whose sum is widened, or on AVX2 two rows (`depthwise_int8_pairs`).

What a line of the result sees is copied first, see `tap_gatherer`; neighbours share what they widen.
"""

from __future__ import annotations

import functools

import numpy as np
from llvmlite import ir
from numba import types

from edge_rt.kernels.depthwise_int8_pairs import pair_block, pair_loop, pair_weights
from edge_rt.kernels.depthwise_int8_seen import safe_columns, tap_gatherer
from edge_rt.kernels.requantize import rounder
from edge_rt.kernels.saturation import in_fours, rows_of_sixteen
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
    store,
    unpack,
)
from edge_rt.kernels.tile_sets_int8 import narrow_finder
from edge_rt.kernels.tiles_int8 import byte_of
from edge_rt.lowering.depthwise_int8 import (
    APART_WIDE,
    CHANNELS,
    GAP_DOWN,
    GAP_WIDE,
    GROUP,
    HEIGHT,
    KERNEL_H,
    KERNEL_W,
    LATTICE,
    LINE_ROOM,
    LINE_SEEN,
    LINES,
    STEP_DOWN,
    STEP_WIDE,
    WIDTH,
)

F32, I8, I16, I32, U8 = types.float32, types.int8, types.int16, types.int32, types.uint8
MANY = 4
"""Neighbours that are summed together."""
MIDDLE = 1 << 15


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


@primitive(
    lambda acc, seen, w, tap, stride: acc if all(isinstance(i, types.IntegerLiteral) for i in (tap, stride)) else None
)
def add_narrow(context, builder, sig, args):
    """add_narrow(acc, seen, w, tap, stride): acc int32 [outputs, 4] plus MIDDLE, plus seen, int8, from number `tap` on,
    `stride` apart, times the one or two taps w, int8, added up as int16 before they widen: not both of them may be -128.

    For Arm. What is added is the distance to the lowest int16: that runs beside multiplies, where other widening sums may
    take their pipe.
    """
    acc, seen, weights = (unpack(builder, t, a) for t, a in zip(sig.args[:3], args))
    vec, byte, tap, stride = sig.return_type, sig.args[2].ir, sig.args[3].literal_value, sig.args[4].literal_value
    wide, quad = (ir.VectorType(ir.IntType(16), n) for n in (8, 4))
    lowest = ir.Constant(quad, [-MIDDLE] * 4)
    for o in range(vec.shape[0]):
        if o:  # LLVM would multiply everything before it adds anything, for which registers are too few
            before = list(acc[o - 1])
            hide = ir.FunctionType(byte, [byte, *(v.type for v in before)])
            weights = [builder.asm(hide, "", ",".join(["=w,0", *["w"] * len(before)]), [v, *before], False) for v in weights]
        for quarter in range(0, 4, 2):
            half = list(range(4 * quarter, 4 * quarter + 8))
            pairs = ((shuffle(builder, v, half) for v in pair) for pair in zip(seen[o * stride + tap :], weights))
            products = [call(builder, "llvm.aarch64.neon.smull.v8i16", wide, *pair) for pair in pairs]
            total = functools.reduce(builder.add, products)
            for i in range(2):
                part = shuffle(builder, total, list(range(4 * i, 4 * i + 4)))
                distance = call(builder, "llvm.aarch64.neon.sabd.v4i16", quad, part, lowest)
                acc[o, quarter + i] = builder.add(acc[o, quarter + i], builder.zext(distance, vec.ir))
    return pack(builder, vec, acc.flat)


def narrow_row_of(target, kernel_w, stride, outputs):
    """As row_of, for weights without -128, on Arm: two taps at a time."""
    SEEN = Vec(I8, GROUP, ((outputs - 1) * stride + kernel_w,))

    def make(tap):
        TAPS = Vec(I8, GROUP, (min(2, kernel_w - tap),))

        def last(acc, seen, w):
            return add_narrow(acc, seen, load(TAPS, w + tap * GROUP), tap, stride)

        if tap == 0:
            return last
        before = make(tap - 2)
        return lambda acc, seen, w: last(before(acc, seen, w), seen, w)

    steps = make((kernel_w - 1) // 2 * 2)
    return lambda acc, x, w: steps(acc, load(SEEN, x), w)


def block_of(target, kernel_w, stride, outputs):
    """block(acc, x, x_row, w, kernel_h): adds the windows of `outputs` neighbours; on Arm, for weights without -128."""
    row, extra = row_of(target, kernel_w, stride, outputs), 0
    if target.arch == "aarch64":
        row, extra = narrow_row_of(target, kernel_w, stride, outputs), (kernel_w + 1) // 2 * MIDDLE

    def block(acc, x, x_row, w, kernel_h):
        acc = acc - I32(kernel_h * extra)
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


def by_pairs(target):
    """Whether two rows are added at a time."""
    return target.arch != "aarch64" and target.lanes == 8


def sweeper(target):
    """sweep(...): the sums of a line of `columns` columns, and of what follows them up to MANY: bytes to y, y_step apart,
    where y_step is not 0 and all MANY are of use; else to `apart`, as those of quads. Gives how many columns went to y.
    is_narrow: no weight is -128."""
    kinds = (3, 1), (3, 2), (5, 1), (5, 2)
    if by_pairs(target):
        three_1, three_2, five_1, five_2 = (pair_block(k, s) for k, s in kinds)
        several = pair_loop()
    else:
        three_1, three_2, five_1, five_2 = (block_of(target, k, s, MANY) for k, s in kinds)
        several = loop_of(target, MANY)
    SUMS, rounded = Vec(I32, target.lanes, (MANY, GROUP // target.lanes)), rounder(target)
    NUMBERS, FACTOR = SUMS.to(dtype=F32), Vec(F32, target.lanes, (1, GROUP // target.lanes))

    def sweep(
        x, x_row, stride, dilation, w, kernel_h, kernel_w, is_narrow, start, factor, kind, zero, lo, hi, flip, y, y_step,
        apart, columns,
    ):  # fmt: skip
        window, direct = kernel_w * 10 + stride if dilation == 1 and is_narrow else 0, 0
        for i in range(0, columns, MANY):
            here, acc = x + i * stride * GROUP, load(SUMS, start, 0)
            if window == 31:
                acc = three_1(acc, here, x_row, w, kernel_h)
            elif window == 32:
                acc = three_2(acc, here, x_row, w, kernel_h)
            elif window == 51:
                acc = five_1(acc, here, x_row, w, kernel_h)
            elif window == 52:
                acc = five_2(acc, here, x_row, w, kernel_h)
            else:
                acc = several(acc, here, x_row, stride, dilation, w, kernel_h, kernel_w)
            if kind:
                made = in_fours(convert(NUMBERS, acc) * load(FACTOR, factor, 0))
                to, step = apart + i * GROUP, GROUP
                if y_step and i + MANY <= columns:
                    to, step, direct = y + i * y_step, y_step, i + MANY
                store(to, rows_of_sixteen(rounded(made, kind, zero, lo, hi, flip), MANY), step)
            else:
                store(pointer(I32, apart + 4 * i * GROUP), acc)
        return direct

    return sweep


def by_taps(target):
    """As by_quads, for machines without dot products."""
    gather_taps, sweep = tap_gatherer(target), sweeper(target)
    # Elsewhere products are wide enough for any weights.
    on_arm = target.arch == "aarch64"
    is_narrow = narrow_finder(target, 1) if on_arm else lambda w, size: True
    LINE = Vec(U8, GROUP)

    weave, in_pairs = pair_weights(), by_pairs(target)

    def prepare_pairs(taps, none, g, to, places):
        weave(pointer(I8, taps), g[KERNEL_H], g[KERNEL_W], pointer(I8, to))

    def prepare(taps, none, g, to, places):
        for i in range(0, g[KERNEL_H] * g[KERNEL_W] * GROUP, GROUP):
            store(to + i, load(LINE, taps + i))

    def gather(image, channels, row, column, g, blank, flip, edge, to):
        w, c, rows = g[WIDTH], g[CHANNELS], g[KERNEL_H] + (g[LINES] - 1) * g[STEP_DOWN]
        gather_taps(
            image, w * c, c, channels, g[HEIGHT], w, safe_columns(w, channels, GROUP), row, g[GAP_DOWN], rows, column,
            g[LATTICE] if on_arm else 1, g[LINE_SEEN], blank, flip, to,
        )  # fmt: skip
        return rows * g[LINE_SEEN] * GROUP

    def sum_lines(x, w, places, start, factor, kind, zero, lo, hi, flip, is_whole, y, y_line, apart, columns, count, g):
        row, line_size, done = g[LINE_SEEN] * GROUP, g[LINE_ROOM] * GROUP, 0
        y_step = g[CHANNELS] * g[APART_WIDE] if on_arm else g[CHANNELS]
        narrow, y_step = is_narrow(w, g[KERNEL_H] * g[KERNEL_W] * GROUP), y_step if is_whole else 0
        for line in range(count):
            done = sweep(
                x + line * g[STEP_DOWN] * row, row, g[STEP_WIDE], g[GAP_WIDE], w, g[KERNEL_H], g[KERNEL_W], narrow,
                start, factor, kind, zero, lo, hi, flip, y + line * y_line, y_step,
                apart + line * (line_size if kind else 4 * line_size), columns,
            )  # fmt: skip
        return done

    return prepare_pairs if in_pairs else prepare, gather, sum_lines
