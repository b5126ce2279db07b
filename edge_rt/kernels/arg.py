"""Where along an axis the largest or smallest number is."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels import vmath
from edge_rt.kernels._registry import kernel
from edge_rt.kernels.reduce import column_units, row_folder
from edge_rt.kernels.simd import Vec, any_true, convert, load, load_first, select, splat, store, store_first
from edge_rt.lowering.arg import ARG
from edge_rt.lowering.reduce import COLUMNS
from edge_rt.types import DType

F32, I32, I64 = types.float32, types.int32, types.int64
INF = float("inf")


def signed(v, sign):
    """Negated, the smallest number is the largest."""
    return v * sign


def rows_of_floats(target):
    """find(x, n, smallest, last): the extreme first, by vectors, then its place."""
    LANES, V = target.lanes, Vec(F32, target.lanes)
    extreme = row_folder(target, signed, vmath.larger, -INF)

    def find(x, n, smallest, last):
        sign = F32(-1) if smallest else F32(1)
        best = extreme(x, n, sign) * sign
        step = -1 if last else 1
        at = n - 1 if last else 0
        if best != best:
            while x[at] == x[at]:
                at += step
            return at
        if not last:
            while at + LANES <= n and not any_true(load(V, x + at) == best):
                at += LANES
        while x[at] != best:
            at += step
        return at

    return find


def columns_of_floats(target):
    """find(x, size, inner, out, count, smallest, last): of `count` columns, by vectors of columns."""
    LANES = target.lanes

    def finder(count, read):
        V, PLACES, WIDE = Vec(F32, LANES, (count,)), Vec(I32, LANES, (count,)), Vec(I64, LANES, (count,))

        def find(x, size, inner, n, smallest, last):
            # From the end, the last is the first.
            sign = F32(-1) if smallest else F32(1)
            start, step = (size - 1, -1) if last else (0, 1)
            best, found = read(V, x + start * inner, n) * sign, splat(PLACES, I32(start))
            for i in range(1, size):
                at = start + i * step
                v = read(V, x + at * inner, n) * sign
                better = (v > best) | ((v != v) & (best == best))
                best, found = select(better, v, best), select(better, splat(PLACES, I32(at)), found)
            return convert(WIDE, found)

        return find

    four, one = finder(4, lambda tile, x, n: load(tile, x)), finder(1, load_first)

    def find(x, size, inner, out, count, smallest, last):
        j = 0
        while j + 4 * LANES <= count:
            store(out + j, four(x + j, size, inner, 4 * LANES, smallest, last))
            j += 4 * LANES
        while j < count:
            n = min(LANES, count - j)
            store_first(out + j, one(x + j, size, inner, n, smallest, last), n)
            j += n

    return find


@kernel(ARG[DType.FLOAT32])
def arg_f32(target):
    row, columns = rows_of_floats(target), columns_of_floats(target)

    def body(x, out, outer, size, inner, smallest, last, part, parts):
        if inner == 1:
            for i in range(outer * part // parts, outer * (part + 1) // parts):
                out[i] = row(x + i * size, size, smallest, last)
        else:
            blocks = column_units(inner)
            units = outer * blocks
            for unit in range(units * part // parts, units * (part + 1) // parts):
                i, at = unit // blocks, unit % blocks * COLUMNS
                source, made = x + (i * size * inner + at), out + (i * inner + at)
                columns(source, size, inner, made, min(COLUMNS, inner - at), smallest, last)

    return body


def _register_integers(spec):
    @kernel(spec)
    def arg(target):
        def body(x, out, outer, size, inner, smallest, last, part, parts):
            blocks = column_units(inner)
            units = outer * blocks
            for unit in range(units * part // parts, units * (part + 1) // parts):
                row, at = unit // blocks, unit % blocks * COLUMNS
                for j in range(at, min(inner, at + COLUMNS)):
                    column = x + (row * size * inner + j)
                    best, found = column[0], 0
                    for i in range(1, size):
                        v = column[i * inner]
                        better = v < best if smallest else v > best
                        # Integers equal themselves; without these questions LLVM makes four loops of this one.
                        if (better or (last and v == best) or v != v) and (best == best or (last and v != v)):
                            best, found = v, i
                    out[row * inner + j] = found

        return body


for _dtype, _spec in ARG.items():
    if _dtype is not DType.FLOAT32:
        _register_integers(_spec)
