"""Rows and columns of vectors in memory, by few registers; and the nearest cache asked for what comes next."""

from __future__ import annotations

from llvmlite import ir
from numba import types

from edge_rt.kernels.simd import INT, call, new, number, pack, primitive, unpack


def _addresses(builder, vec, p, row, column):
    """Of a tile of rows and columns. Each row starts from an address of its own, about which LLVM knows nothing: it would
    keep an offset for each vector otherwise, more than there are registers."""
    p = builder.bitcast(p, number(vec.dtype).as_pointer())
    same = ir.FunctionType(p.type, [p.type])
    for i in range(vec.shape[0]):
        if i:
            p = builder.asm(same, "", "=r,0", [builder.gep(p, [row])], False)
        for j in range(vec.shape[1]):
            at = builder.gep(p, [builder.mul(column, ir.IntType(64)(j))])
            yield builder.bitcast(at, vec.ir.as_pointer())


@primitive(new)
def load_grid(context, builder, sig, args):
    """load_grid(V, p, row, column): load(V, p, row, column); V's shape is (rows, columns)."""
    vec, (_, p, row, column) = sig.return_type, args
    return pack(builder, vec, [builder.load(at, align=4) for at in _addresses(builder, vec, p, row, column)])


@primitive(lambda p, x, row, column: types.none)
def store_grid(context, builder, sig, args):
    """store_grid(p, x, row, column): store(p, x, row, column); x's shape is (rows, columns)."""
    vec, (p, x, row, column) = sig.args[1], args
    for at, vector in zip(_addresses(builder, vec, p, row, column), unpack(builder, vec, x).flat):
        builder.store(vector, at, align=4)
    return context.get_dummy_value()


@primitive(lambda p: types.none if isinstance(p, types.CPointer) else None)
def prefetch_near(context, builder, sig, args):
    """prefetch_near(p): asks for the cache line of p, which need not be readable, for the first-level cache."""
    p = builder.bitcast(args[0], ir.IntType(8).as_pointer())
    call(builder, "llvm.prefetch.p0", ir.VoidType(), p, INT(0), INT(3), INT(1))
    return context.get_dummy_value()
