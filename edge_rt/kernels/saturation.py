"""int32 and float32 become bytes: the nearest integers, saturated, in the few instructions that each architecture has."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from edge_rt.kernels.simd import Vec, call, machine, minimum, pack, primitive, repeat, shuffle, unpack

F32, I8, I16, I32, U8 = types.float32, types.int8, types.int16, types.int32, types.uint8
WIDTH = 16
AS_SUMS, AS_BYTES, AS_FREE, AS_RAMP = range(4)
"""What becomes of sums: nothing, bytes, bytes that know no other limits than their type's, or such that begin at their zero
point too, as behind a rectifier. The last two are packed with fewer instructions."""
SMALL = np.float32(32000)
"""What is bounded by less is int16 when it is rounded, whatever the last bits of the bound."""
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


def _shorts_arm(builder, four):
    """Sixteen int32 in four vectors, saturated at 16 bits, in two."""
    made = []
    for pair in zip(four[::2], four[1::2]):
        low, high = (call(builder, "llvm.aarch64.neon.sqxtn.v4i16", ir.VectorType(SHORT, 4), v) for v in pair)
        made.append(shuffle(builder, low, list(range(8)), high))
    return made


def _bytes_arm(builder, shorts, narrow="sqxtn"):
    low, high = (call(builder, f"llvm.aarch64.neon.{narrow}.v8i8", ir.VectorType(BYTE, 8), v) for v in shorts)
    return shuffle(builder, low, list(range(16)), high)


def _saturated_arm(builder, shorts, zero, lo, hi, flip):
    return _within(builder, _bytes_arm(builder, [_moved(builder, v, zero) for v in shorts]), lo, hi, flip)


def _shorts_x86(builder, four):
    return [_packed_x86(builder, "ssdw", SHORT, *pair) for pair in zip(four[::2], four[1::2])]


def _moved(builder, shorts, zero):
    return call(builder, f"llvm.sadd.sat.v{shorts.type.count}i16", shorts.type, shorts, zero)


def _saturated_x86(builder, four, zero, lo, hi, flip):
    """Packing takes numbers from both operands for each 16 bytes: in those, four of each vector lie together."""
    pairs = [_moved(builder, p, zero) for p in _shorts_x86(builder, four)]
    return _within(builder, _packed_x86(builder, "sswb", BYTE, *pairs), lo, hi, flip)


def _packed_x86(builder, how, element, low, high):
    made = ir.VectorType(element, 2 * low.type.count)
    wide = made.count * element.width == 512
    return call(builder, f"llvm.x86.avx512.pack{how}.512" if wide else f"llvm.x86.avx2.pack{how}", made, low, high)


def _within(builder, x, lo, hi, flip):
    for name, bound in (("smax", lo), ("smin", hi)):
        x = call(builder, f"llvm.{name}.v{x.type.count}i8", x.type, x, bound)
    return builder.xor(x, flip)


def _packed(x, *rest):
    whole = isinstance(x, Vec) and x.dtype == I32 and x.shape[-1:] == (4,)
    return Vec(U8, 4 * x.lanes, x.shape[:-1]) if whole else None


def _repeated(builder, value, dtype, count):
    return repeat(builder, Vec(dtype, count), builder.trunc(value, ir.IntType(dtype.bitwidth)))


@primitive(_packed)
def saturated(context, builder, sig, args):
    """saturated(x, zero, lo, hi, flip): int32 x + zero, which may saturate at 16 bits, within [lo, hi], which are int8, and
    its bits xored with flip. Four vectors along the last axis of x become one: four numbers of each in turn."""
    vectors, lanes = unpack(builder, sig.args[0], args[0]).reshape(-1, 4), sig.args[0].lanes
    zero = _repeated(builder, args[1], types.int16, 2 * lanes)
    limits = [_repeated(builder, v, I8, 4 * lanes) for v in args[2:]]
    made = [_saturated_x86(builder, list(four), zero, *limits) for four in vectors]
    return pack(builder, sig.return_type, made)


@primitive(lambda x: Vec(I16, 2 * x.lanes, (*x.shape[:-1], 2)) if _packed(x) else None)
def shorts_of(context, builder, sig, args):
    """shorts_of(x): int32 x, saturated at 16 bits, in the order of `saturated`."""
    shorts = _shorts_arm if machine(context).arch == "aarch64" else _shorts_x86
    fours = unpack(builder, sig.args[0], args[0]).reshape(-1, 4)
    return pack(builder, sig.return_type, [v for four in fours for v in shorts(builder, list(four))])


def adds_quickly(target):
    """Whether Arm adds floats, and unzips what it made, faster than it converts: the A76 has one pipe for conversions, which
    takes two cycles for each of four numbers, and the A72 takes three steps to unzip two vectors."""
    return "+dotprod" in target.llvm_features


def _four_floats(x):
    is_fours = isinstance(x, Vec) and x.dtype == F32 and x.lanes == 4 and x.shape[-1:] == (4,)
    return Vec(I16, 8, (*x.shape[:-1], 2)) if is_fours else None


@primitive(_four_floats)
def whole_shorts(context, builder, sig, args):
    """whole_shorts(x): the nearest int16 of float32 x, halves to the even neighbour; |x| is SMALL or less; for targets that
    `adds_quickly` is true of: adding 1.5 * 2**23 leaves them in the lowest bits."""
    words, magic = ir.VectorType(SHORT, 8), ir.Constant(sig.args[0].ir, [float(3 << 22)] * 4)
    sums = [builder.bitcast(builder.fadd(v, magic), words) for v in unpack(builder, sig.args[0], args[0]).flat]
    made = [shuffle(builder, low, list(range(0, 16, 2)), high) for low, high in zip(sums[::2], sums[1::2])]
    return pack(builder, sig.return_type, made)


def _packed_shorts(x, *rest):
    return Vec(U8, 2 * x.lanes, x.shape[:-1]) if isinstance(x, Vec) and x.dtype == I16 else None


@primitive(_packed_shorts)
def saturated_shorts(context, builder, sig, args):
    """saturated_shorts(x, zero, lo, hi, flip): the end of `saturated`."""
    zero = _repeated(builder, args[1], I16, 8)
    limits, pairs = [_repeated(builder, v, I8, 16) for v in args[2:]], unpack(builder, sig.args[0], args[0]).reshape(-1, 2)
    return pack(builder, sig.return_type, [_saturated_arm(builder, pair, zero, *limits) for pair in pairs])


@primitive(_packed_shorts)
def free_shorts(context, builder, sig, args):
    """free_shorts(x, zero, flip): the nearest uint8 to x + zero, which may saturate at 16 bits, bits xored with flip."""
    vec, made = sig.args[0], []
    zero, flips = _repeated(builder, args[1], I16, vec.lanes), _repeated(builder, args[2], U8, 2 * vec.lanes)
    moved = [_moved(builder, v, zero) for v in unpack(builder, vec, args[0]).flat]
    for pair in zip(moved[::2], moved[1::2]):
        is_arm = machine(context).arch == "aarch64"
        bytes_ = _bytes_arm(builder, pair, "sqxtun") if is_arm else _packed_x86(builder, "uswb", BYTE, *pair)
        made.append(builder.xor(bytes_, flips))
    return pack(builder, sig.return_type, made)


@primitive(_packed_shorts)
def rectified_shorts(context, builder, sig, args):
    """rectified_shorts(x, flip): the nearest uint8, with bits xored with flip."""
    flips, pairs = _repeated(builder, args[1], U8, 16), unpack(builder, sig.args[0], args[0]).reshape(-1, 2)
    return pack(builder, sig.return_type, [builder.xor(_bytes_arm(builder, pair, "sqxtun"), flips) for pair in pairs])


def packer(target):
    """pack(x, kind, zero, lo, hi, flip): as `saturated`, for what `kind_of` chose."""

    def pack_on_x86(x, kind, zero, lo, hi, flip):
        return saturated(x, zero, lo, hi, flip)

    def pack_on_arm(x, kind, zero, lo, hi, flip):
        shorts = shorts_of(x)
        if kind == AS_RAMP:
            return rectified_shorts(shorts, flip ^ 128)
        if kind == AS_FREE:
            return free_shorts(shorts, zero + 128, flip ^ 128)
        return saturated_shorts(shorts, zero, lo, hi, flip)

    return pack_on_arm if target.arch == "aarch64" else pack_on_x86


def kind_of(zero, lo, hi):
    """How bytes are packed whose zero point and limits are these, as int8."""
    if lo > -128 or hi < 127:
        return AS_BYTES
    return AS_RAMP if zero == -128 else AS_FREE


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


@primitive(_packed)
def rectified(context, builder, sig, args):
    """rectified(x, flip): as `saturated`, for int32 that become the nearest uint8 with bits xored with flip (x86)."""
    vectors, lanes = unpack(builder, sig.args[0], args[0]).reshape(-1, 4), sig.args[0].lanes
    flips, made = _repeated(builder, args[1], U8, 4 * lanes), []
    for four in vectors:
        made.append(builder.xor(_packed_x86(builder, "uswb", BYTE, *_shorts_x86(builder, four)), flips))
    return pack(builder, sig.return_type, made)


def to_whole(target):
    """whole(x): the nearest int32 of float32, halves even; beyond 16 bits anything beyond 16 bits of that sign."""
    if target.arch == "aarch64":
        return lambda x: nearest(x)
    # Beyond int32, cvtps2dq gives the smallest one.
    return lambda x: nearest(minimum(x, 32767.0))
