"""Vectors of numbers for the vector layer, and functions applied to them by machine code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types

from edge_rt.kernels import simd as s
from tests._kernels import run

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


def dot_factory(lanes: int, x_type: Any, y_type: Any) -> Any:
    X, Y, Z = s.Vec(x_type, 4 * lanes), s.Vec(y_type, 4 * lanes), s.Vec(I32, lanes)

    def factory(target: Any) -> Any:
        def body(x, y, z, part, parts):
            s.store(z, s.dot(s.load(X, x), s.load(Y, y), s.load(Z, z)))

        return body

    return factory


SIGNS = [(U8, I8), (I8, U8), (I8, I8), (U8, U8)]
