"""Depthwise convolution of 8-bit images that are padded already: vectors run over channels, neighbours share their loads."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.activations import activator
from edge_rt.kernels.gemm_int8 import column_terms, zero_of
from edge_rt.kernels.memory import address, stack
from edge_rt.kernels.requantize import finisher
from edge_rt.kernels.simd import (
    Vec,
    call,
    load,
    load_first,
    machine,
    new,
    pack,
    pointer,
    primitive,
    shuffle,
    store,
    unpack,
)
from edge_rt.kernels.tiles_int8 import byte_of
from edge_rt.lowering.conv_int8 import CHANNEL_BLOCK, DEPTHWISE_INT8
from edge_rt.lowering.gemm_int8 import FLOAT32

F32, I8, I16, I32, I64 = types.float32, types.int8, types.int16, types.int32, types.int64
GROUP = 16
"""Channels that a vector of bytes holds."""


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
    """row(acc, x, c, w): adds one kernel row to `outputs` neighbours, whose loads overlap."""
    count = (outputs - 1) * stride + kernel_w
    SEEN, TAP = Vec(byte_of(target), GROUP, (count,)), Vec(I8, GROUP, (1,))
    WIDE, WEIGHTS = _wide(target, (count,)), _wide(target, (1,))

    def make(tap):
        def last(acc, seen, w, c):
            return add_products(acc, pick_rows(seen, tap, stride, outputs), widen(WEIGHTS, load(TAP, w + tap * c)))

        if tap == 0:
            return last
        before = make(tap - 1)
        return lambda acc, seen, w, c: last(before(acc, seen, w, c), seen, w, c)

    steps = make(kernel_w - 1)
    return lambda acc, x, c, w: steps(acc, widen(WIDE, load(SEEN, x, c)), w, c)


def block_of(target, kernel_w, stride, outputs):
    """block(...): sums of `outputs` neighbours for all channels, at least GROUP, to out [outputs, CHANNEL_BLOCK]."""
    ACC = Vec(I32, target.lanes, (outputs, GROUP // target.lanes))
    row = row_of(target, kernel_w, stride, outputs)

    def block(x, x_row, c, w, kernel_h, start, out, channels):
        for q in range(0, channels, GROUP):
            # The last vector reaches back over channels that are done, and computes them again.
            at = min(q, channels - GROUP)
            acc = load(ACC, start + at, 0)
            source, weights = x + at, w + at
            for _ in range(kernel_h):
                acc = row(acc, source, c, weights)
                source += x_row
                weights += kernel_w * c
            store(out + at, acc, CHANNEL_BLOCK)

    return block


def loop_of(target, outputs):
    """loop(...): as block, for any kernel and any stride."""
    ACC = Vec(I32, target.lanes, (outputs, GROUP // target.lanes))
    SEEN, TAP = Vec(byte_of(target), GROUP, (outputs,)), Vec(I8, GROUP, (1,))
    WIDE, WEIGHTS = _wide(target, (outputs,)), _wide(target, (1,))

    def loop(x, x_row, x_step, stride, c, w, kernel_h, kernel_w, start, out, channels):
        for q in range(0, channels, GROUP):
            at = min(q, channels - GROUP)
            acc = load(ACC, start + at, 0)
            weights = w + at
            for r in range(kernel_h):
                for k in range(kernel_w):
                    seen = widen(WIDE, load(SEEN, x + (r * x_row + k * x_step + at), stride))
                    acc = add_products(acc, seen, widen(WEIGHTS, load(TAP, weights)))
                    weights += c
            store(out + at, acc, CHANNEL_BLOCK)

    return loop


def few_channels(target):
    """few(...): sums of one output, where there are fewer channels than GROUP."""
    ACC = Vec(I32, target.lanes, (1, GROUP // target.lanes))
    SEEN, TAP, WIDE = Vec(byte_of(target), GROUP, (1,)), Vec(I8, GROUP, (1,)), _wide(target, (1,))

    def few(x, x_row, x_step, c, w, kernel_h, kernel_w, start, out, channels):
        acc = load(ACC, start, 0)
        for r in range(kernel_h):
            for k in range(kernel_w):
                seen = load_first(SEEN, x + (r * x_row + k * x_step), channels)
                acc = add_products(acc, widen(WIDE, seen), widen(WIDE, load_first(TAP, w, channels)))
                w += c
        store(out, acc, CHANNEL_BLOCK)

    return few


@kernel(DEPTHWISE_INT8)
def depthwise_int8(target):
    many = 7 if target.lanes == 16 else 4
    three_1, three_2, five_1, five_2 = (block_of(target, k, s, many) for k, s in ((3, 1), (3, 2), (5, 1), (5, 2)))
    several, one, few = loop_of(target, many), loop_of(target, 1), few_channels(target)
    finish, activate, columns_of, zero_of_a = finisher(target), activator(target), column_terms(target), zero_of(target)
    WHOLE = Vec(I32, target.lanes, (GROUP // target.lanes,))
    sums_size = many * CHANNEL_BLOCK

    def sum_windows(
        x, x_row, x_step, stride, c, w, kernel_h, kernel_w, kind, outputs, start, out, channels
    ):  # fmt: skip
        """Sums of `outputs` neighbours: `many` or one."""
        if channels < GROUP:
            for i in range(outputs):
                few(x + i * stride, x_row, x_step, c, w, kernel_h, kernel_w, start, out + i * CHANNEL_BLOCK, channels)
        elif outputs == 1:
            one(x, x_row, x_step, stride, c, w, kernel_h, kernel_w, start, out, channels)
        elif kind == 31:
            three_1(x, x_row, c, w, kernel_h, start, out, channels)
        elif kind == 32:
            three_2(x, x_row, c, w, kernel_h, start, out, channels)
        elif kind == 51:
            five_1(x, x_row, c, w, kernel_h, start, out, channels)
        elif kind == 52:
            five_2(x, x_row, c, w, kernel_h, start, out, channels)
        else:
            several(x, x_row, x_step, stride, c, w, kernel_h, kernel_w, start, out, channels)

    def body(
        x, w, sums, a_zero, a_scale, scale, bias, residual, b_zero, ones, y, geometry, scale_step, b_zero_step, flip, mode,
        lo, hi, y_zero, y_flip, activation, alpha, part, parts,
    ):  # fmt: skip
        acc, start, none = stack(I32, sums_size), stack(I32, CHANNEL_BLOCK), stack(I32, CHANNEL_BLOCK)
        factor, addend = stack(F32, CHANNEL_BLOCK), stack(F32, CHANNEL_BLOCK)
        b_zeros, seen = stack(I32, CHANNEL_BLOCK), stack(I32, sums_size)
        lines, width, c, channel_block = geometry[0], geometry[1], geometry[2], geometry[3]
        kernel_h, kernel_w, lines_in_image, image_step = geometry[4], geometry[5], geometry[6], geometry[7]
        line_step, stride, x_row, x_step = geometry[8], geometry[9], geometry[10], geometry[11]
        zero = zero_of_a(a_zero, flip)
        corrects, has_residual, is_float = address(b_zero) != 0, address(residual) != 0, mode == FLOAT32
        if corrects:
            for q in range(CHANNEL_BLOCK):
                none[q] = I32(0)
        dense = x_step == c and (stride == c or stride == 2 * c)
        kind = kernel_w * 10 + stride // c if dense else 0
        blocks = max(1, (c - GROUP) // channel_block + 1)
        units, prepared = blocks * lines, I64(-1)
        for unit in range(units * part // parts, units * (part + 1) // parts):
            group = unit // lines
            line = unit - group * lines
            first = group * channel_block
            channels = c - first if group == blocks - 1 else channel_block
            room = (channels + GROUP - 1) // GROUP * GROUP
            if group != prepared:
                columns_of(
                    start, factor, addend, b_zeros, channels, room, zero, kernel_h * kernel_w, sums + first, first, bias,
                    scale, scale_step, a_scale, b_zero, b_zero_step, is_float,
                )  # fmt: skip
                prepared = group
            image = line // lines_in_image
            source = x + (image * image_step + (line - image * lines_in_image) * line_step + first)
            place = line * width * c + first
            i = 0
            while i < width:
                outputs = 1
                if width >= many:
                    # The last ones reach back over neighbours that are done.
                    outputs, i = many, min(i, width - many)
                here = source + i * stride
                sum_windows(
                    here, x_row, x_step, stride, c, w + first, kernel_h, kernel_w, kind, outputs, start, acc, channels
                )
                if corrects:
                    sum_windows(
                        here, x_row, x_step, stride, c, ones + first, kernel_h, kernel_w, kind, outputs, none, seen, channels
                    )
                    for r in range(outputs):
                        for q in range(0, channels, GROUP):
                            at = r * CHANNEL_BLOCK + q
                            store(acc + at, load(WHOLE, acc + at) - load(WHOLE, seen + at) * load(WHOLE, b_zeros + q))
                finish(
                    mode, acc, CHANNEL_BLOCK, outputs, channels, factor, addend, lo, hi, y_zero, residual, has_residual, y,
                    place + i * c, c,
                )  # fmt: skip
                i += outputs
            if is_float and activation:
                activate(activation, alpha, pointer(F32, y) + place, c, width, channels)

    return body
