"""Loads and stores of tiles, and what else touches memory: pointers, prefetch.

Strides are in numbers, not bytes. Nothing assumes more alignment than that of one number.
"""

import math
import operator

import numpy as np
from llvmlite import ir
from numba.core import types

from edge_rt.kernels.simd._core import INT, LONG, Vec, call, new, number, pack, primitive, repeat, suffix, unpack

F16 = types.float16


def size(vec):
    """Bytes of a number; all the alignment that loads and stores assume (full alignment would not make them faster)."""
    return vec.dtype.bitwidth // 8


def addresses(context, builder, vec, p, strides=(), types_=()):
    """Address of each vector of a tile at p. Axis i steps by strides[i] numbers; axes without a stride lie densely."""
    p = builder.bitcast(p, number(vec.dtype).as_pointer())
    dense = [math.prod(vec.shape[i + 1 :]) * vec.lanes for i in range(len(vec.shape))]
    steps = [context.cast(builder, s, t, types.intp) for s, t in zip(strides, types_)]
    steps += [LONG(d) for d in dense[len(steps) :]]
    for index in np.ndindex(vec.shape):
        offset = LONG(0)
        for i, step in zip(index, steps):
            offset = builder.add(offset, builder.mul(step, LONG(i)))
        yield builder.gep(p, [offset])


@primitive(new)
def splat(context, builder, sig, args):
    """splat(V, x): x in every lane."""
    vec = sig.return_type
    vector = repeat(builder, vec, context.cast(builder, args[1], sig.args[1], vec.dtype))
    return pack(builder, vec, [vector] * vec.count)


@primitive(new)
def iota(context, builder, sig, args):
    """iota(V, start): start, start + 1, ... over the lanes of each vector; V is of integers."""
    vec = sig.return_type
    first = repeat(builder, vec, context.cast(builder, args[1], sig.args[1], vec.dtype))
    return pack(builder, vec, [builder.add(first, ir.Constant(vec.ir, list(range(vec.lanes))))] * vec.count)


def _load(context, builder, vec, p, strides, types_):
    at = addresses(context, builder, vec, p, strides, types_)
    return [builder.load(builder.bitcast(q, vec.ir.as_pointer()), align=size(vec)) for q in at]


def _store(context, builder, vec, p, vectors, strides, types_):
    for vector, q in zip(vectors, addresses(context, builder, vec, p, strides, types_)):
        builder.store(vector, builder.bitcast(q, vec.ir.as_pointer()), align=size(vec))
    return context.get_dummy_value()


@primitive(new)
def load(context, builder, sig, args):
    """load(V, p, *strides): vectors from memory, see `addresses`."""
    vec, (_, p, *strides) = sig.return_type, args
    return pack(builder, vec, _load(context, builder, vec, p, strides, sig.args[2:]))


@primitive(lambda p, x, *strides: types.none)
def store(context, builder, sig, args):
    """store(p, x, *strides)"""
    vec, (p, x, *strides) = sig.args[1], args
    return _store(context, builder, vec, p, unpack(builder, vec, x).flat, strides, sig.args[2:])


@primitive(new)
def spread(context, builder, sig, args):
    """spread(V, p, *strides): one number per vector, repeated in all lanes."""
    vec, (_, p, *strides) = sig.return_type, args
    at = addresses(context, builder, vec.to(lanes=1), p, strides, sig.args[2:])
    return pack(builder, vec, [repeat(builder, vec, builder.load(q, align=size(vec))) for q in at])


@primitive(new)
def load_half(context, builder, sig, args):
    """load_half(V, p, *strides): f16 numbers at p as V, which is of f32."""
    vec, (_, p, *strides) = sig.return_type, args
    halves = _load(context, builder, vec.to(dtype=F16), p, strides, sig.args[2:])
    return pack(builder, vec, [builder.fpext(v, vec.ir) for v in halves])


@primitive(lambda p, x, *strides: types.none)
def store_half(context, builder, sig, args):
    """store_half(p, x, *strides): f32 numbers rounded to f16, ties to even; beyond its range infinite."""
    vec, (p, x, *strides) = sig.args[1].to(dtype=F16), args
    halves = [builder.fptrunc(v, vec.ir) for v in unpack(builder, sig.args[1], x).flat]
    return _store(context, builder, vec, p, halves, strides, sig.args[2:])


