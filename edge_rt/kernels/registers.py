"""Rearranging the vectors of a tile."""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types

from edge_rt.kernels.simd import Vec, call, machine, number, pack, primitive, repeat, shuffle, suffix, unpack
from edge_rt.ops._panels import WIDTH


@primitive(lambda x: x if isinstance(x, Vec) and x.shape == (4,) and x.lanes == 4 else None)
def turn(context, builder, sig, args):
    """turn(x): the transpose of a tile of 4 vectors of 4 lanes."""
    a, b, c, d = unpack(builder, sig.args[0], args[0])
    mask = ir.VectorType(ir.IntType(32), 4)

    def mix(x, y, lanes):
        return builder.shuffle_vector(x, y, ir.Constant(mask, lanes))

    ab_low, ab_high = mix(a, b, [0, 4, 1, 5]), mix(a, b, [2, 6, 3, 7])
    cd_low, cd_high = mix(c, d, [0, 4, 1, 5]), mix(c, d, [2, 6, 3, 7])
    first, second = [0, 1, 4, 5], [2, 3, 6, 7]
    halves = ((ab_low, cd_low, first), (ab_low, cd_low, second), (ab_high, cd_high, first), (ab_high, cd_high, second))
    return pack(builder, sig.return_type, [mix(*half) for half in halves])


@primitive(lambda x: x)
def hide(context, builder, sig, args):
    """hide(x): the integer or pointer x, about which LLVM then knows nothing."""
    kind = args[0].type
    return builder.asm(ir.FunctionType(kind, [kind]), "", "=r,0", [args[0]], False)


def settled(builder, p, vector):
    """p behind an empty instruction, which waits for the vector."""
    kind = ir.FunctionType(p.type, [p.type, vector.type])
    return builder.asm(kind, "", "=r,0,v", [p, vector], False)


def _outer(a, b, acc, a_row, three, b_panel, count):
    is_tile = isinstance(acc, Vec) and len(acc.shape) == 3
    return types.Tuple((a, b, acc)) if is_tile and isinstance(count, types.IntegerLiteral) else None


