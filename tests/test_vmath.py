"""Accuracy of the elementary functions over all magnitudes, in units in the last place, against float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numba import types

from edge_rt.kernels import vmath
from edge_rt.kernels.simd import Vec, load, store
from edge_rt.lowering._spec import In
from edge_rt.lowering.elementwise import program_call
from edge_rt.ops.edge_elementwise import INSTRUCTIONS
from tests._kernel_runs import run_calls
from tests._kernels import run as run_kernel

Array = np.ndarray[Any, Any]
SPECIAL = np.array(
    [
        0.0,
        -0.0,
        np.inf,
        -np.inf,
        np.nan,
        1e-45,
        -1e-45,
        1.1754944e-38,
        -1.1754942e-38,
        3.4028235e38,
        -3.4028235e38,
        1,
        -1,
        0.5,
        -0.5,
        2,
        -2,
        88.72283,
        88.72284,
        -87.33655,
        -103.97208,
        -104,
        89.41598,
        1e9,
        16777216,
        0.99999994,
        -0.99999994,
    ],
    np.float32,
)
erfc = np.frompyfunc(math.erfc, 1, 1)


def magnitudes(count: int, seed: int = 0) -> Array:
    """Numbers of every exponent and sign, uniform in their bits; and many of ordinary size."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 1 << 32, count, dtype=np.uint32).view(np.float32)
    return np.concatenate([SPECIAL, bits, rng.uniform(-100, 100, count).astype(np.float32),
                           rng.standard_normal(count).astype(np.float32)])  # fmt: skip


def run(name: str, *operands: Array, parts: int | None = None) -> Array:
    call = program_call(
        [f"{name} {' '.join(map(str, range(len(operands))))}"],
        [(In(i), x.shape) for i, x in enumerate(operands)],
        operands[0].shape,
    )
    assert call is not None
    out = np.full(operands[0].shape, 123, np.float32)
    run_calls([call], operands, [out], parts)
    return out


def ulps(got: Array, exact: Array) -> Array:
    """|got - exact| in units of the float32 spacing at exact; 0 where both are the same infinity or NaN, else inf."""
    with np.errstate(all="ignore"):
        rounded = exact.astype(np.float32)
        spacing = np.spacing(np.minimum(np.abs(rounded), np.float32(3.4e38))).astype(np.float64)
        error = np.abs(got.astype(np.float64) - exact) / spacing
    same = (got == rounded) | (np.isnan(got) & np.isnan(exact))
    unbiased = np.minimum(np.where(np.isfinite(error), error, 0), 0.5)
    return np.where(same, unbiased, np.where(np.isnan(error), np.inf, error))


def exact_gelu(x: Array) -> Array:
    return 0.5 * x * np.asarray(erfc(-x / math.sqrt(2)), np.float64)


BOUNDS = {
    "Exp": 1.0, "Log": 1.0, "Tanh": 2.5, "Sigmoid": 2.5, "Erf": 1.1, "Softplus": 2.5, "Sin": 1.6, "Cos": 1.6,
    "Tan": 3.1, "Asin": 2.5, "Acos": 2.0, "Atan": 2.0, "Sinh": 2.0, "Cosh": 2.0, "Asinh": 3.0, "Acosh": 3.0,
    "Atanh": 3.0, "Sqrt": 0.5, "Reciprocal": 0.5, "Floor": 0.0, "Ceil": 0.0, "Round": 0.0, "Abs": 0.0, "Neg": 0.0,
    "Sign": 0.0, "Relu": 0.0, "Softsign": 1.5,
}  # fmt: skip
"""Largest error allowed, in ulp."""