def masks(context, builder, vec, n, ntype):
    """Which lanes are among the first n of each row, a row being the vectors along the last axis."""
    wide, n = vec.to(dtype=types.int64), context.cast(builder, n, ntype, types.int64)
    row = vec.shape[-1] if vec.shape else 1
    bound = repeat(builder, wide, n)
    made = []
    for i in range(row):
        lanes = ir.Constant(wide.ir, list(range(i * vec.lanes, (i + 1) * vec.lanes)))
        made.append(builder.icmp_signed("<", lanes, bound))
    return made * (vec.count // row)


@primitive(lambda vec, p, n, *strides: new(vec))
def load_first(context, builder, sig, args):
    """load_first(V, p, n, *strides): the first n numbers of each row, the other lanes 0; reads nothing beyond."""
    vec, (_, p, n, *strides) = sig.return_type, args
    name, t = f"llvm.masked.load.{suffix(vec.ir)}.p0", vec.ir
    made = []
    at = addresses(context, builder, vec, p, strides, sig.args[3:])
    for q, m in zip(at, masks(context, builder, vec, n, sig.args[2])):
        q = builder.bitcast(q, t.as_pointer())
        made.append(call(builder, name, t, q, INT(size(vec)), m, t(None)))
    return pack(builder, vec, made)


@primitive(lambda p, x, n, *strides: types.none)
def store_first(context, builder, sig, args):
    """store_first(p, x, n, *strides): the first n numbers of each row of x."""
    vec, (p, x, n, *strides) = sig.args[1], args
    at, t = addresses(context, builder, vec, p, strides, sig.args[3:]), vec.ir
    for q, vector, m in zip(at, unpack(builder, vec, x).flat, masks(context, builder, vec, n, sig.args[2])):
        q = builder.bitcast(q, t.as_pointer())
        call(builder, f"llvm.masked.store.{suffix(t)}.p0", ir.VoidType(), vector, q, INT(size(vec)), m)
    return context.get_dummy_value()


@primitive(lambda vec, p, index: new(vec).to(shape=index.shape) if isinstance(index, Vec) else None)
def gather(context, builder, sig, args):
    """gather(V, p, index): p[index] for each lane; index is of integers and has V's lanes."""
    vec, (_, p, index) = sig.return_type, args
    p = builder.bitcast(p, number(vec.dtype).as_pointer())
    signed = sig.args[2].dtype.signed
    made = []
    for positions in unpack(builder, sig.args[2], index).flat:
        vector = ir.Constant(vec.ir, ir.Undefined)
        for i in range(vec.lanes):
            position = builder.extract_element(positions, INT(i))
            if position.type.width < 64:
                position = (builder.sext if signed else builder.zext)(position, LONG)
            vector = builder.insert_element(vector, builder.load(builder.gep(p, [position]), align=size(vec)), INT(i))
        made.append(vector)
    return pack(builder, vec, made)


@primitive(lambda p: types.none if isinstance(p, types.CPointer) else None)
def prefetch(context, builder, sig, args):
    """prefetch(p): asks for the cache line of p, which need not be readable, for the second-level cache."""
    p = builder.bitcast(args[0], ir.IntType(8).as_pointer())
    call(builder, "llvm.prefetch.p0", ir.VoidType(), p, INT(0), INT(2), INT(1))
    return context.get_dummy_value()


@primitive(
    lambda p, n: p if isinstance(p, types.CPointer) else None, operator.add, operator.iadd,
    patterns=[(types.CPointer, types.Integer)],
)  # fmt: skip
def advance(context, builder, sig, args):
    """p + n, in elements."""
    return builder.gep(args[0], [context.cast(builder, args[1], sig.args[1], types.intp)])


@primitive(lambda dtype, address: types.CPointer(dtype.instance_type) if hasattr(dtype, "instance_type") else None)
def pointer(context, builder, sig, args):
    """pointer(dtype, address): an integer address, or another pointer, as a pointer to dtype."""
    t = context.get_value_type(sig.return_type)
    return (builder.bitcast if isinstance(sig.args[1], types.CPointer) else builder.inttoptr)(args[1], t)


@primitive(lambda p: types.boolean if isinstance(p, types.CPointer) else None)
def is_null(context, builder, sig, args):
    """is_null(p): whether an optional tensor is absent."""
    return builder.icmp_unsigned("==", builder.ptrtoint(args[0], LONG), LONG(0))
