"""8-bit products on AVX2 by pmaddubsw, which adds two of them as int16, and saturates.

So before panels are multiplied by rows, they are looked at together with the largest number that any of these rows has
at each k, and copied (`tame`): quads of which two can be added up as int16 by twos, all others one by one, and in two
parts where even the products of neighbours could saturate. So what tiles add up is exact. As a rule there are few such
parts, since rows seldom hold their largest numbers everywhere, and rows far from zero are lowered (`paired_rows_int8.py`).
"""

from __future__ import annotations

import functools

import numpy as np
from llvmlite import ir
from numba import types

from edge_rt.kernels.paired_rows_int8 import (
    LOWERED,
    LOWERED_BYTES,
    MOST_DEPTH,
    MOST_LOWERED,
    UNSEEN,
    row_looker,
    sums_of_lowered,
)
from edge_rt.kernels.registers import hide, settled
from edge_rt.kernels.simd import (
    Vec,
    any_true,
    bitcast,
    call,
    load,
    pack,
    pointer,
    primitive,
    repeat,
    splat,
    spread,
    store,
    unpack,
)
from edge_rt.kernels.tiles_int8 import DEPTH, WIDTH

I8, U8, I16, I32, I64 = types.int8, types.uint8, types.int16, types.int32, types.int64
STEP = DEPTH * WIDTH
"""Bytes of a quad of a panel."""
MOST_QUADS = 128
"""Quads of a panel that are looked at together."""
ONES_AT, COPY_BYTES = MOST_QUADS * STEP, 3 * MOST_QUADS * STEP
"""Where the quads lie in a panel's copy that are added one by one, and the room for it."""
ONES_PLACES = MOST_QUADS // 2 + 2
PLACES = ONES_PLACES + 2 * MOST_QUADS
"""Of what `tame` writes: how many twos and ones there are, where in rows the twos lie, and from ONES_PLACES on the ones."""
LEAST_ROWS = 4
"""So many rows pay for a look at their panels."""

_SHORTS, _SUMS = ir.VectorType(ir.IntType(16), 16), ir.VectorType(ir.IntType(32), 8)


def _added(builder, x, y):
    return call(builder, "llvm.x86.avx2.pmadd.ub.sw", _SHORTS, x, y)


