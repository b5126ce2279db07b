"""Tiles of sums on Arm: products by lanes of registers, loads of four vectors at once, addresses without arithmetic."""

from __future__ import annotations

from llvmlite import ir
from numba import types

from edge_rt.kernels.simd import Vec, call, new, number, pack, primitive, shuffle, suffix, unpack

WHOLE = ir.IntType(64)


def _tuple(builder, values):
    made = ir.Constant(ir.ArrayType(values[0].type, len(values)), ir.Undefined)
    for i, value in enumerate(values):
        made = builder.insert_value(made, value, i)
    return made


def _elements(builder, values):
    return [builder.extract_value(values, i) for i in range(values.type.count)]


@primitive(lambda vec, step: types.UniTuple(types.int64, max(vec.instance_type.shape[0], 2) - 1))
def row_distances(context, builder, sig, args):
    """row_distances(V, step): how far the second, third ... row of a tile is from the first; LLVM knows nothing of them, so
    that they stay in registers of their own."""
    hide = ir.FunctionType(WHOLE, [WHOLE])
    steps = [builder.mul(args[1], WHOLE(1 + i)) for i in range(sig.return_type.count)]
    return _tuple(builder, [builder.asm(hide, "", "=r,0", [step], False) for step in steps])


@primitive(new)
def load_rows(context, builder, sig, args):
    """load_rows(V, p, distances): a vector at p and at each distance from it (see `row_distances`)."""
    vec, (_, p, distances) = sig.return_type, args
    p = builder.bitcast(p, number(vec.dtype).as_pointer())
    at = [p, *(builder.gep(p, [d]) for d in _elements(builder, distances))][: vec.count]
    return pack(builder, vec, [builder.load(builder.bitcast(q, vec.ir.as_pointer()), align=4) for q in at])


@primitive(lambda x, p: x if isinstance(x, Vec) else None)
def load_anew(context, builder, sig, args):
    """load_anew(x, p): x, each of whose vectors is the one at p, loaded once for each: a move takes a multiply's place."""
    vec, pointer = sig.return_type, sig.return_type.ir.as_pointer()
    hide = ir.FunctionType(args[1].type, [args[1].type])
    at = [args[1]]
    for _ in range(vec.count - 1):
        at.append(builder.asm(hide, "", "=r,0", [at[-1]], False))
    return pack(builder, vec, [builder.load(builder.bitcast(q, pointer), align=4) for q in at])


@primitive(lambda p, x, distances: types.none if isinstance(x, Vec) else None)
def store_rows(context, builder, sig, args):
    """store_rows(p, x, distances): a vector at p and at each distance from it."""
    vec, (p, x, distances) = sig.args[1], args
    p = builder.bitcast(p, number(vec.dtype).as_pointer())
    at = [p, *(builder.gep(p, [d]) for d in _elements(builder, distances))]
    for q, vector in zip(at, unpack(builder, vec, x).flat):
        builder.store(vector, builder.bitcast(q, vec.ir.as_pointer()), align=4)
    return context.get_dummy_value()


@primitive(lambda p, step, count: types.UniTuple(p, count.literal_value) if isinstance(count, types.Literal) else None)
def row_of_pointers(context, builder, sig, args):
    """row_of_pointers(p, step, count): p, p + step, ..., so many (a constant)."""
    return _tuple(builder, [builder.gep(args[0], [builder.mul(args[1], WHOLE(i))]) for i in range(sig.return_type.count)])


def _settled(builder, pointers, vectors):
    """The same values behind an empty instruction, which what is loaded from the pointers then has to wait for."""
    values = [*pointers, *vectors]
    kinds = ["r"] * len(pointers) + ["w"] * len(vectors)
    constraints = [*(f"={kind}" for kind in kinds), *(str(i) for i in range(len(values)))]
    types_ = [v.type for v in values]
    barrier = ir.FunctionType(ir.LiteralStructType(types_), types_)
    passed = builder.asm(barrier, "", ",".join(constraints), values, False)
    return [builder.extract_value(passed, i) for i in range(len(values))]


@primitive(lambda p, acc: types.Tuple((p, acc)) if isinstance(acc, Vec) else None)
def settle(context, builder, sig, args):
    """settle(p, acc): p and acc; LLVM loads nothing from p before acc is computed, and so holds fewer numbers at a time."""
    vec = sig.args[1]
    p, *vectors = _settled(builder, [args[0]], unpack(builder, vec, args[1]).flat)
    return context.make_tuple(builder, sig.return_type, [p, pack(builder, vec, vectors)])


@primitive(
    lambda panels, step, acc, column, k: types.Tuple((panels, acc)) if isinstance(k, types.IntegerLiteral) else None
)
def add_products(context, builder, sig, args):
    """add_products(panels, step, acc, column, k): acc [rows, panels, vectors] plus lane k of each row's vector in `column`
    times the vectors (2 or 4) at each panel's pointer; and the pointers, `step` further.

    Sums and pointers pass through an empty instruction, behind which the next loads begin: loaded vectors have to be
    neighbours in the register file, which has no room for two sets of them.
    """
    vec, k = sig.args[2], sig.args[4].literal_value
    pointers, step = _elements(builder, args[0]), context.cast(builder, args[1], sig.args[1], types.int64)
    sums, column = unpack(builder, vec, args[2]), unpack(builder, sig.args[3], args[3]).reshape(-1)
    vectors = vec.shape[2]
    loaded = ir.LiteralStructType([vec.ir] * vectors)
    name = f"llvm.aarch64.neon.ld1x{vectors}.{suffix(vec.ir)}.p0"
    for p, at in enumerate(pointers):
        at = builder.bitcast(at, number(vec.dtype).as_pointer())
        seen = call(builder, name, loaded, at)
        for r, part in ((r, part) for r in range(vec.shape[0]) for part in range(vectors)):
            factor = shuffle(builder, column[r], [k] * vec.lanes)
            given = factor, builder.extract_value(seen, part), sums[r, p, part]
            sums[r, p, part] = call(builder, f"llvm.fma.{suffix(vec.ir)}", vec.ir, *given)
        pointers[p] = builder.gep(at, [step])
    values = _settled(builder, pointers, sums.flat)
    count = len(pointers)
    made = _tuple(builder, values[:count]), pack(builder, vec, values[count:])
    return context.make_tuple(builder, sig.return_type, made)
