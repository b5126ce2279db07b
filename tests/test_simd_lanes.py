"""Conversions, reductions, shuffles, loads and stores of the vector layer against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt.kernels import simd as s
from tests._kernels import run
from tests._vectors import F32, I8, I32, LANES, NAN, U8, apply, numbers


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
