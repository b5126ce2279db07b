"""Vector primitives that numeric kernels need beside arithmetic: roundings, square root, bits, widths."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels.simd import Vec, call, elementwise, pack, primitive, suffix, unpack

F32, F64, I32, I64 = types.float32, types.float64, types.int32, types.int64


def _intrinsic(name):
    """Decorator: the function stands for LLVM's intrinsic of one floating-point vector."""

    def decorate(function):
        elementwise(function)(lambda b, dtype, x: call(b, f"llvm.{name}.{suffix(x.type)}", x.type, x))
        return function

    return decorate


@_intrinsic("sqrt")
def square_root(x):
    """Correctly rounded; NaN below zero."""


@_intrinsic("floor")
def floor(x):
    """The largest integers not above x."""


@_intrinsic("ceil")
def ceil(x):
    """The smallest integers not below x."""


@_intrinsic("trunc")
def truncate(x):
    """x without its fraction."""


@_intrinsic("fabs")
def absolute(x):
    """x without its sign."""


def _retyped(dtype, rule):
    """A primitive from a tile to the same tile of another number; rule(builder, vector, LLVM type) -> vector."""

    def result(x):
        return x.to(dtype=dtype) if isinstance(x, Vec) else None

    def emit(context, builder, sig, args):
        target = sig.return_type
        return pack(builder, target, [rule(builder, v, target.ir) for v in unpack(builder, sig.args[0], args[0]).flat])

    return primitive(result), emit


def _define(name, doc, dtype, rule):
    decorate, emit = _retyped(dtype, rule)
    emit.__name__ = emit.__qualname__ = name
    emit.__doc__ = doc
    return decorate(emit)


bits = _define("bits", "The bits of f32 numbers, as i32.", I32, lambda b, v, t: b.bitcast(v, t))
floats = _define("floats", "The f32 numbers that i32 bits stand for.", F32, lambda b, v, t: b.bitcast(v, t))
bits64 = _define("bits64", "The bits of f64 numbers, as i64.", I64, lambda b, v, t: b.bitcast(v, t))
floats64 = _define("floats64", "The f64 numbers that i64 bits stand for.", F64, lambda b, v, t: b.bitcast(v, t))
widen = _define("widen", "f32 as f64.", F64, lambda b, v, t: b.fpext(v, t))
narrow = _define("narrow", "f64 rounded to f32.", F32, lambda b, v, t: b.fptrunc(v, t))
extend = _define("extend", "i32 as i64.", I64, lambda b, v, t: b.sext(v, t))
shorten = _define("shorten", "i64 modulo 2**32, as i32.", I32, lambda b, v, t: b.trunc(v, t))
to_f64 = _define("to_f64", "Signed integers rounded to f64.", F64, lambda b, v, t: b.sitofp(v, t))
to_f32 = _define("to_f32", "Signed integers rounded to f32.", F32, lambda b, v, t: b.sitofp(v, t))


def copysign(magnitude, sign):
    """magnitude, which has no sign, with that of `sign` (f32)."""
    return floats(bits(magnitude) | (bits(sign) & 0x80000000))


