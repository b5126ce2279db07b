"""Rearranging the vectors of a tile."""

from __future__ import annotations

from llvmlite import ir
from numba import types

from edge_rt.kernels.simd import Vec, pack, primitive, unpack


@primitive(
    lambda x, start, step, count: x.to(shape=(count.literal_value,))
    if all(isinstance(i, types.IntegerLiteral) for i in (start, step, count)) and len(x.shape) == 1
    else None
)
def pick(context, builder, sig, args):
    """pick(x, start, step, count): vectors start, start + step, ... of a tile of one axis, by constants."""
    start, step, count = (i.literal_value for i in sig.args[1:])
    vectors = unpack(builder, sig.args[0], args[0])
    return pack(builder, sig.return_type, vectors[start : start + step * count : step])


@primitive(lambda x: x if isinstance(x, Vec) and x.shape == (4,) and x.lanes == 4 else None)
def turn(context, builder, sig, args):
    """turn(x): the transpose of a tile of 4 vectors of 4 lanes."""
    a, b, c, d = unpack(builder, sig.args[0], args[0])
    mask = ir.VectorType(ir.IntType(32), 4)

    def mix(x, y, lanes):
        return builder.shuffle_vector(x, y, ir.Constant(mask, lanes))

    ab_low, ab_high = mix(a, b, [0, 4, 1, 5]), mix(a, b, [2, 6, 3, 7])
    cd_low, cd_high = mix(c, d, [0, 4, 1, 5]), mix(c, d, [2, 6, 3, 7])
    rows = [mix(low, high, lanes) for low, high in ((ab_low, cd_low), (ab_high, cd_high)) for lanes in ([0, 1, 4, 5], [2, 3, 6, 7])]
    return pack(builder, sig.return_type, rows)
