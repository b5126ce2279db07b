"""Conversions between element types."""

from __future__ import annotations

from numba.core import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.simd import Vec, clamp, convert, load, load_half, pointer, select, splat, store, store_half
from edge_rt.kernels.strided import choose
from edge_rt.lowering.cast import CAST, SOURCES, TARGETS
from edge_rt.types import DType

F32 = types.float32
NUMBERS = {
    DType.FLOAT32: F32, DType.FLOAT16: types.uint16, DType.INT8: types.int8, DType.UINT8: types.uint8,
    DType.INT32: types.int32, DType.INT64: types.int64, DType.BOOL: types.uint8,
}  # fmt: skip


RANGES = {
    DType.INT8: (-128.0, 127.0), DType.UINT8: (0.0, 255.0), DType.INT32: (-2147483648.0, 2147483520.0),
    DType.INT64: (-9223372036854775808.0, 9223371487098961920.0),
}  # fmt: skip
"""The smallest and the largest f32 that an integer type can hold."""


def from_float(source, target, lanes):
    """One step of a loop from f32 or f16: step(x, out, i) converts `lanes` numbers."""
    V = Vec(F32, lanes)
    MADE = Vec(NUMBERS[target], lanes)
    BYTES, WIDE = Vec(types.uint8, lanes), Vec(types.int32, lanes)
    read = load_half if source is DType.FLOAT16 else load

    if target in (DType.FLOAT32, DType.FLOAT16):
        write = store_half if target is DType.FLOAT16 else store

        def step(x, out, i):
            write(out + i, read(V, x + i))

    elif target is DType.BOOL:

        def step(x, out, i):
            store(out + i, select(read(V, x + i) == 0.0, splat(BYTES, 0), splat(BYTES, 1)))

    elif target in (DType.INT8, DType.UINT8):
        LOW, HIGH = RANGES[target]

        def step(x, out, i):
            y = read(V, x + i)
            y = clamp(select(y == y, y, 0.0), LOW, HIGH)
            store(out + i, convert(MADE, convert(WIDE, y)))

    else:
        LOW, HIGH = RANGES[target]
        LIMIT, MOST = -LOW, (1 << (NUMBERS[target].bitwidth - 1)) - 1

        def step(x, out, i):
            y = read(V, x + i)
            y = select(y == y, y, 0.0)
            store(out + i, select(y >= LIMIT, MOST, convert(MADE, clamp(y, LOW, HIGH))))

    return step


def loop(source, target, lanes):
    """run(x, unused, unused, out, n) for one pair of types; x and out are bytes."""
    GIVEN, MADE, ONE = NUMBERS[source], NUMBERS[target], Vec(F32, 1)
    if source.is_float:
        many, one = from_float(source, target, lanes), from_float(source, target, 1)

        def run(x, a, b, out, n):
            given, made = pointer(GIVEN, x), pointer(MADE, out)
            whole = n // lanes * lanes
            for i in range(0, whole, lanes):
                many(given, made, i)
            for i in range(whole, n):
                one(given, made, i)

    elif target is DType.FLOAT16:

        def run(x, a, b, out, n):
            given, made = pointer(GIVEN, x), pointer(MADE, out)
            for i in range(n):
                store_half(made + i, splat(ONE, F32(given[i])))

    elif target is DType.BOOL:

        def run(x, a, b, out, n):
            given, made = pointer(GIVEN, x), pointer(MADE, out)
            for i in range(n):
                made[i] = MADE(given[i] != 0)

    else:

        def run(x, a, b, out, n):
            given, made = pointer(GIVEN, x), pointer(MADE, out)
            for i in range(n):
                made[i] = MADE(given[i])

    return run


@kernel(CAST)
def cast(target):
    cases = [loop(s, t, target.lanes) for s in SOURCES for t in TARGETS]
    convert_all = choose(cases)
    BYTES = tuple(t.itemsize for t in TARGETS)
    KINDS = len(TARGETS)

    def body(x, out, code, n, part, parts):
        first, last = n * part // parts, n * (part + 1) // parts
        source = x + first * BYTES[code // KINDS]
        convert_all(code, source, 0, 0, out + first * BYTES[code % KINDS], last - first)

    return body
