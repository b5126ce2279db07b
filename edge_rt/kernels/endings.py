"""How a tile of sums ends: y = clamp(sums + addend); the addend (if `adds`) lies like y."""

from __future__ import annotations

import numpy as np
from numba import types

from edge_rt.kernels.simd import Vec, clamp, load, primitive, repeat, store, unpack
from edge_rt.kernels.simd.memory import addresses

INF = np.float32(np.inf)


def ending(TILE, width):
    """end(acc, addend, adds, lo, hi, y, y_row), for rows of panels that are `width` apart."""

    def end(acc, addend, adds, lo, hi, y, y_row):
        if adds:
            acc = acc + load(TILE, addend, y_row, width)
        if lo > -INF or hi < INF:
            acc = clamp(acc, lo, hi)
        store(y, acc, y_row, width)

    return end


def ending_by_vectors(TILE, width):
    """The same for x86, which clamps where it multiplies: one vector after the other, so that those whose sums are there do
    not wait for the last ones, and the next tile begins meanwhile."""

    def end(acc, addend, adds, lo, hi, y, y_row):
        if adds:
            acc = acc + load(TILE, addend, y_row, width)
        if lo > -INF or hi < INF:
            store_clamped(y, acc, y_row, width, lo, hi)
        else:
            store(y, acc, y_row, width)

    return end


@primitive(lambda p, x, row, column, lo, hi: types.none if isinstance(x, Vec) else None)
def store_clamped(context, builder, sig, args):
    """store_clamped(p, x, row, column, lo, hi): store(p, clamp(x, lo, hi), row, column), for x86."""
    vec, (p, x, row, column, lo, hi) = sig.args[1], args
    lo, hi = repeat(builder, vec, lo), repeat(builder, vec, hi)
    at = addresses(context, builder, vec, p, (row, column), sig.args[2:4])
    for value, q in zip(unpack(builder, vec, x).flat, at):
        value = builder.select(builder.fcmp_ordered(">", lo, value), lo, value)
        value = builder.select(builder.fcmp_ordered("<", hi, value), hi, value)
        builder.store(value, builder.bitcast(q, vec.ir.as_pointer()), align=4)
    return context.get_dummy_value()
