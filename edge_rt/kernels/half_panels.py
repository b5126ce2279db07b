"""GEMM tiles of AVX-512 for an odd number of half panels: 8 columns and two neighbouring k to a vector, so that no lane is
idle.

Panels are interleaved first: for each two k a vector for each half panel, its columns' numbers by twos; of a whole panel the
first vector has the lower, the second the upper two columns of each four. A tile sums even and odd k apart, and adds them
when it ends: so results depend on whether columns are summed this way, but as elsewhere on nothing else.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from edge_rt.kernels.endings import store_clamped
from edge_rt.kernels.registers import hide, settled
from edge_rt.kernels.simd import Vec, call, load, pack, prefetch, primitive, shuffle, splat, store, suffix, unpack
from edge_rt.ops._panels import WIDTH

F32 = types.float32
HALF = WIDTH // 2
TOGETHER = 2
LANES = 4
"""Numbers that shuffles of vectors move among each other."""


@primitive(lambda x, y: Vec(x.dtype, x.lanes, (2,)))
def interleave(context, builder, sig, args):
    """interleave(x, y): of each four numbers of vectors x and y the lower two, by twos, in one vector, the upper two in
    another."""
    n = sig.args[0].lanes
    (x,), (y,) = (unpack(builder, t, a).flat for t, a in zip(sig.args, args))
    orders = ([i + j + k * n for i in range(first, n, LANES) for j in (0, 1) for k in (0, 1)] for first in (0, 2))
    return pack(builder, sig.return_type, [shuffle(builder, x, order, y) for order in orders])


@primitive(lambda a, b, acc, a_row, three: types.Tuple((a, b, acc)))
def add_twos(context, builder, sig, args):
    """add_twos(a, b, acc, a_row, three): a, b, and acc [rows, halves, 1] plus two products of each row of a and of
    interleaved b. Addresses as of `add_outer`."""
    vec, (a, b, acc, a_row, three) = sig.args[2], args
    (rows, halves, _), whole = vec.shape, ir.IntType(64)
    pairs, sums, name = ir.VectorType(ir.DoubleType(), vec.lanes // TOGETHER), unpack(builder, vec, acc), suffix(vec.ir)
    places = [builder.gep(b, [whole(h * WIDTH)]) for h in range(halves)]
    factors = [builder.load(builder.bitcast(at, vec.ir.as_pointer()), align=4) for at in places]
    bases = [a]
    for r in range(rows):
        if r // 3 == len(bases):
            bases.append(builder.gep(bases[-1], [three]))
        at = builder.gep(bases[r // 3], [builder.mul(a_row, whole(r % 3))])
        pair = builder.load(builder.bitcast(at, ir.DoubleType().as_pointer()), align=4)
        value = builder.insert_element(ir.Constant(pairs, ir.Undefined), pair, ir.IntType(32)(0))
        value = builder.bitcast(shuffle(builder, value, [0] * pairs.count), vec.ir)
        for h, factor in enumerate(factors):
            sums[r, h, 0] = call(builder, f"llvm.fma.{name}", vec.ir, value, factor, sums[r, h, 0])
        following = (r + 1) % rows // 3
        if following < len(bases):
            bases[following] = settled(builder, bases[following], sums[r, -1, -1])
    b = settled(builder, builder.gep(b, [whole(halves * WIDTH)]), sums[-1, -1, -1])
    return context.make_tuple(builder, sig.return_type, [bases[0], b, pack(builder, vec, list(sums.flat))])


def _even_and_odd(builder, x, y):
    """Of each four numbers of x and of y those at even places, and those at odd ones."""
    n = x.type.count
    orders = ([i + j + k * n for i in range(0, n, LANES) for k in (0, 1) for j in (odd, odd + 2)] for odd in (0, 1))
    return builder.fadd(*(shuffle(builder, x, order, y) for order in orders))


@primitive(lambda acc: Vec(F32, WIDTH, (acc.shape[0], acc.shape[1] // 2)))
def whole_sums(context, builder, sig, args):
    """whole_sums(acc): sums [rows, panels] of whole panels, of acc [rows, halves, 1]."""
    sums = unpack(builder, sig.args[0], args[0])[:, :, 0]
    pairs = ((sums[r, 2 * p], sums[r, 2 * p + 1]) for r, p in np.ndindex(sig.return_type.shape))
    return pack(builder, sig.return_type, [_even_and_odd(builder, x, y) for x, y in pairs])


@primitive(lambda acc: Vec(F32, HALF, (acc.shape[0], 1)))
def half_sums(context, builder, sig, args):
    """half_sums(acc): sums [rows, 1] of the last half panel, of acc [rows, halves, 1]."""
    vectors = unpack(builder, sig.args[0], args[0])[:, -1, 0]
    parts = ([shuffle(builder, v, list(range(first, first + HALF))) for first in (0, HALF)] for v in vectors)
    return pack(builder, sig.return_type, [_even_and_odd(builder, *pair) for pair in parts])


def interleaver():
    """(interleave_panels, interleave_start). interleave_panels(b, b_panel, k, whole, to): `whole` panels and the left half
    of the next one; k is even. interleave_start(start, whole, to): what sums of even k begin with; those of odd k with 0."""
    ROW, LEFT = Vec(F32, WIDTH), Vec(F32, HALF)

    def interleave_panels(b, b_panel, k, whole, to):
        for i in range(0, k, TOGETHER):
            at = b + i * WIDTH
            for _ in range(whole):
                store(to, interleave(load(ROW, at), load(ROW, at + WIDTH)))
                to += 2 * WIDTH
                at += b_panel
            store(to, interleave(load(LEFT, at), load(LEFT, at + WIDTH)))
            to += WIDTH

    def interleave_start(start, whole, to):
        for _ in range(whole):
            store(to, interleave(load(ROW, start), splat(ROW, 0)))
            to += 2 * WIDTH
            start += WIDTH
        store(to, interleave(load(LEFT, start), splat(LEFT, 0)))

    return interleave_panels, interleave_start


def halves_tile(rows, halves, lanes):
    """A tile as of tiles.py, of `halves` half panels: start and b are interleaved, there is one segment, and k is even."""
    TILE, panels = Vec(F32, lanes, (rows, halves, 1)), halves // 2
    PANELS, LEFT = Vec(F32, WIDTH, (rows, panels)), Vec(F32, HALF, (rows, 1))

    def end(sums, V, addend, adds, lo, hi, y, y_row):
        if adds:
            sums = sums + load(V, addend, y_row, WIDTH)
        store_clamped(y, sums, y_row, WIDTH, lo, hi)

    def tile(start, a, path, b, b_panel, k, addend, adds, lo, hi, y, y_row):
        a_row, offsets, _, ahead, stride, alike = path
        three, last = hide(3 * a_row), panels * WIDTH
        for _ in range(alike):
            acc, at, row = load(TILE, start, 0), a + offsets[0], b
            for _ in range(k // TOGETHER):
                at, row, acc = add_twos(at, row, acc, a_row, three)
                prefetch(ahead)  # nothing is short of loads
                prefetch(ahead + stride)
                ahead += TOGETHER * stride
                at += TOGETHER
            end(whole_sums(acc), PANELS, addend, adds, lo, hi, y, y_row)
            end(half_sums(acc), LEFT, addend + last, adds, lo, hi, y + last, y_row)
            a += rows * a_row
            y += rows * y_row
            addend += rows * y_row

    return tile
