"""Register tiles of products of int16, two of which AVX2 multiplies and adds at a time: exact, whatever the bytes were."""

from __future__ import annotations

from llvmlite import ir
from numba import types

from edge_rt.kernels._registry import apart
from edge_rt.kernels.registers import hide, settled
from edge_rt.kernels.simd import Vec, call, load, pack, primitive, repeat, splat, store, unpack

I16, I32 = types.int16, types.int32
PAIR, WIDTH = 2, 16


def _is_tile(acc, *rest):
    return acc if isinstance(acc, Vec) and isinstance(rest[-1], types.IntegerLiteral) else None


@primitive(_is_tile)
def add_pairs(context, builder, sig, args):
    """add_pairs(acc, a, a_row, three, b, count): acc, int32 [rows, 1, 2], plus products of `count` (a constant) pairs of
    each row of int16 and of the panel at b, int16 [16, 2] for each pair; a_row in numbers, three as for add_outer."""
    vec, (acc, a, a_row, three, b) = sig.return_type, args[:5]
    rows, count, whole = vec.shape[0], sig.args[5].literal_value, ir.IntType(64)
    sums, shorts, word = unpack(builder, vec, acc), ir.VectorType(ir.IntType(16), 16), ir.IntType(32).as_pointer()
    bases = [a]
    for q in range(count):
        places = (builder.gep(b, [whole(PAIR * WIDTH * q + WIDTH * half)]) for half in (0, 1))
        weights = [builder.load(builder.bitcast(at, shorts.as_pointer()), align=2) for at in places]
        for r in range(rows):
            if r // 3 == len(bases):
                bases.append(builder.gep(bases[-1], [three]))
            at = builder.gep(bases[r // 3], [builder.add(builder.mul(a_row, whole(r % 3)), whole(PAIR * q))])
            pair = builder.load(builder.bitcast(at, word), align=2)
            pair = builder.bitcast(repeat(builder, vec, pair), shorts)
            made = [call(builder, "llvm.x86.avx2.pmadd.wd", vec.ir, pair, w) for w in weights]
            for half in (0, 1):
                sums[r, 0, half] = builder.add(sums[r, 0, half], made[half])
            following = (r + 1) % rows // 3
            if following < len(bases):
                bases[following] = settled(builder, bases[following], sums[r, 0, 1])
        b = settled(builder, b, sums[-1, 0, 1])
    return pack(builder, vec, sums.flat)


def point_tile(rows, points):
    """tile(a, a_row, a_step, b, b_step, pairs, adds, y, y_step): y = a @ b, or plus that if `adds`, for matrices of int16
    that lie a_step, b_step and y_step apart. b: a panel of so many pairs; y: int32[rows, 16]. pairs: a multiple of 4."""
    TILE = Vec(I32, 8, (rows, 1, 2))

    @apart
    def tile(a, a_row, a_step, b, b_step, pairs, adds, y, y_step):
        three = hide(3 * a_row)
        for _ in range(points):
            acc = splat(TILE, 0)
            if adds:
                acc = load(TILE, y, WIDTH)
            p, q = a, b
            for _ in range(pairs >> 2):
                acc = add_pairs(acc, p, a_row, three, q, 4)
                p += 4 * PAIR
                q += 4 * PAIR * WIDTH
            store(y, acc, WIDTH)
            a += a_step
            b += b_step
            y += y_step

    return tile
