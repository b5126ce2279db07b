"""Sums of depthwise windows on AVX2: two rows of a window at a time, whose bytes lie side by side as int16, since pmaddwd
adds two products. Half of GROUP channels at a time, so that what neighbours share stays in registers.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from edge_rt.kernels.simd import Vec, call, interleave, load, pack, primitive, shuffle, splat, store, unpack
from edge_rt.lowering.depthwise_int8 import GROUP

I8 = types.int8
LANES = GROUP // 2
_HALF, _PAIRS, _SHORTS = (ir.VectorType(ir.IntType(n), m) for n, m in ((8, LANES), (8, GROUP), (16, GROUP)))
_SUMS = ir.VectorType(ir.IntType(32), LANES)


def _rows(acc, x, below, w, apart, further, count):
    known = isinstance(acc, Vec) and len(acc.shape) == 2 and isinstance(count, types.IntegerLiteral)
    return acc if known and acc.lanes == LANES else None


@primitive(_rows)
def add_row_pairs(context, builder, sig, args):
    """add_row_pairs(acc, x, below, w, apart, further, taps): acc int32 [outputs, 2], plus `taps` (a constant) taps of two
    rows, whose columns are at x and `below`: output o sees column o * apart + t * further at tap t; constants too, where
    they should share columns. w: int8 [taps, GROUP, 2]."""
    vec, (acc, x, below, w, apart, further) = sig.return_type, args[:6]
    taps, byte, whole = sig.args[6].literal_value, ir.IntType(8), ir.IntType(64)
    x, below, w = (builder.bitcast(p, byte.as_pointer()) for p in (x, below, w))
    sums, known = unpack(builder, vec, acc), [getattr(t, "literal_value", None) for t in sig.args[4:6]]

    def bytes_at(p, offset, kind):
        return builder.load(builder.bitcast(builder.gep(p, [offset]), kind.as_pointer()), align=1)

    def column(place, half):
        at = builder.add(builder.mul(place, whole(GROUP)), whole(half * LANES))
        first, second = (bytes_at(p, at, _HALF) for p in (x, below))
        return builder.zext(shuffle(builder, first, [i // 2 + LANES * (i % 2) for i in range(GROUP)], second), _SHORTS)

    for half in range(2):
        seen = {}
        for t in range(taps):
            weights = builder.sext(bytes_at(w, whole(t * 2 * GROUP + half * GROUP), _PAIRS), _SHORTS)
            for o in range(vec.shape[0]):
                place = builder.add(builder.mul(apart, whole(o)), builder.mul(further, whole(t)))
                name = (half, o, t) if None in known else (half, o * known[0] + t * known[1])
                if name not in seen:
                    seen[name] = column(place, half)
                made = call(builder, "llvm.x86.avx2.pmadd.wd", _SUMS, seen[name], weights)
                sums[o, half] = builder.add(sums[o, half], made)
    return pack(builder, vec, np.ravel(sums))


def pair_block(kernel_w, stride):
    """block(acc, x, x_row, w, kernel_h): as block_of of depthwise_int8_taps."""

    def block(acc, x, x_row, w, kernel_h):
        for r in range(0, kernel_h, 2):
            acc = add_row_pairs(acc, x, x + (x_row if r + 1 < kernel_h else 0), w, stride, 1, kernel_w)
            x += 2 * x_row
            w += kernel_w * 2 * GROUP
        return acc

    return block


def pair_loop():
    """loop(...): as block, for any kernel, stride and dilation."""

    def loop(acc, x, x_row, stride, dilation, w, kernel_h, kernel_w):
        for r in range(0, kernel_h, 2):
            below = x_row if r + 1 < kernel_h else 0
            for k in range(kernel_w):
                at = x + k * dilation * GROUP
                acc = add_row_pairs(acc, at, at + below, w, stride, 0, 1)
                w += 2 * GROUP
            x += 2 * x_row
        return acc

    return loop


def pair_weights():
    """weave(taps, kernel_h, kernel_w, to): weights int8[kernel_h, kernel_w, GROUP] as add_row_pairs takes them; zeros
    stand for a row below the last one."""
    LINE = Vec(I8, GROUP)

    def weave(taps, kernel_h, kernel_w, to):
        row = kernel_w * GROUP
        for r in range(0, kernel_h, 2):
            for k in range(0, row, GROUP):
                at = taps + (r * row + k)
                below = load(LINE, at + row) if r + 1 < kernel_h else splat(LINE, 0)
                store(to, interleave(load(LINE, at), below))
                to += 2 * GROUP

    return weave
