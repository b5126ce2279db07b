"""Bytes as wider numbers, for arithmetic on them."""

from __future__ import annotations

from llvmlite import ir
from numba import types

from edge_rt.kernels.saturation import WIDTH
from edge_rt.kernels.simd import Vec, new, pack, primitive, repeat, shuffle, unpack

U8 = types.uint8


def _woven(builder, x, y, size, half):
    """Numbers of `size` bytes, alternately of x and of y, from the first or second half of each 16 bytes."""
    n, count = x.type.count, WIDTH // size
    wide = ir.VectorType(ir.IntType(8 * size), n // size)
    places = [(base + half * count // 2, i) for base in range(0, wide.count, count) for i in range(count)]
    order = [first + i // 2 + i % 2 * wide.count for first, i in places]
    return builder.bitcast(shuffle(builder, builder.bitcast(x, wide), order, builder.bitcast(y, wide)), x.type)


@primitive(new)
def spread_bytes(context, builder, sig, args):
    """spread_bytes(V, x): uint8 x, one vector, as four of float32 V, each 2**23 more, in the order in which `saturated` and
    `rectified` pack them on x86: they become the lowest bits of such numbers, in fewer instructions than to convert them."""
    (x,), vec = unpack(builder, sig.args[1], args[1]).flat, sig.return_type
    none, power = ir.Constant(x.type, [0] * x.type.count), ir.Constant(x.type, [0x00, 0x4B] * (x.type.count // 2))
    shorts = [_woven(builder, x, none, 1, half) for half in (0, 1)]
    made = [_woven(builder, v, power, 2, half) for v in shorts for half in (0, 1)]
    return pack(builder, vec, [builder.bitcast(v, vec.ir) for v in made])


@primitive(new)
def widened_less(context, builder, sig, args):
    """widened_less(V, x, zero): uint8 x, sixteen in a vector, less the uint8 zero, as int32 V, which has as many numbers."""
    vec, made = sig.return_type, []
    short = ir.VectorType(ir.IntType(16), WIDTH)
    zero = repeat(builder, Vec(U8, WIDTH), context.cast(builder, args[2], sig.args[2], U8))
    for v in unpack(builder, sig.args[1], args[1]).flat:
        wide = builder.sub(builder.zext(v, short), builder.zext(zero, short))
        wide = builder.sext(wide, ir.VectorType(ir.IntType(32), WIDTH))
        made += [shuffle(builder, wide, list(range(i, i + vec.lanes))) for i in range(0, WIDTH, vec.lanes)]
    return pack(builder, vec, made)