@pytest.mark.parametrize("name", BOUNDS)
def test_function_of_one_operand(name: str) -> None:
    x = magnitudes(40_000)
    if name in ("Asin", "Acos", "Atanh"):
        x = np.concatenate([x, np.random.default_rng(1).uniform(-1, 1, 40_000).astype(np.float32)])
    with np.errstate(all="ignore"):
        exact = INSTRUCTIONS[name][1](x.astype(np.float64))
    error = ulps(run(name, x), np.asarray(exact, np.float64))
    worst = int(np.argmax(error))
    assert error[worst] <= max(BOUNDS[name], 0.5000001), f"{name}({x[worst]!r}) is {error[worst]:.2f} ulp off"


@pytest.mark.parametrize("name", ["Gelu", "GeluTanh", "Mish"])
def test_functions_with_a_vanishing_tail(name: str) -> None:
    x = magnitudes(40_000)
    x = x[~np.isinf(x)]
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
        exact = exact_gelu(wide) if name == "Gelu" else INSTRUCTIONS[name][1](wide)
    got = run(name, x)
    nan = np.isnan(exact)
    tail = 1e-36 if name == "Mish" else 5e-8
    assert np.array_equal(np.isnan(got), nan)
    assert np.all(np.abs(got - exact)[~nan] <= tail + 2e-6 * np.abs(exact[~nan]))


def test_swish_of_epilogues() -> None:
    def factory(target: Any) -> Any:
        lanes = target.lanes
        vec = Vec(types.float32, lanes)

        def body(x: Any, out: Any, n: int, part: int, parts: int) -> None:
            for i in range(0, n, lanes):
                store(out + i, vmath.swish(load(vec, x + i)))

        return body

    x = np.concatenate([magnitudes(40_000), np.linspace(-100, 100, 40_000, dtype=np.float32)])
    x = x[: x.size // 16 * 16]
    got = np.empty_like(x)
    run_kernel("test_swish", "x:f32* out:f32* n:i64", factory, x=x, out=got, n=x.size)
    with np.errstate(all="ignore"):
        wide = x.astype(np.float64)
        exact = np.where(np.isneginf(x), -0.0, wide / (1 + np.exp(-wide)))
    near = ~(x < -87)
    assert np.max(ulps(got, exact)[near]) <= 3.1
    assert np.max(np.abs(got[~near] - exact[~near])) <= 2e-36


def test_power() -> None:
    rng = np.random.default_rng(2)
    x, y = magnitudes(40_000, 3), magnitudes(40_000, 4)
    mixed = [np.repeat(SPECIAL, SPECIAL.size), np.tile(SPECIAL, SPECIAL.size)]
    small = [rng.uniform(0, 4, 40_000).astype(np.float32), rng.uniform(-30, 30, 40_000).astype(np.float32)]
    whole = [rng.uniform(-9, 9, 9_000).astype(np.float32), rng.integers(-9, 9, 9_000).astype(np.float32)]
    a, b = (np.concatenate(parts) for parts in zip([x, y], mixed, small, whole))
    with np.errstate(all="ignore"):
        exact = np.power(a.astype(np.float64), b.astype(np.float64))
    error = ulps(run("Pow", a, b), exact)
    worst = int(np.argmax(error))
    assert error[worst] <= 0.51, f"{a[worst]!r} ** {b[worst]!r} is {error[worst]:.2f} ulp off"


def test_remainder_is_exact() -> None:
    a, b = magnitudes(60_000, 5), magnitudes(60_000, 6)
    a = np.concatenate([a, np.repeat(SPECIAL, SPECIAL.size)])
    b = np.concatenate([b, np.tile(SPECIAL, SPECIAL.size)])
    with np.errstate(all="ignore"):
        exact = np.fmod(a, b)
    assert np.array_equal(run("Mod", a, b), exact, equal_nan=True)


@pytest.mark.parametrize("name", ["Exp", "Sin", "Gelu"])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 15, 16, 17, 31, 127, 129, 1030])
def test_tails_and_parts_give_the_same_bits(name: str, size: int) -> None:
    x = magnitudes(4000)[:4096]
    whole = run(name, x)
    for parts in (1, 2, 5):
        assert run(name, x[:size], parts=parts).tobytes() == whole[:size].tobytes()