@primitive(_outer)
def add_outer(context, builder, sig, args):
    """add_outer(a, b, acc, a_row, three, b_panel, count): a, b, and acc [rows, panels, vectors] plus `count` (a constant)
    products, one after the other: number k of each row of a times row k of each panel of b.

    Rows of a are a_row apart, panels b_panel; three is hide(3 * a_row): every third row has an address of its own, and the
    next two are reached through a_row, since x86 has addressing modes for that. Addresses pass through empty instructions
    that wait for sums: else LLVM would load ahead more than there are registers for.
    """
    vec, (a, b, acc, a_row, three, b_panel, _) = sig.args[2], args
    rows, panels, parts = vec.shape
    element, vector, whole = number(vec.dtype).as_pointer(), vec.ir.as_pointer(), ir.IntType(64)
    sums, name = unpack(builder, vec, acc), f"llvm.fma.{suffix(vec.ir)}"
    bases, b = [builder.bitcast(a, element)], builder.bitcast(b, element)
    for k in range(sig.args[6].literal_value):
        factors = {}
        for p, part in np.ndindex(panels, parts):
            place = builder.add(builder.mul(b_panel, whole(p)), whole(k * WIDTH + part * vec.lanes))
            factors[p, part] = builder.load(builder.bitcast(builder.gep(b, [place]), vector), align=4)
        for r in range(rows):
            if r // 3 == len(bases):
                bases.append(builder.gep(bases[-1], [three]))
            place = builder.add(builder.mul(a_row, whole(r % 3)), whole(k))
            value = repeat(builder, vec, builder.load(builder.gep(bases[r // 3], [place]), align=4))
            for at in factors:
                sums[(r, *at)] = call(builder, name, vec.ir, value, factors[at], sums[(r, *at)])
            following = (r + 1) % rows // 3
            if following < len(bases):
                bases[following] = settled(builder, bases[following], sums[r, -1, -1])
        b = settled(builder, b, sums[-1, -1, -1])
    return context.make_tuple(builder, sig.return_type, [bases[0], b, pack(builder, vec, list(sums.flat))])


@primitive(lambda acc, x, stride, three, b, tap, panel: acc if isinstance(acc, Vec) and len(acc.shape) == 3 else None)
def slide(context, builder, sig, args):
    """slide(acc, x, stride, three, b, tap, panel): acc[r, p] + the sum over t = 0, 1, 2 of x[(r + t) * stride] * b[t, p].

    acc: a tile of rows, panels and the vectors of a panel; b[t, p] is the vectors at b + t * tap + p * panel; three is
    hide(3 * stride). Each x is loaded once for the three rows that need it.
    """
    vec, (acc, x, stride, three, b, tap, panel) = sig.return_type, args
    rows, panels, parts = vec.shape
    element, whole = number(vec.dtype), ir.IntType(64)
    sums, b = unpack(builder, vec, acc), builder.bitcast(b, element.as_pointer())

    def factor(t, p, part):
        places = builder.mul(tap, whole(t)), builder.mul(panel, whole(p)), whole(part * vec.lanes)
        at = builder.gep(b, [builder.add(builder.add(places[0], places[1]), places[2])])
        return builder.load(builder.bitcast(at, vec.ir.as_pointer()), align=4)

    factors = {index: factor(*index) for index in np.ndindex(3, panels, parts)}
    for i in range(rows + 2):
        if i and i % 3 == 0:
            x = builder.gep(x, [three])
        at = builder.gep(x, [builder.mul(stride, whole(i % 3))])
        value = repeat(builder, vec, builder.load(builder.bitcast(at, element.as_pointer()), align=4))
        for t in range(max(0, i - rows + 1), min(3, i + 1)):
            for p, part in np.ndindex(panels, parts):
                given = value, factors[t, p, part], sums[i - t, p, part]
                sums[i - t, p, part] = call(builder, f"llvm.fma.{suffix(vec.ir)}", vec.ir, *given)
    return pack(builder, vec, list(sums.flat))


@primitive(lambda p, x: types.none if isinstance(x, Vec) and x.shape in ((2,), (3,), (4,)) else None)
def store_woven(context, builder, sig, args):
    """store_woven(p, x): lane 0 of each of the 2 to 4 vectors of x, then lane 1 of each, and so on."""
    vec, (p, x) = sig.args[1], args
    vectors, count, lanes = list(unpack(builder, vec, x)), vec.count, vec.lanes
    low, high = vectors[:2], [vectors[-2 + count % 2], vectors[-1]]
    places = [(i % count, i // count) for i in range(count * lanes)]
    if machine(context).arch == "aarch64":  # a shuffle that LLVM knows: st2, st3, st4
        if count > 2:
            low = [shuffle(builder, a, list(range(2 * lanes)), b) for a, b in (low, high)]
        made = [shuffle(builder, low[0], [v * lanes + k for v, k in places], low[1])]
    else:
        made = []
        for first in range(0, count * lanes, lanes):
            here = places[first : first + lanes]
            vector = shuffle(builder, low[0], [v * lanes + k if v < 2 else k for v, k in here], low[1])
            if count > 2:
                other = shuffle(builder, high[0], [(v - 2) * lanes + k if v > 1 else k for v, k in here], high[1])
                vector = shuffle(builder, vector, [i if v < 2 else lanes + i for i, (v, _) in enumerate(here)], other)
            made.append(vector)
    p = builder.bitcast(p, number(vec.dtype).as_pointer())
    for i, vector in enumerate(made):
        at = builder.gep(p, [ir.IntType(64)(i * lanes)])
        builder.store(vector, builder.bitcast(at, vector.type.as_pointer()), align=vec.dtype.bitwidth // 8)
    return context.get_dummy_value()


def _chosen_row(b, vec, rows, x):
    """look_up on AVX2: of each two rows a bit of x chooses, then of each two that were chosen the next one."""
    index = b.and_(x, ir.Constant(vec.ir, [15] * vec.lanes))
    words = ir.VectorType(ir.IntType(16), vec.lanes // 2)
    bits = [b.bitcast(b.shl(b.bitcast(x, words), ir.Constant(words, [n] * words.count)), vec.ir) for n in (3, 2, 1)] + [x]

    def chosen(first, level):
        if level < 0:
            row = shuffle(b, rows[first], [i % 16 for i in range(vec.lanes)])
            return call(b, "llvm.x86.avx2.pshuf.b", vec.ir, row, index)
        low, high = chosen(first, level - 1), chosen(first + (1 << level), level - 1)
        return call(b, "llvm.x86.avx2.pblendvb", vec.ir, low, high, bits[level])

    return chosen(0, 3)


@primitive(lambda table, x: x if isinstance(table, Vec) and table.shape == (16,) and isinstance(x, Vec) else None)
def look_up(context, builder, sig, args):
    """look_up(table, x): table[x] for each lane of x; uint8, four times as many lanes as the machine's of f32. table: 16
    vectors of 16 lanes."""
    b, vec = builder, sig.return_type
    rows, (x,) = list(unpack(b, sig.args[0], args[0])), unpack(b, vec, args[1]).flat

    def constant(value):
        return ir.Constant(vec.ir, [value] * vec.lanes)

    made = constant(0)
    if machine(context).arch == "aarch64":
        for first in range(0, 16, 4):  # an index beyond the four rows gives 0
            seen = call(b, "llvm.aarch64.neon.tbl4.v16i8", vec.ir, *rows[first : first + 4], x)
            made, x = b.or_(made, seen), b.sub(x, constant(64))
    elif vec.lanes == 32:
        made = _chosen_row(b, vec, rows, x)
    else:
        name = "llvm.x86.avx512.pshuf.b.512"
        for row in rows:  # an index of 128 or more gives 0: those beyond the row are raised to that
            index = call(b, f"llvm.uadd.sat.v{vec.lanes}i8", vec.ir, x, constant(0x70))
            repeated = shuffle(b, row, [i % 16 for i in range(vec.lanes)])
            made, x = b.or_(made, call(b, name, vec.ir, repeated, index)), b.sub(x, constant(16))
    return pack(b, vec, [made])
