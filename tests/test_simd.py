"""Arithmetic, comparisons, pointers and atomics of the vector layer against NumPy, at 4, 8 and 16 lanes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from edge_rt.codegen.lower import compiler_for
from edge_rt.kernels import simd as s
from edge_rt.targets import TARGETS
from tests._kernels import run, unlisted
from tests._vectors import F32, I8, I32, I64, LANES, NAN, NUMPY, U8, apply, numbers

COMPARISONS: dict[str, Any] = {
    "lt": (lambda x, y, one: s.select(x < y, one, one - one), np.less),
    "le": (lambda x, y, one: s.select(x <= y, one, one - one), np.less_equal),
    "gt": (lambda x, y, one: s.select(x > y, one, one - one), np.greater),
    "ge": (lambda x, y, one: s.select(x >= y, one, one - one), np.greater_equal),
    "eq": (lambda x, y, one: s.select(x == y, one, one - one), np.equal),
    "ne": (lambda x, y, one: s.select(x != y, one, one - one), np.not_equal),
}


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons_with_nan(name: str, lanes: int) -> None:
    ours, theirs = COMPARISONS[name]
    x, y = numbers(F32, lanes), numbers(F32, lanes, 1)
    x[0] = y[1] = x[2] = y[2] = NAN
    y[3] = x[3]
    got = apply(f"t_{name}", ours, lanes, x, y, np.ones(lanes, np.float32))
    assert np.array_equal(got, theirs(x, y).astype(np.float32))


def _fma(x: Any, y: Any, z: Any) -> Any:
    return (x.astype(np.float64) * y + z).astype(np.float32)


FLOATS: dict[str, Any] = {
    "add": (lambda x, y: x + y, np.add), "sub": (lambda x, y: x - y, np.subtract),
    "mul": (lambda x, y: x * y, np.multiply), "div": (lambda x, y: x / y, np.divide),
    "neg": (lambda x: -x, np.negative), "number": (lambda x: 2 * x + 1, lambda x: 2 * x + 1),
    "round": (lambda x: s.round_even(x * 0.5) * 2, lambda x: np.round(x * np.float32(0.5)) * 2),
    "fma": (lambda x, y, z: s.fma(x, y, z), _fma), "reverse": (lambda x: s.reverse(x), lambda x: x[::-1]),
    "lane": (lambda x: s.lane(x, 2), lambda x: np.full_like(x, x[2])),
    "masks": (lambda x, y: s.select((x > 0) & ~(y > 0), x, y), lambda x, y: np.where((x > 0) & ~(y > 0), x, y)),
    "minimum": (lambda x: s.minimum(x, 3), lambda x: np.minimum(x, 3)),
    "maximum": (lambda x: s.maximum(x, -3), lambda x: np.maximum(x, -3)),
    "nan_minimum": (lambda x, y: s.nan_minimum(x, y), np.minimum),
    "nan_maximum": (lambda x, y: s.nan_maximum(x, y), np.maximum),
}  # fmt: skip


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", FLOATS)
def test_float_arithmetic(name: str, lanes: int) -> None:
    ours, theirs = FLOATS[name]
    count = ours.__code__.co_argcount
    arrays = [numbers(F32, lanes, i) for i in range(count)]
    if "m" in name:
        arrays[0][1] = NAN
        arrays[-1][-1] = NAN
    with np.errstate(invalid="ignore"):
        expected = theirs(*arrays)
    got = apply(f"t_{name}", ours, lanes, *arrays)
    assert got.tobytes() == expected.astype(np.float32).tobytes() or np.array_equal(got, expected, equal_nan=True)


INTEGERS: dict[str, Any] = {
    "iadd": (lambda x, y: x + y, np.add), "imul": (lambda x, y: x * y, np.multiply),
    "iand": (lambda x, y: x & y, np.bitwise_and),
    "ixor": (lambda x, y: (x ^ y) | (x & 1), lambda x, y: (x ^ y) | (x & 1)),
    "shl": (lambda x: x << 3, lambda x: x << np.int8(3)), "shr": (lambda x: x >> 3, lambda x: x >> np.int8(3)),
    "inot": (lambda x: ~x, np.invert), "imin": (lambda x, y: s.minimum(x, y), np.minimum),
    "imax": (lambda x, y: s.maximum(x, y), np.maximum),
}  # fmt: skip


@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("dtype", [I32, I8, I64], ids=str)
def test_integer_arithmetic_wraps(dtype: Any, name: str, lanes: int) -> None:
    ours, theirs = INTEGERS[name]
    arrays = [numbers(dtype, lanes, i) for i in range(ours.__code__.co_argcount)]
    with np.errstate(over="ignore"):
        expected = theirs(*arrays).astype(NUMPY[dtype])
    assert np.array_equal(apply(f"t_{name}_{dtype}", ours, lanes, *arrays), expected)


@pytest.mark.parametrize("lanes", LANES)
def test_unsigned_shifts_right_with_zeros(lanes: int) -> None:
    x = numbers(U8, lanes)
    assert np.array_equal(apply("t_ushr", lambda x: x >> 3, lanes, x), x >> 3)


def test_minimum_is_one_instruction_on_x86() -> None:
    V = s.Vec(F32, 8)

    def body(x, out, part, parts):
        s.store(out, s.minimum(s.maximum(s.load(V, x), -1), 1))

    compiler = compiler_for(TARGETS["x86-64-v3"])
    text = compiler.assembly(compiler.module(unlisted("t_clamp_text", "x:f32* out:f32*"), body))
    assert text.count("vminps") == text.count("vmaxps") == 1
    assert "vcmp" not in text
    assert "vblend" not in text


def test_pointers_and_atomics() -> None:
    def factory(target: Any) -> Any:
        def body(x, absent, out, part, parts):
            out[0] = 1 if s.is_null(absent) else 0
            out[1] = 1 if s.is_null(x) else 0
            out[2] = s.pointer(I64, x)[0]
            word = out + 3
            s.atomic_store(word, 40)
            out[4] = s.atomic_add(word, 2)
            out[5] = s.atomic_min(word, 41)
            out[6] = 1 if s.compare_exchange(word, 42, 7) else 0
            out[7] = 1 if s.compare_exchange(word, 41, 43) else 0
            s.fence()
            s.pause()
            s.yield_processor()
            out[8] = s.atomic_load(word)

        return body

    x, out = np.array([5, 0], np.float32), np.zeros(9, np.int64)
    run("t_pointers", "x:f32* absent:f32* out:i64*", factory, x=x, absent=None, out=out)
    assert out.tolist() == [1, 0, x.view(np.int64)[0], 43, 40, 42, 0, 1, 43]
    assert math.isfinite(x[0])