@primitive(lambda acc, *rest: acc if isinstance(acc, Vec) and isinstance(rest[-1], types.IntegerLiteral) else None)
def add_quads(context, builder, sig, args):
    """add_quads(acc, a, a_row, three, b, count): acc, int32 [rows, 1, 2], plus products of `count` quads (a constant) of
    each row and of the panel at b, added up as int16 first; three as for add_outer."""
    vec, (acc, a, a_row, three, b) = sig.return_type, args[:5]
    rows, count, byte, whole = vec.shape[0], sig.args[5].literal_value, ir.IntType(8), ir.IntType(64)
    sums, ones, line = unpack(builder, vec, acc), ir.Constant(_SHORTS, [1] * 16), ir.VectorType(byte, 32)
    bases, b = [builder.bitcast(a, byte.as_pointer())], builder.bitcast(b, byte.as_pointer())

    def weights_at(place):
        return builder.load(builder.bitcast(builder.gep(b, [whole(place)]), line.as_pointer()), align=1)

    weights = [[weights_at(STEP * q + 32 * half) for half in range(2)] for q in range(count)]
    for r in range(rows):
        if r // 3 == len(bases):
            bases.append(builder.gep(bases[-1], [three]))
        quads = []
        for q in range(count):
            at = builder.gep(bases[r // 3], [builder.add(builder.mul(a_row, whole(r % 3)), whole(DEPTH * q))])
            quad = builder.load(builder.bitcast(at, ir.IntType(32).as_pointer()), align=1)
            quads.append(builder.bitcast(repeat(builder, vec, quad), line))
        for half in range(2):
            products = [_added(builder, quad, weights[q][half]) for q, quad in enumerate(quads)]
            made = call(builder, "llvm.x86.avx2.pmadd.wd", _SUMS, functools.reduce(builder.add, products), ones)
            sums[r, 0, half] = builder.add(sums[r, 0, half], made)
        # Else LLVM would load ahead more than there are registers for.
        following = (r + 1) // 3
        if following < len(bases):
            bases[following] = settled(builder, bases[following], sums[r, 0, 1])
    return pack(builder, vec, sums.flat)


@primitive(lambda most, b, *more: b if isinstance(most, Vec) else None)
def beyond(context, builder, sig, args):
    """beyond(most, b, more_most, more_b ...): ones where sums of two neighbouring products of `most` or smaller uint8 and b,
    int8, and of the same two of the others, could be beyond int16; else zeros. b may be a tile."""
    vec, byte = sig.return_type, sig.return_type.ir
    none, made = byte(None), []
    given = [np.broadcast_to(unpack(builder, t, a), vec.shape).flat for t, a in zip(sig.args, args)]
    for numbers in zip(*given):
        pairs = list(zip(numbers[::2], numbers[1::2]))
        found = []
        for extremum, limit in (("smax", 32767), ("smin", -32768)):
            sums = [_added(builder, m, call(builder, f"llvm.{extremum}.v32i8", byte, w, none)) for m, w in pairs]
            total = functools.reduce(lambda x, y: call(builder, "llvm.sadd.sat.v16i16", _SHORTS, x, y), sums)
            found.append(builder.icmp_signed("==", total, ir.Constant(_SHORTS, [limit] * 16)))
        made.append(builder.bitcast(builder.sext(builder.or_(*found), _SHORTS), byte))
    return pack(builder, vec, made)


def paired_sums(rows, panels):
    """8 lanes: tiles for panels that `tame` copied; offsets are the places that it wrote, which replace runs and depth."""
    TILE = Vec(I32, 8, (rows, 1, 2))

    def sums(start, start_row, a, a_row, offsets, runs, depth, b, b_panel):
        acc = load(TILE, start, start_row, WIDTH)
        three, quads, places = hide(3 * a_row), b + ONES_AT, offsets + ONES_PLACES
        for i in range(offsets[0]):
            acc = add_quads(acc, a + offsets[i + 2], a_row, three, b, 2)
            b += 2 * STEP
        for i in range(offsets[1]):
            acc = add_quads(acc, a + places[i], a_row, three, quads, 1)
            quads += STEP
        return acc

    return sums


def tamer():
    """tame(b, most, offsets, runs, depth, copy, places): copies a panel of `runs` times `depth` quads for rows of `most`
    [runs, 4 * depth] or less; a run's quads lie at its offset in rows."""
    QUAD, LINE, MOST = Vec(I8, 32, (2,)), Vec(I32, 8), Vec(U8, 32)
    PAIRS = Vec(I16, 16, (2,))

    def largest(most):
        return bitcast(MOST, spread(LINE, pointer(I32, most)))

    def add_one(quad, most, place, quads, places, ones):
        out = beyond(most, quad) & bitcast(QUAD, splat(PAIRS, -256))
        store(quads + ones * STEP, quad & ~out)
        store(quads + (ones + 1) * STEP, quad & out)
        places[ones] = place
        places[ones + 1] = place
        return ones + (2 if any_true(out != 0) else 1)

    def tame(b, most, offsets, runs, depth, copy, places):
        twos, ones = 0, 0
        quads, quads_at, twos_at = copy + ONES_AT, places + ONES_PLACES, places + 2
        for run in range(runs):
            place = offsets[run]
            for _ in range(depth >> 1):
                first, second, m, n = load(QUAD, b), load(QUAD, b + STEP), largest(most), largest(most + DEPTH)
                if any_true(beyond(m, first, n, second) != 0):
                    ones = add_one(first, m, place, quads, quads_at, ones)
                    ones = add_one(second, n, place + DEPTH, quads, quads_at, ones)
                else:
                    store(copy + twos * (2 * STEP), first)
                    store(copy + (twos * (2 * STEP) + STEP), second)
                    twos_at[twos] = place
                    twos += 1
                place += 2 * DEPTH
                most += 2 * DEPTH
                b += 2 * STEP
            if depth & 1:
                ones = add_one(load(QUAD, b), largest(most), place, quads, quads_at, ones)
                most += DEPTH
                b += STEP
        places[0], places[1] = twos, ones

    return tame


def looker(rows, paired_rows):
    """What gemm_int8 asks of this file: sizes of five buffers, `look`, which says what becomes of a unit's rows, and five
    functions that are told what it said. rows: of the tallest tile; paired_rows: of the tallest one of paired_sums, 0 for
    machines that have none; then nothing is looked at."""
    return _paired(rows, paired_rows) if paired_rows else _unpaired(rows)


def _unpaired(rows):
    def rows_at(how, a, given, first_pixel, size, lowered):
        _, _, _, image_step, line_step, _, pixel_step = given
        return a, image_step, line_step, pixel_step

    return (
        (1, 1, 1, 1, 1), lambda *given: UNSEEN, lambda how: rows, rows_at, lambda *given: None, lambda *given: None,
        lambda how, is_narrow, b, offsets, copy, places: (is_narrow, b, offsets),
    )  # fmt: skip


def _paired(rows, paired_rows):
    look_at_rows, first_sums, tame = row_looker(), sums_of_lowered(), tamer()

    def look(corrects, a, given, offsets, runs, runs_in_block, depth, largest, least, lowered):
        first_line, last_line, _, _, _, pixels, _ = given
        count = pixels * (last_line - first_line)
        if corrects or count < LEAST_ROWS or runs_in_block * depth > MOST_QUADS:
            return UNSEEN
        return look_at_rows(a, given, count, offsets, runs, depth, largest, least, lowered)

    def rows_of(how):
        """Of the tallest tile."""
        return paired_rows if how else rows

    def rows_at(how, a, given, first_pixel, size, lowered):
        """Where line 0 and pixel 0 would lie, and the steps of images, lines and pixels."""
        first_line, _, lines_in_image, image_step, line_step, pixels, pixel_step = given
        if how == LOWERED:
            line = pixels * size
            return lowered + -(first_line * line + first_pixel * size), lines_in_image * line, line, size
        return a, image_step, line_step, pixel_step

    def add_first(how, start, least, offsets, runs, depth, b):
        if how == LOWERED:
            first_sums(start, least, offsets, runs, depth, b)

    def copy_panel(how, b, largest, offsets, from_run, runs, depth, copy, places):
        if how:
            tame(b, largest + from_run * depth * DEPTH, offsets + from_run, runs, depth, copy, places)

    def seen_from(how, is_narrow, b, offsets, copy, places):
        """What tiles are given."""
        return (1, copy, places) if how else (0, b, offsets)

    rooms = MOST_DEPTH, MOST_LOWERED, LOWERED_BYTES, COPY_BYTES, PLACES
    return rooms, look, rows_of, rows_at, add_first, copy_panel, seen_from
