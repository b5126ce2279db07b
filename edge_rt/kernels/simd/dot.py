"""Dot products of small integers, exact on every machine.

Operands of the other sign are flipped by 128 and the difference is added back: u * s = (u - 128) * s + 128 * s. Where a
kernel can do that once for a whole sum (`dot_signs` says when it must), it is cheaper than here.
"""

import functools

import numpy as np
from llvmlite import ir
from numba.core import types

from edge_rt.kernels.simd._core import INT, Vec, call, machine, pack, primitive, shuffle, unpack

BYTE, SHORT = ir.IntType(8), ir.IntType(16)


def dot_signs(target):
    """The signs of x and y ("us" or "ss") for which `dot` takes the fewest instructions on a target."""
    return "us" if "+avx512vnni" in target.llvm_features else "ss"


def dot(x, y, z):
    """z + sums of four neighbours of x * y; x and y are int8 or uint8 with four times the lanes of z, of int32."""


def dot_pairs(x, y, z):
    """z + sums of two neighbours of x * y; x and y are int16 with twice the lanes of z, of int32."""


def _result(ratio, width):
    def result(x, y, z):
        if not all(isinstance(t, Vec) for t in (x, y, z)) or z.dtype != types.int32:
            return None
        if any(t.lanes != ratio * z.lanes or t.dtype.bitwidth != width for t in (x, y)):
            return None
        return z.to(shape=np.broadcast_shapes(x.shape, y.shape, z.shape))

    return result


def _each(rule):
    """Emits rule(builder, target, x type, y type, x, y, z) for every vector of the broadcast tiles."""

    def emit(context, builder, sig, args):
        vec = sig.return_type
        x, y, z = (np.broadcast_to(unpack(builder, t, a), vec.shape).ravel() for t, a in zip(sig.args, args))
        signs = "".join("us"[t.dtype.signed] for t in sig.args[:2])
        return pack(builder, vec, [rule(builder, machine(context), signs, *v) for v in zip(x, y, z)])

    return emit


def _dot(b, target, signs, x, y, z):
    if signs == "su":
        return _dot(b, target, "us", y, x, z)
    if "+avx512vnni" in target.llvm_features and z.type.count in (4, 8, 16):
        return _vnni(b, signs, x, y, z)
    if target.arch == "aarch64" and z.type.count == 4:
        return _neon(b, "+dotprod" in target.llvm_features, signs, x, y, z)
    if target.arch == "x86_64" and z.type.count == 8:
        return _avx2(b, signs, x, y, z)
    return b.add(z, _sum_neighbours(b, _widen(b, signs[0], x, INT), _widen(b, signs[1], y, INT), 4))


def _vnni(b, signs, x, y, z):
    """vpdpbusd is u8 * s8."""

    def native(x, y, z):
        return call(b, f"llvm.x86.avx512.vpdpbusd.{32 * z.type.count}", z.type, z, x, y)

    if signs == "us":
        return native(x, y, z)
    zero, high = _fill(z.type, 0), _fill(x.type, 128)
    if signs == "ss":  # x * y = (x + 128) * y - 128 * y
        return b.sub(native(b.xor(x, high), y, z), native(high, y, zero))
    # x * y = x * (y - 128) + 128 * x
    extra = b.shl(native(x, _fill(x.type, 1), zero), _fill(z.type, 7))
    return b.add(native(x, b.xor(y, high), z), extra)


def _neon(b, has_dot, signs, x, y, z):
    """sdot and udot where there are; else products of 8 bits, which fit 16, added in pairs."""

    def native(sign, x, y, z):
        if has_dot:
            return call(b, f"llvm.aarch64.neon.{sign}dot.v4i32.v16i8", z.type, z, x, y)
        wide, sums = ir.VectorType(SHORT, 8), []
        for half in (range(8), range(8, 16)):
            low, high = (shuffle(b, v, list(half)) for v in (x, y))
            products = call(b, f"llvm.aarch64.neon.{sign}mull.v8i16", wide, low, high)
            sums.append(call(b, f"llvm.aarch64.neon.{sign}addlp.v4i32.v8i16", z.type, products))
        return b.add(z, call(b, "llvm.aarch64.neon.addp.v4i32", z.type, *sums))

    if signs in ("ss", "uu"):
        return native(signs[0], x, y, z)
    # u * s = (u - 128) * s + 128 * s
    extra = b.shl(native("s", _fill(y.type, 1), y, _fill(z.type, 0)), _fill(z.type, 7))
    return b.add(native("s", b.xor(x, _fill(x.type, 128)), y, z), extra)


def _avx2(b, signs, x, y, z):
    """pmaddwd on operands widened to 16 bits. (pmaddubsw would do without widening, but it saturates.)"""
    sums = []
    for half in (list(range(16)), list(range(16, 32))):
        low, high = (_widen(b, s, shuffle(b, v, half), SHORT) for s, v in zip(signs, (x, y)))
        sums.append(call(b, "llvm.x86.avx2.pmadd.wd", z.type, low, high))
    even, odd = (shuffle(b, sums[0], list(range(first, 16, 2)), sums[1]) for first in (0, 1))
    return b.add(z, b.add(even, odd))


_PMADDWD = {4: "llvm.x86.sse2.pmadd.wd", 8: "llvm.x86.avx2.pmadd.wd", 16: "llvm.x86.avx512.pmaddw.d.512"}


def _dot_pairs(b, target, signs, x, y, z):
    if target.arch == "x86_64" and z.type.count in _PMADDWD and (z.type.count < 16 or target.lanes == 16):
        return b.add(z, call(b, _PMADDWD[z.type.count], z.type, x, y))
    if target.arch == "aarch64" and z.type.count == 4:
        halves = []
        for half in (range(4), range(4, 8)):
            low, high = (shuffle(b, v, list(half)) for v in (x, y))
            halves.append(call(b, "llvm.aarch64.neon.smull.v4i32", z.type, low, high))
        return b.add(z, call(b, "llvm.aarch64.neon.addp.v4i32", z.type, *halves))
    return b.add(z, _sum_neighbours(b, _widen(b, "s", x, INT), _widen(b, "s", y, INT), 2))


def _fill(t, value):
    """A vector constant."""
    return ir.Constant(t, [value] * t.count)


def _widen(b, sign, x, element):
    return (b.sext if sign == "s" else b.zext)(x, ir.VectorType(element, x.type.count))


def _sum_neighbours(b, x, y, ratio):
    products = b.mul(x, y)
    parts = (shuffle(b, products, list(range(i, x.type.count, ratio))) for i in range(ratio))
    return functools.reduce(b.add, parts)


primitive(_result(4, 8), dot)(_each(_dot))
primitive(_result(2, 16), dot_pairs)(_each(_dot_pairs))
