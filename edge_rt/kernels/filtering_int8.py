"""The transforms of Winograd's minimal filtering in integers, for two by two results of windows of three by three numbers.

Two results of three weights that slide over four numbers take four products. With twice the weights' transform there are no
fractions: what comes out is four times the result, both ways taken together. Bytes become int16: what is seen stays within
1020, weights within 1152.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types

from edge_rt.kernels.simd import Vec, pack, primitive, unpack

I16, I32 = types.int16, types.int32


def _of_seen(b, d):
    return [b.sub(d[0], d[2]), b.add(d[1], d[2]), b.sub(d[2], d[1]), b.sub(d[1], d[3])]


def _of_taps(b, g):
    outer = b.add(g[0], g[2])
    return [b.add(g[0], g[0]), b.add(outer, g[1]), b.sub(outer, g[1]), b.add(g[2], g[2])]


def _of_products(b, m):
    return [b.add(b.add(m[0], m[1]), m[2]), b.sub(b.sub(m[1], m[2]), m[3])]


def _both_ways(b, line, x):
    """Of the columns of a grid of vectors and then of its rows, row by row."""
    columns = [line(b, list(column)) for column in x.T]
    return [v for row in zip(*columns) for v in line(b, list(row))]


def _halves(vec, made):
    """The type of int16 numbers at even or odd places."""
    return Vec(I16, vec.lanes // 2, made)


def _widened(b, vec, v, odd):
    """Bytes at even or odd places as int16."""
    wide = ir.VectorType(ir.IntType(16), vec.lanes // 2)
    v, eight = b.bitcast(v, wide), ir.Constant(wide, [8] * wide.count)
    if not vec.dtype.signed:
        return b.lshr(v, eight) if odd else b.and_(v, ir.Constant(wide, [255] * wide.count))
    return b.ashr(v if odd else b.shl(v, eight), eight)


def _transformer(line, seen, made):
    @primitive(lambda x, odd: _halves(x, made) if isinstance(x, Vec) and isinstance(odd, types.IntegerLiteral) else None)
    def transform(context, builder, sig, args):
        vec, odd = sig.args[0], sig.args[1].literal_value
        given = unpack(builder, vec, args[0]).reshape(seen)
        for index in [(i, j) for i in range(seen[0]) for j in range(seen[1])]:
            given[index] = _widened(builder, vec, given[index], odd)
        return pack(builder, sig.return_type, _both_ways(builder, line, given))

    return transform


of_seen = _transformer(_of_seen, (4, 4), (4, 4))
"""of_seen(x, odd): of 4x4 vectors of uint8, those at even places or (odd: 1) at odd ones, the 4x4 int16 to be multiplied."""
of_taps = _transformer(_of_taps, (3, 3), (4, 4))
"""of_taps(x, odd): of 3x3 vectors of int8, as of_seen."""


@primitive(lambda x: x.to(shape=(2, 2, 1, x.shape[2])) if isinstance(x, Vec) and x.shape[:2] == (4, 4) else None)
def of_products(context, builder, sig, args):
    """of_products(x): of 4x4 sums of products, int32 [4, 4, vectors], the results [2, 2, 1, vectors]."""
    vec, x = sig.args[0], unpack(builder, sig.args[0], args[0])
    two, made = ir.Constant(vec.ir, [2] * vec.lanes), []
    for i in range(vec.shape[2]):
        made.append([builder.ashr(v, two) for v in _both_ways(builder, _of_products, x[:, :, i])])
    return pack(builder, sig.return_type, [v for results in zip(*made) for v in results])
