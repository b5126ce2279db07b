"""Bytes as wider numbers, for arithmetic on them."""

from __future__ import annotations

from llvmlite import ir
from numba import types

from edge_rt.kernels.saturation import WIDTH
from edge_rt.kernels.simd import Vec, call, machine, new, pack, primitive, repeat, shuffle, unpack

U8 = types.uint8


def _woven(builder, x, y, size, half):
    """Numbers of `size` bytes, alternately of x and of y, from the first or second half of each 16 bytes."""
    n, count = x.type.count, WIDTH // size
    wide = ir.VectorType(ir.IntType(8 * size), n // size)
    places = [(base + half * count // 2, i) for base in range(0, wide.count, count) for i in range(count)]
    order = [first + i // 2 + i % 2 * wide.count for first, i in places]
    return builder.bitcast(shuffle(builder, builder.bitcast(x, wide), order, builder.bitcast(y, wide)), x.type)


def _placed(builder, vec, x, order):
    """Vectors of `vec` made of bytes: i < 16 in `order` takes byte i of x, 16 a zero, 17 the highest byte of 2**23."""
    power = ir.Constant(x.type, [0, 0x4B] * (WIDTH // 2))
    for places in order:
        made = call(builder, "llvm.aarch64.neon.tbl2.v16i8", x.type, x, power, ir.Constant(x.type, places))
        yield builder.bitcast(made, vec.ir)


@primitive(new)
def spread_bytes(context, builder, sig, args):
    """spread_bytes(V, x): uint8 x, one vector, as four of float32 V, each 2**23 more, in the order in which `saturated` and
    `rectified` pack them: they become the lowest bits of such numbers, in fewer instructions than to convert them."""
    (x,), vec = unpack(builder, sig.args[1], args[1]).flat, sig.return_type
    if machine(context).arch == "aarch64":
        order = [[at for i in range(first, first + 4) for at in (i, 16, 16, 17)] for first in range(0, WIDTH, 4)]
        return pack(builder, vec, list(_placed(builder, vec, x, order)))
    none, power = ir.Constant(x.type, [0] * x.type.count), ir.Constant(x.type, [0x00, 0x4B] * (x.type.count // 2))
    shorts = [_woven(builder, x, none, 1, half) for half in (0, 1)]
    made = [_woven(builder, v, power, 2, half) for v in shorts for half in (0, 1)]
    return pack(builder, vec, [builder.bitcast(v, vec.ir) for v in made])


def _less(builder, context, sig, args, i):
    """sig.args[i], sixteen uint8, less the uint8 behind it, as int16 in numbers of 32 bits."""
    short, whole = (ir.VectorType(ir.IntType(bits), WIDTH) for bits in (16, 32))
    (x,), zero = unpack(builder, sig.args[i], args[i]).flat, context.cast(builder, args[i + 1], sig.args[i + 1], U8)
    less = builder.sub(builder.zext(x, short), builder.zext(repeat(builder, Vec(U8, WIDTH), zero), short))
    return builder.sext(less, whole)


def _parts(builder, vec, x):
    parts = [shuffle(builder, x, list(range(i, i + vec.lanes))) for i in range(0, WIDTH, vec.lanes)]
    return pack(builder, vec, parts)


@primitive(new)
def widened_less(context, builder, sig, args):
    """widened_less(V, x, zero): x - zero of sixteen uint8, as int32 V."""
    return _parts(builder, sig.return_type, _less(builder, context, sig, args, 1))


@primitive(new)
def products_less(context, builder, sig, args):
    """products_less(V, x, x_zero, z, z_zero): (x - x_zero) * (z - z_zero) of sixteen uint8, as int32 V."""
    x, z = (_less(builder, context, sig, args, i) for i in (1, 3))
    return _parts(builder, sig.return_type, builder.mul(x, z))
