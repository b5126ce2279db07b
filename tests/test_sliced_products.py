"""Products with int8 weights by slices of rows: as accurate as chains of float32, and what becomes of odd rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt import ops
from edge_rt.jit import case_of
from edge_rt.lowering._spec import BoundNode, Call, Scratch
from edge_rt.lowering.gemm import gemm
from edge_rt.ops._panels import decode_panels, pack_panels
from edge_rt.types import DType, TensorType
from tests._registers import needs_registers, run_script
from tests.cases._case import Case, normal
from tests.cases.compact import Array, weights
from tests.runtimes import native_one_thread, native_three_threads

M, K, N = 45, 416, 150
"""Of blocks of rows, and columns, that end unevenly, and two blocks of k."""


def product(a: Array, n: int = N, **more: Any) -> Case:
    panels, scale, _ = weights("int8", a.shape[1], n)
    residual = normal(a.shape[0], n, seed=3)
    return Case("edge.Gemm", a, panels, normal(n, seed=2), residual, scale, None, n=n, native=True, **more)


def matrix(case: Case) -> Array:
    _, panels, _, _, scale, zero = case.inputs
    assert panels is not None
    return decode_panels(panels, case.inputs[0].shape[1], case.attributes["n"], scale, zero, 0)  # type: ignore[union-attr]


def exact(case: Case) -> Array:
    a, _, bias, residual, _, _ = case.inputs
    return np.asarray(a, np.float64) @ matrix(case).astype(np.float64) + bias + residual


@pytest.mark.parametrize(
    ("m", "k", "n"), [(45, 400, 150), (45, 416, 150), (16, 128, 64), (64, 1000, 330), (33, 130, 81), (7, 128, 64)]
)
def test_no_less_accurate_than_chains_of_floats(m: int, k: int, n: int) -> None:
    case = product(normal(m, k), n)
    a, _, bias, residual, _, _ = case.inputs
    plain = Case("edge.Gemm", a, pack_panels(matrix(case)), bias, residual, n=n, native=True)
    expected = exact(case)
    error, allowed = (np.abs(native_three_threads(c)[0] - expected) for c in (case, plain))
    assert np.sqrt(np.mean(error**2)) <= np.sqrt(np.mean(allowed**2))
    assert error.max() <= 1.5 * allowed.max()


def test_rows_of_all_sizes() -> None:
    """A row's error follows its own largest number."""
    sizes = np.float32(2.0) ** np.linspace(-100, 100, M, dtype=np.float32)[:, None]
    case = product(normal(M, K) * sizes)
    case.inputs = (case.inputs[0], case.inputs[1], None, None, *case.inputs[4:])
    expected = case.inputs[0].astype(np.float64) @ matrix(case).astype(np.float64)  # type: ignore[union-attr]
    assert np.all(np.abs(native_one_thread(case)[0] - expected) <= 2e-6 * np.abs(expected).max(1, keepdims=True))


def test_whole_numbers_are_exact() -> None:
    a = np.random.default_rng(0).integers(-2047, 2048, (M, K)).astype(np.float32)
    panels, scale, _ = weights("int8", K, N)
    assert scale is not None
    case = Case("edge.Gemm", a, panels, None, None, np.ones_like(scale), None, n=N, native=True)
    whole = a.astype(np.int64) @ decode_panels(panels, K, N, np.ones_like(scale), None, 0).astype(np.int64)
    same = np.abs(whole) < 1 << 24
    assert same.mean() > 0.9
    np.testing.assert_array_equal(native_one_thread(case)[0][same], whole[same].astype(np.float32))


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("activation", ["", "Tanh"])
def test_rows_that_are_not_finite_stay_by_themselves(odd: float, activation: str) -> None:
    """They have the bits of f32 panels, and other rows those that they have without them."""
    a = normal(M, K)
    more: dict[str, Any] = {"lo": -0.5, "hi": 1.0, "activation": activation}
    before = native_one_thread(product(a, **more))[0]
    places = [0, 13, 30, 31, M - 1]
    a[places, [0, 5, K - 1, 7, 200]] = odd
    case = product(a, **more)
    made = native_three_threads(case)[0]
    plain = Case("edge.Gemm", a, pack_panels(matrix(case)), *case.inputs[2:4], n=N, native=True, **more)
    np.testing.assert_array_equal(made[places], native_one_thread(plain)[0][places])
    others = np.setdiff1d(np.arange(M), places)
    np.testing.assert_array_equal(made[others], before[others])


def test_each_row_has_bits_of_its_own() -> None:
    """The same for any rows beside it, and for any number of columns beside its own."""
    a = normal(2 * M, K)
    whole = native_one_thread(product(a))[0]
    case = product(a[M:])
    case.inputs = (*case.inputs[:3], normal(2 * M, N, seed=3)[M:], *case.inputs[4:])
    np.testing.assert_array_equal(native_one_thread(case)[0], whole[M:])


def test_zeros_and_tiny_numbers() -> None:
    a = normal(M, K)
    a[3], a[4], a[5] = 0, 1e-42, -0.0
    case = product(a)
    np.testing.assert_allclose(native_one_thread(case)[0], exact(case), rtol=2e-5, atol=1e-5)


def call_of(arch: str, m: int, k: int, n: int, **more: bool) -> Call:
    panels, scale, zero = weights("int8", k, n, zero=more.get("zero", False))
    inputs = [normal(m, k), panels, None, None, scale, zero]
    types = [None if x is None else TensorType.of(x) for x in inputs]
    spec = ops.get("edge.Gemm")
    attrs = spec.attrs(n=n)
    node = BoundNode(spec, attrs, types, [TensorType(DType.FLOAT32, (m, n))], [None] * 6, [True], arch)
    (call,) = gemm(node)  # type: ignore[misc]
    return call


def room(arch: str, m: int, k: int, n: int, **more: bool) -> bool:
    """Whether a lowering gives room for slices."""
    return any(isinstance(arg, Scratch) for arg in call_of(arch, m, k, n, **more).args)


def test_where_rows_are_sliced() -> None:
    assert room("x86_64", 64, 384, 384)
    assert not room("aarch64", 64, 384, 384)
    assert room("x86_64", 1, 64, 64)
    assert not room("x86_64", 64, 384, 48)
    assert not room("x86_64", 64, 48, 384)
    assert not room("x86_64", 64, 384, 384, zero=True)


def test_kernels_for_one_model_leave_slices_alone() -> None:
    """They would make other blocks of rows, for which there may be no room."""
    assert case_of(call_of("x86_64", 64, 384, 384)) is None
    assert case_of(call_of("x86_64", 64, 384, 48)) is not None


SCRIPT = """
from hashlib import sha256
from tests.runtimes import native_one_thread, native_three_threads
from tests.test_sliced_products import *

for m, k, n in ((8, 64, 64), (46, 416, 150), (64, 1024, 330), (100, 130, 81), (33, 1536, 384)):
    for activation in ("", "Gelu"):
        a = normal(m, k)
        a[[0, 5, m - 1], [0, 1, k - 1]] = np.nan, np.inf, -np.inf
        case = product(a, n, lo=-1.0, hi=2.0, activation=activation)
        print(*(sha256(made(case)[0].tobytes()).hexdigest() for made in (native_one_thread, native_three_threads)))
"""


@needs_registers
def test_matrix_registers_make_the_same_bits() -> None:
    without, made = (run_script(SCRIPT, refused) for refused in (True, False))
    assert made == without
    assert made[::2] == made[1::2]
    assert len(set(made)) == 10
