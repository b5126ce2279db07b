"""Every primitive of the vector layer against NumPy, at 4, 8 and 16 lanes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numba.core import types

from edge_rt.codegen.lower import compiler_for
from edge_rt.kernels import simd as s
from edge_rt.native.cpu import cpu_architecture
from edge_rt.native.features import cpu_features
from edge_rt.targets import TARGETS
from tests._kernels import run, unlisted

LANES = (4, 8, 16)
F32, I8, U8, I16, I32, U32, I64 = (
    types.float32, types.int8, types.uint8, types.int16, types.int32, types.uint32, types.int64,
)  # fmt: skip
WORDS = {F32: "f32*", I32: "i32*", I8: "i8*", U8: "u8*", I64: "i64*"}
NUMPY = {F32: np.float32, I32: np.int32, I8: np.int8, U8: np.uint8, I64: np.int64}


def numbers(dtype: Any, count: int, seed: int = 0) -> np.ndarray[Any, Any]:
    generator = np.random.default_rng(seed)
    if dtype is F32:
        return (generator.standard_normal(count) * 10).astype(np.float32)
    info = np.iinfo(NUMPY[dtype])
    return generator.integers(info.min, info.max, count, dtype=info.dtype, endpoint=True)


def apply(name: str, function: Any, lanes: int, *arrays: np.ndarray[Any, Any], to: Any = None) -> np.ndarray[Any, Any]:
    """function(vectors) over one vector of each array; `to`: the dtype of its result."""
    kinds = [next(k for k, v in NUMPY.items() if v == a.dtype) for a in arrays]
    given = [s.Vec(k, len(a)) for k, a in zip(kinds, arrays)]
    to = to or kinds[0]
    out = np.zeros(lanes, NUMPY[to])
    params = " ".join(f"{letter}:{WORDS[k]}" for letter, k in zip("xyz", kinds)) + f" out:{WORDS[to]}"

    def factory(target: Any) -> Any:
        if len(arrays) == 1:
            (V,) = given

            def one(x, out, part, parts):
                s.store(out, function(s.load(V, x)))

            return one
        if len(arrays) == 2:
            V, W = given

            def two(x, y, out, part, parts):
                s.store(out, function(s.load(V, x), s.load(W, y)))

            return two
        V, W, U = given

        def three(x, y, z, out, part, parts):
            s.store(out, function(s.load(V, x), s.load(W, y), s.load(U, z)))

        return three

    run(f"{name}_{lanes}", params, factory, out=out, **dict(zip("xyz", arrays)))
    return out


NAN = np.float32("nan")
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


@pytest.mark.parametrize("lanes", LANES)
def test_conversions(lanes: int) -> None:
    x = numbers(F32, lanes)
    to_i32, to_f32, to_u8 = s.Vec(I32, lanes), s.Vec(F32, lanes), s.Vec(U8, lanes)
    assert np.array_equal(apply("t_to_i32", lambda x: s.convert(to_i32, x), lanes, x, to=I32), x.astype(np.int32))
    odd = x.copy()
    odd[:4] = NAN, np.inf, -np.inf, 3e9
    expected = [0, 2**31 - 1, -(2**31), 2**31 - 1, *x[4:].astype(np.int32)]
    assert apply("t_saturate", lambda x: s.saturate(to_i32, x), lanes, odd, to=I32).tolist() == expected
    got = apply("t_saturate_u8", lambda x: s.saturate(to_u8, x * 100), lanes, odd, to=U8)
    assert got.tolist() == [0, 255, 0, 255, *np.clip(x[4:] * 100, 0, 255).astype(np.uint8)]
    i, b, u = numbers(I32, lanes), numbers(I8, lanes), numbers(U8, lanes)
    assert np.array_equal(apply("t_to_f32", lambda x: s.convert(to_f32, x), lanes, i, to=F32), i.astype(np.float32))
    assert np.array_equal(apply("t_widen", lambda x: s.convert(to_i32, x), lanes, b, to=I32), b.astype(np.int32))
    assert np.array_equal(apply("t_widen_u8", lambda x: s.convert(to_i32, x), lanes, u, to=I32), u.astype(np.int32))
    assert np.array_equal(apply("t_narrow", lambda x: s.convert(to_u8, x), lanes, i, to=U8), i.astype(np.uint8))
    assert np.array_equal(apply("t_bits", lambda x: s.bitcast(to_i32, x), lanes, x, to=I32), x.view(np.int32))
    n = np.arange(lanes, dtype=np.int32) - lanes // 2
    assert np.array_equal(apply("t_ldexp", lambda x, n: s.ldexp(x, n), lanes, x, n), np.ldexp(x, n))


@pytest.mark.parametrize("lanes", LANES)
def test_reductions(lanes: int) -> None:
    V, TILE = s.Vec(F32, lanes), s.Vec(F32, lanes, (3,))

    def factory(target: Any) -> Any:
        def body(x, out, part, parts):
            tile = s.load(TILE, x)
            out[0], out[1], out[2] = s.total(tile), s.smallest(tile), s.largest(tile)
            one = s.load(V, x)
            out[3] = 1 if s.any_true(one > 20) else 0
            out[4] = 1 if s.all_true(one > -1000) else 0
            out[5] = s.extract(one, lanes - 1)

        return body

    x, out = numbers(F32, 3 * lanes), np.zeros(6, np.float32)
    x[1] = 21
    run(f"t_reduce_{lanes}", "x:f32* out:f32*", factory, x=x, out=out)
    sums = x.reshape(3, lanes)
    total = sums[0] + sums[1] + sums[2]
    while len(total) > 1:
        total = total[: len(total) // 2] + total[len(total) // 2 :]
    assert out.tolist() == [total[0], x.min(), x.max(), 1, 1, x[lanes - 1]]
    x[lanes], x[1] = NAN, 0
    x[0] = -2000
    x[: lanes] = np.minimum(x[: lanes], 20)
    run(f"t_reduce_{lanes}", "x:f32* out:f32*", factory, x=x, out=out)
    assert np.isnan(out[:3]).all()
    assert out[3:5].tolist() == [0, 0]


@pytest.mark.parametrize("lanes", LANES)
def test_shuffles(lanes: int) -> None:
    V, SQUARE = s.Vec(F32, lanes), s.Vec(F32, lanes, (lanes,))
    rotate = s.permutation(*range(1, lanes), 0)

    def factory(target: Any) -> Any:
        def body(x, out, part, parts):
            s.store(out, s.transpose(s.load(SQUARE, x)))
            out += lanes * lanes
            first, second = s.load(V, x), s.load(V, x + lanes)
            pair = s.interleave(first, second)
            s.store(out, pair)
            s.store(out + 2 * lanes, s.deinterleave(s.part(pair, 0), s.part(pair, 1)))
            s.store(out + 4 * lanes, rotate(first))
            s.store(out + 5 * lanes, s.tile(second, first))

        return body

    x, out = numbers(F32, lanes * lanes), np.zeros(lanes * lanes + 7 * lanes, np.float32)
    run(f"t_shuffles_{lanes}", "x:f32* out:f32*", factory, x=x, out=out)
    square = x.reshape(lanes, lanes)
    assert np.array_equal(out[: lanes * lanes].reshape(lanes, lanes), square.T)
    rest = out[lanes * lanes :].reshape(7, lanes)
    assert np.array_equal(rest[:2].ravel(), square[:2].T.ravel())
    assert np.array_equal(rest[2:4], square[:2])
    assert np.array_equal(rest[4], np.roll(square[0], -1))
    assert np.array_equal(rest[5:], square[1::-1])


@pytest.mark.parametrize("lanes", LANES)
def test_loads_and_stores(lanes: int) -> None:
    TILE, COLUMN = s.Vec(F32, lanes, (2, 3)), s.Vec(F32, lanes, (2, 1))
    V, INDEX = s.Vec(F32, lanes), s.Vec(I32, lanes)

    def factory(target: Any) -> Any:
        def body(x, out, stride, n, part, parts):
            s.prefetch(x)
            s.store(out, s.load(TILE, x, stride))
            out += 6 * lanes
            s.store(out, s.load_first(TILE, x, n, stride) + s.spread(COLUMN, x, stride))
            out += 6 * lanes
            s.store_first(out, s.load(TILE, x, stride), n, 4 * lanes)
            out += 8 * lanes
            s.store(out, s.gather(V, x, s.iota(INDEX, 0) * 3))
            s.store(out + lanes, s.splat(V, 2.5))

        return body

    stride = 3 * lanes + 5
    x, out = numbers(F32, 2 * stride), np.zeros(22 * lanes, np.float32)
    rows = x.reshape(2, stride)[:, : 3 * lanes]
    for n in (0, 1, lanes - 1, lanes, 2 * lanes + 3, 3 * lanes):
        out[:] = -1
        run(f"t_moves_{lanes}", "x:f32* out:f32* stride:i64 n:i64", factory, x=x, out=out, stride=stride, n=n)
        assert np.array_equal(out[: 6 * lanes].reshape(2, -1), rows)
        first = np.where(np.arange(3 * lanes) < n, rows, 0)
        assert np.array_equal(out[6 * lanes : 12 * lanes].reshape(2, -1), first + rows[:, :1])
        stored = np.full((2, 4 * lanes), -1, np.float32)
        stored[:, :n] = rows[:, :n]
        assert np.array_equal(out[12 * lanes : 20 * lanes].reshape(2, -1), stored)
        assert np.array_equal(out[20 * lanes : 21 * lanes], x[np.arange(lanes) * 3])
        assert np.array_equal(out[21 * lanes :], np.full(lanes, 2.5, np.float32))


@pytest.mark.parametrize("lanes", LANES)
def test_halves(lanes: int) -> None:
    V = s.Vec(F32, lanes)

    def factory(target: Any) -> Any:
        def body(x, out, back, part, parts):
            s.store(out, s.load_half(V, x))
            s.store_half(back, s.load_half(V, x) * 1.0009765625)

        return body

    x = np.array([0, -0.0, 1, 65504, 6e-8, np.inf, np.nan, 1.5] * 2, np.float16)[:lanes]
    out, back = np.zeros(lanes, np.float32), np.zeros(lanes, np.float16)
    run(f"t_halves_{lanes}", "x:f16* out:f32* back:f16*", factory, x=x, out=out, back=back)
    assert np.array_equal(out, x.astype(np.float32), equal_nan=True)
    with np.errstate(over="ignore"):
        expected = (x.astype(np.float32) * np.float32(1.0009765625)).astype(np.float16)
    assert np.array_equal(back, expected, equal_nan=True)


def dot_factory(lanes: int, x_type: Any, y_type: Any) -> Any:
    X, Y, Z = s.Vec(x_type, 4 * lanes), s.Vec(y_type, 4 * lanes), s.Vec(I32, lanes)

    def factory(target: Any) -> Any:
        def body(x, y, z, part, parts):
            s.store(z, s.dot(s.load(X, x), s.load(Y, y), s.load(Z, z)))

        return body

    return factory


SIGNS = [(U8, I8), (I8, U8), (I8, I8), (U8, U8)]


@pytest.mark.parametrize("target", [t.name for t in TARGETS.values() if t.arch == cpu_architecture()])
@pytest.mark.parametrize("lanes", LANES)
@pytest.mark.parametrize("signs", SIGNS, ids=str)
def test_dot_is_exact(signs: tuple[Any, Any], lanes: int, target: str) -> None:
    if not TARGETS[target].requires <= cpu_features():
        pytest.skip(f"this CPU cannot run code for {target}")
    x, y = numbers(signs[0], 4 * lanes), numbers(signs[1], 4 * lanes, 1)
    x[:8] = np.iinfo(x.dtype).max
    y[:8] = np.iinfo(y.dtype).max
    x[8:16], y[8:16] = np.iinfo(x.dtype).min, np.iinfo(y.dtype).min
    z = numbers(I32, lanes) >> 4
    expected = z + (x.astype(np.int32) * y.astype(np.int32)).reshape(lanes, 4).sum(1)
    name = f"t_dot_{signs[0]}_{signs[1]}_{lanes}"
    params = f"x:{WORDS[signs[0]]} y:{WORDS[signs[1]]} z:i32*"
    run(name, params, dot_factory(lanes, *signs), x=x, y=y, z=z, target=TARGETS[target])
    assert np.array_equal(z, expected)


@pytest.mark.parametrize("lanes", LANES)
def test_dot_pairs_is_exact(lanes: int) -> None:
    B, X, Z = s.Vec(I8, 2 * lanes), s.Vec(I16, 2 * lanes), s.Vec(I32, lanes)

    def factory(target: Any) -> Any:
        def body(x, y, z, part, parts):
            wide = s.convert(X, s.load(B, x)) << 7
            s.store(z, s.dot_pairs(wide, s.convert(X, s.load(B, y)), s.load(Z, z)))

        return body

    x, y, z = numbers(I8, 2 * lanes), numbers(I8, 2 * lanes, 1), numbers(I32, lanes) >> 4
    expected = z + ((x.astype(np.int32) << 7) * y.astype(np.int32)).reshape(lanes, 2).sum(1)
    run(f"t_dot_pairs_{lanes}", "x:i8* y:i8* z:i32*", factory, x=x, y=y, z=z)
    assert np.array_equal(z, expected)


@pytest.mark.parametrize(
    ("target", "instruction"),
    [
        ("x86-64-v4-vnni", "vpdpbusd"), ("x86-64-v3", "vpmaddwd"), ("armv8-a", "smull"), ("armv8.2-a-dotprod", "sdot"),
    ],
)  # fmt: skip
def test_dot_uses_the_instruction_of_the_target(target: str, instruction: str) -> None:
    lanes, compiler = TARGETS[target].lanes, compiler_for(TARGETS[target])
    for number, signs in enumerate(SIGNS):
        spec = unlisted(f"t_dot_text_{number}", f"x:{WORDS[signs[0]]} y:{WORDS[signs[1]]} z:i32*")
        body = dot_factory(lanes, *signs)(TARGETS[target])
        text = compiler.assembly(compiler.module(spec, body))
        assert instruction in text or (signs == (U8, U8) and instruction.replace("s", "u", 1) in text)
        assert "pmaddubsw" not in text


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
