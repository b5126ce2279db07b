"""Softmax and its logarithm: the largest number is subtracted first, so that nothing overflows."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels import vmath
from edge_rt.kernels._registry import kernel
from edge_rt.kernels.reduce import column_units, plus, row_folder, same, shifted_exp
from edge_rt.kernels.simd import Vec, extract, iota, load, load_first, select, splat, store, store_first, total
from edge_rt.lowering.reduce import COLUMNS
from edge_rt.lowering.softmax import SOFTMAX_F32

F32, I32 = types.float32, types.int32
INF = float("inf")


def row_steps(target):
    """powers(x, out, n, top): out = exp(x - top), which may be x; gives their sum. scale(out, n, factor), in place."""
    LANES, V, POSITIONS = target.lanes, Vec(F32, target.lanes), Vec(I32, target.lanes)

    def powers(x, out, n, top):
        sums = splat(V, 0.0)
        i = 0
        while i + LANES <= n:
            p = vmath.exp(load(V, x + i) - top)
            store(out + i, p)
            sums += p
            i += LANES
        if i < n:
            p = vmath.exp(load_first(V, x + i, n - i) - top)
            store_first(out + i, p, n - i)
            sums += select(iota(POSITIONS, 0) < n - i, p, 0.0)
        return total(sums)

    def scale(out, n, factor):
        i = 0
        while i + LANES <= n:
            store(out + i, load(V, out + i) * factor)
            i += LANES
        if i < n:
            store_first(out + i, load_first(V, out + i, n - i) * factor, n - i)

    return powers, scale


def row_normalizer(target):
    """normalize(x, out, n, top): out = exp(x - top) divided by its sum; out may be x."""
    powers, scale = row_steps(target)

    def normalize(x, out, n, top):
        scale(out, n, F32(1.0) / powers(x, out, n, top))

    return normalize


@kernel(SOFTMAX_F32)
def softmax_f32(target):
    LANES, V, ONE = target.lanes, Vec(F32, target.lanes), Vec(F32, 1)
    find_largest = row_folder(target, same, vmath.larger, -INF)
    sum_exp, normalize = row_folder(target, shifted_exp, plus, 0.0), row_normalizer(target)

    def shift_row(x, out, n, top, rest):
        i = 0
        while i + LANES <= n:
            store(out + i, load(V, x + i) - top - rest)
            i += LANES
        if i < n:
            store_first(out + i, load_first(V, x + i, n - i) - top - rest, n - i)

    def columns(x, out, size, inner, n, logarithm):
        """n <= LANES columns."""
        top, sums = splat(V, -INF), splat(V, 0.0)
        for i in range(size):
            top = vmath.larger(top, load_first(V, x + i * inner, n))
        for i in range(size):
            p = vmath.exp(load_first(V, x + i * inner, n) - top)
            sums += p
            if not logarithm:
                store_first(out + i * inner, p, n)
        factor, rest = 1.0 / sums, vmath.log(sums)
        for i in range(size):
            if logarithm:
                store_first(out + i * inner, load_first(V, x + i * inner, n) - top - rest, n)
            else:
                store_first(out + i * inner, load_first(V, out + i * inner, n) * factor, n)

    def body(x, out, outer, size, inner, logarithm, part, parts):
        if inner == 1:
            for row in range(outer * part // parts, outer * (part + 1) // parts):
                source, made = x + row * size, out + row * size
                top = find_largest(source, size, F32(0.0))
                if logarithm:
                    rest = vmath.log(splat(ONE, sum_exp(source, size, top)))
                    shift_row(source, made, size, top, extract(rest, 0))
                else:
                    normalize(source, made, size, top)
        else:
            blocks = column_units(inner)
            units = outer * blocks
            for unit in range(units * part // parts, units * (part + 1) // parts):
                row, at = unit // blocks, unit % blocks * COLUMNS
                start, end = row * size * inner, min(inner, at + COLUMNS)
                for j in range(at, end, LANES):
                    columns(x + (start + j), out + (start + j), size, inner, min(LANES, end - j), logarithm)

    return body
