"""Small moves of memory that kernels share, and buffers on the stack."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils

from edge_rt.kernels.simd import Vec, load, machine, primitive, splat, store

F32 = types.float32
STEP = 16
"""Numbers that `copy` and `fill` move at once: up to STEP - 1 numbers behind what they write may change, too."""


@primitive(lambda dtype, n: types.CPointer(dtype.instance_type) if isinstance(n, types.IntegerLiteral) else None)
def stack(context, builder, sig, args):
    """stack(dtype, n): n (a constant) numbers of the function's stack frame, not initialised. A vector's numbers lie in one
    line of a cache; of 64 bits, which are places and no numbers to compute with, anywhere."""
    dtype = sig.return_type.dtype
    made = cgutils.alloca_once(builder, context.get_value_type(dtype), size=ir.IntType(64)(sig.args[1].literal_value))
    if dtype.bitwidth < 64:
        made.align = 4 * machine(context).lanes
    return made


@primitive(lambda p: types.int64)
def address(context, builder, sig, args):
    """address(p): 0 for a null pointer."""
    return builder.ptrtoint(args[0], ir.IntType(64))


def copier(lanes):
    """copy(to, source, n, readable): n numbers; may write up to the next multiple of STEP.

    readable: how many numbers may be read from `source`, at least n.
    """
    BLOCK = Vec(F32, lanes, (STEP // lanes,))

    def copy(to, source, n, readable):
        at = 0
        while at < n:
            if at + STEP <= readable:
                store(to + at, load(BLOCK, source + at))
            else:
                for i in range(at, n):
                    to[i] = source[i]
            at += STEP

    return copy


def filler(lanes):
    """fill(to, value, n): n times the value; may write up to the next multiple of STEP."""
    BLOCK = Vec(F32, lanes, (STEP // lanes,))

    def fill(to, value, n):
        for at in range(0, n, STEP):
            store(to + at, splat(BLOCK, value))

    return fill
