"""Reductions of [outer, size, inner] over the middle axis, whose order depends on the sizes and the target only."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels import vmath
from edge_rt.kernels._registry import kernel
from edge_rt.kernels.memory import stack
from edge_rt.kernels.reduce_columns import ROOM, columns_folder, plus
from edge_rt.kernels.simd import (
    Vec,
    extract,
    iota,
    largest,
    load,
    load_first,
    select,
    smallest,
    splat,
    store,
    store_first,
    total,
)
from edge_rt.kernels.simd import (
    part as vector_of,
)
from edge_rt.kernels.strided import choose
from edge_rt.kernels.vbits import absolute, square_root
from edge_rt.lowering.reduce import COLUMNS, INTEGER_REDUCTIONS, REDUCE, REDUCE_F32, REDUCTIONS
from edge_rt.types import DType

F32, I32, I64 = types.float32, types.int32, types.int64
INF = float("inf")
CHUNK = 128
"""Additions in a row into one lane, before the sum goes into another one: keeps rounding errors of long sums small."""

def times(a, b):
    return a * b


def same(x, shift):
    return x


def magnitude(x, shift):
    return absolute(x)


def square(x, shift):
    return x * x


def shifted_exp(x, shift):
    return vmath.exp(x - shift)


def plain(v, count, shift):
    return v


def average(v, count, shift):
    return v / count


def root(v, count, shift):
    return square_root(v)


def logarithm(v, count, shift):
    return vmath.log(v)


def shifted_logarithm(v, count, shift):
    return vmath.log(v) + shift


RULES = {
    "ReduceSum": (same, plus, 0.0, plain),
    "ReduceMean": (same, plus, 0.0, average),
    "ReduceMax": (same, vmath.larger, -INF, plain),
    "ReduceMin": (same, vmath.smaller, INF, plain),
    "ReduceProd": (same, times, 1.0, plain),
    "ReduceL1": (magnitude, plus, 0.0, plain),
    "ReduceL2": (square, plus, 0.0, root),
    "ReduceSumSquare": (square, plus, 0.0, plain),
    "ReduceLogSum": (same, plus, 0.0, logarithm),
    "ReduceLogSumExp": (shifted_exp, plus, 0.0, shifted_logarithm),
}
"""What is done to each number, how two results join, the result of nothing, what is done to the last result."""


def lanes_folder(combine, lanes):
    """fold(v): the lanes of a vector joined, as a number."""
    if combine is plus:
        return total
    if combine is vmath.larger:
        return largest
    if combine is vmath.smaller:
        return smallest

    def fold(v):
        result = extract(v, 0)
        for i in range(1, lanes):
            result *= extract(v, i)
        return result

    return fold


def row_folder(target, convert, combine, neutral):
    """reduce(x, n, shift): the numbers x[0:n] converted and joined."""
    LANES, V, WIDE = target.lanes, Vec(F32, target.lanes), Vec(F32, target.lanes, (4,))
    POSITIONS = Vec(I32, LANES)
    fold = lanes_folder(combine, LANES)

    def reduce(x, n, shift):
        sums = splat(WIDE, neutral)
        i = 0
        while i + 4 * LANES <= n:
            stop = min(n // (4 * LANES) * (4 * LANES), i + CHUNK * 4 * LANES)
            partial = splat(WIDE, neutral)
            while i < stop:
                partial = combine(partial, convert(load(WIDE, x + i), shift))
                i += 4 * LANES
            sums = combine(sums, partial)
        low, high = vector_of(sums, 0), vector_of(sums, 2)
        v = combine(combine(low, vector_of(sums, 1)), combine(high, vector_of(sums, 3)))
        while i + LANES <= n:
            v = combine(v, convert(load(V, x + i), shift))
            i += LANES
        if i < n:
            rest = convert(load_first(V, x + i, n - i), shift)
            v = combine(v, select(iota(POSITIONS, 0) < n - i, rest, neutral))
        return fold(v)

    return reduce


def finite_or_zero(v):
    """A shift for exp: infinities and NaN would make x - shift NaN."""
    return select(absolute(v) < INF, v, 0.0)


def rows_reducer(target, convert, combine, neutral, finish):
    ONE = Vec(F32, 1)
    reduce = row_folder(target, convert, combine, neutral)
    find_largest = row_folder(target, same, vmath.larger, -INF)
    shifts = convert is shifted_exp

    def rows(x, size, unused, out, count):
        """out[i] = reduction of x[i, :size], for i < count."""
        for i in range(count):
            row = x + i * size
            shift = finite_or_zero(splat(ONE, find_largest(row, size, F32(0.0)))) if shifts else splat(ONE, 0.0)
            result = splat(ONE, reduce(row, size, extract(shift, 0)))
            store(out + i, finish(result, F32(size), shift))

    return rows


def no_shift(read, tile, x, size, inner, n):
    return 0.0


def largest_of_columns(read, tile, x, size, inner, n):
    top = splat(tile, -INF)
    for i in range(size):
        top = vmath.larger(top, read(tile, x + i * inner, n))
    return finite_or_zero(top)


def columns_reducer(target):
    """reduce(code, x, size, inner, out, (count, partial)): out[j] = reduction of x[:size, j], for j < count.

    partial: ROOM numbers. Reductions that differ in what is done to the result share the code up to there.
    """
    LANES, V = target.lanes, Vec(F32, target.lanes)
    rules = [RULES[name] for name in REDUCTIONS]
    loops = list(dict.fromkeys(rule[:3] for rule in rules))
    ends = list(dict.fromkeys(rule[3] for rule in rules))

    def folder(convert, combine, neutral):
        if convert is shifted_exp:
            prepare, finish = largest_of_columns, lambda v, shift: vmath.log(v) + shift
        else:
            prepare, finish = no_shift, lambda v, shift: v
        return columns_folder(target, convert, combine, neutral, prepare, finish)

    def ender(end):
        def run(size, b, c, out, count):
            for j in range(0, count, LANES):
                n = min(LANES, count - j)
                store_first(out + j, end(load_first(V, out + j, n), F32(size), 0.0), n)

        return run

    def nothing(size, b, c, out, count):
        pass

    fold = choose([folder(*loop) for loop in loops])
    end = choose([nothing if e in (plain, shifted_logarithm) else ender(e) for e in ends])
    loop_of, end_of = numbers_of([loops.index(r[:3]) for r in rules]), numbers_of([ends.index(r[3]) for r in rules])

    def reduce(code, x, size, inner, out, rest):
        fold(loop_of(code), x, size, inner, out, rest)
        end(end_of(code), size, 0, 0, out, rest[0])

    return reduce


def numbers_of(table):
    """number(code): table[code]."""
    first = table[0]
    if len(table) == 1:
        return lambda code: first
    others = numbers_of(table[1:])
    return lambda code: first if code == 0 else others(code - 1)


def column_units(inner):
    """Into how many units of COLUMNS columns a matrix is cut."""
    return (inner + COLUMNS - 1) // COLUMNS


@kernel(REDUCE_F32)
def reduce_f32(target):
    rows = choose([rows_reducer(target, *RULES[name]) for name in REDUCTIONS])
    columns = columns_reducer(target)

    def body(x, out, outer, size, inner, code, part, parts):
        partial = stack(F32, ROOM)
        if inner == 1:
            first, last = outer * part // parts, outer * (part + 1) // parts
            rows(code, x + first * size, size, inner, out + first, last - first)
        else:
            blocks = column_units(inner)
            units = outer * blocks
            for unit in range(units * part // parts, units * (part + 1) // parts):
                row, at = unit // blocks, unit % blocks * COLUMNS
                count = min(COLUMNS, inner - at)
                source, made = x + (row * size * inner + at), out + (row * inner + at)
                columns(code, source, size, inner, made, (count, partial))

    return body


# ---- integers --------------------------------------------------------------------------------------------------------

NUMBERS = {DType.INT32: I32, DType.INT64: I64, DType.FLOAT32: F32}


def integer_rules(number):
    low, high = -(1 << (number.bitwidth - 1)), (1 << (number.bitwidth - 1)) - 1
    return {
        "ReduceSum": (plus, 0),
        "ReduceProd": (times, 1),
        "ReduceMax": (lambda a, b: a if a > b else b, low),
        "ReduceMin": (lambda a, b: a if a < b else b, high),
    }


def integer_reducer(number, combine, neutral):
    def reduce(x, size, inner, out, count):
        """out[j] = reduction of x[:size, j], for j < count."""
        if inner == 1:
            result = number(neutral)
            for i in range(size):
                result = number(combine(result, x[i]))
            out[0] = result
        else:
            for j in range(count):
                out[j] = number(neutral)
            for i in range(size):
                row = x + i * inner
                for j in range(count):
                    out[j] = number(combine(out[j], row[j]))

    return reduce


def _register_integer(dtype, spec):
    number = NUMBERS[dtype]
    rules = integer_rules(number)

    @kernel(spec)
    def reduce_integer(target):
        columns = choose([integer_reducer(number, *rules[name]) for name in INTEGER_REDUCTIONS])

        def body(x, out, outer, size, inner, code, part, parts):
            blocks = column_units(inner)
            units = outer * blocks
            for unit in range(units * part // parts, units * (part + 1) // parts):
                row, at = unit // blocks, unit % blocks * COLUMNS
                count = min(COLUMNS, inner - at)
                columns(code, x + (row * size * inner + at), size, inner, out + (row * inner + at), count)

        return body


for _dtype, _spec in REDUCE.items():
    _register_integer(_dtype, _spec)
