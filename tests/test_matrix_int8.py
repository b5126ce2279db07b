"""8-bit products by matrix registers (AMX): the same bytes as without them, and the same where the system refuses them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt.lowering import gemm_int8
from edge_rt.ops._panels import pack_q_panels
from edge_rt.ops.edge_int8_panels import column_sums, pack_q_conv
from tests._kernel_runs import run_calls
from tests._registers import needs_registers, run_script
from tests.test_int8 import Array, calls_of, reference, run_kernels, whole_range

BYTES = {"output": "uint8", "y_zero": 3, "rounding": "even"}
OUTPUTS: list[dict[str, Any]] = [
    BYTES,
    {"output": "int8", "y_zero": -128, "rounding": "even"},
    {"output": "uint8", "y_zero": 3, "rounding": "away"},
    {"output": "int32"},
    {"output": "float32", "activation": "Sigmoid"},
]


def product(m: int, k: int, n: int, attributes: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Inputs and attributes of edge.QGemm whose results are all over their range."""
    a, b = whole_range(m, k, dtype=np.uint8), whole_range(k, n, dtype=np.int8, seed=1)
    scale = np.linspace(0.9, 1.1, n, dtype=np.float32) / np.float32(2000 * k**0.5)
    floats = attributes["output"] == "float32"
    bias = np.linspace(-9, 9, n).astype(np.float32 if floats else np.int32)
    scaled = [None if attributes["output"] == "int32" else scale, bias]
    residual = [np.linspace(-2, 2, m * n, dtype=np.float32).reshape(m, n)] if floats else []
    operands = [a, pack_q_panels(b), column_sums(b), np.array(120, np.uint8), None]
    return [*operands, *scaled, *residual], {"n": n, "k": k, **attributes}


def image(
    channels: int, size: tuple[int, int], n: int, stride: int, pad: int, kernel: int
) -> tuple[list[Any], dict[str, Any]]:
    """Of edge.QConv."""
    x, w = whole_range(2, *size, channels, dtype=np.uint8), whole_range(n, kernel, kernel, channels, dtype=np.int8, seed=2)
    scale = np.full(n, 1 / (3000 * kernel * channels**0.5), np.float32)
    inputs = [x, *pack_q_conv(w, 1), np.array(7, np.uint8), None, scale, np.arange(n, dtype=np.int32)]
    attributes = {"n": n, "kernel": (kernel, kernel), "pads": (pad,) * 4, "strides": (stride, stride), **BYTES}
    return inputs, attributes


def quads_of(op: str, inputs: list[Any], attributes: dict[str, Any]) -> int:
    """Of the tiles that the product is done by."""
    (call,) = (c for c in calls_of(op, *inputs, **attributes)[0] if c.spec is gemm_int8.GEMM_INT8)
    quads = dict(zip(call.spec.names, call.args))["quads"]
    assert isinstance(quads, int)
    return quads


def check(op: str, inputs: list[Any], attributes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal to the reference, and to vectors' results bit for bit, in any number of parts."""
    (want,) = reference(op, *inputs, **attributes)
    made = run_kernels(op, *inputs, **attributes)
    if want.dtype == np.float32:
        np.testing.assert_allclose(made, want, rtol=1e-5, atol=1e-5)
    else:
        np.testing.assert_array_equal(made, want)
    for parts in (1, 2, 7):
        np.testing.assert_array_equal(run_kernels(op, *inputs, parts=parts, **attributes), made)
    monkeypatch.setattr(gemm_int8, "matrix_quads", lambda depth: 0)
    assert quads_of(op, inputs, attributes) == 0
    np.testing.assert_array_equal(run_kernels(op, *inputs, **attributes), made)


@pytest.mark.parametrize("attributes", OUTPUTS, ids=lambda a: "-".join(map(str, a.values())))
@pytest.mark.parametrize(
    ("m", "k", "n", "quads"),
    [(6, 1024, 96, 16), (49, 576, 40, 12), (131, 192, 33, 16), (200, 40, 256, 10), (1100, 96, 16, 12), (97, 1120, 250, 14)],
)
def test_products(
    m: int, k: int, n: int, quads: int, attributes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, attributes = product(m, k, n, attributes)
    assert quads_of("edge.QGemm", inputs, attributes) == quads
    check("edge.QGemm", inputs, attributes, monkeypatch)


@pytest.mark.parametrize(
    ("channels", "size", "n", "stride", "pad", "kernel"),
    [
        (64, (7, 7), 48, 1, 1, 3),  # short lines, which are one strip
        (64, (9, 5), 40, 1, 0, 3),  # of x itself
        (64, (8, 8), 32, 2, 1, 3),  # short ones that lie too far apart
        (32, (20, 17), 32, 1, 1, 3),
        (3, (41, 37), 24, 2, 3, 7),
        (128, (14, 14), 48, 2, 0, 1),
        (64, (12, 23), 17, 1, 2, 5),
    ],
)
def test_convolutions(
    channels: int, size: tuple[int, int], n: int, stride: int, pad: int, kernel: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, attributes = image(channels, size, n, stride, pad, kernel)
    assert quads_of("edge.QConv", inputs, attributes) > 0
    check("edge.QConv", inputs, attributes, monkeypatch)


def test_what_is_too_small_or_flat_goes_without() -> None:
    for m, k, n in ((5, 1024, 256), (49, 64, 64), (500, 68, 256), (900, 36, 256)):
        assert quads_of("edge.QGemm", *product(m, k, n, BYTES)) == 0, (m, k, n)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
@pytest.mark.parametrize(("m", "k", "n"), [(1, 4, 1), (2, 8, 17), (15, 60, 16), (17, 64, 31), (33, 132, 48), (64, 256, 5)])
def test_any_size_is_exact(m: int, k: int, n: int, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sizes that would not pay, batches of them too, and one scale for all columns; zero points of b, which vectors do."""
    for name in ("_MATRIX_ROWS", "_MATRIX_K", "_MATRIX_WORK", "_LEAST_QUADS"):
        monkeypatch.setattr(gemm_int8, name, 1)
    for batch in ((), (3,)):
        a, b = whole_range(*batch, m, k, dtype=dtype), whole_range(*batch, k, n, dtype=np.int8, seed=1)
        scale = np.full(1, 2**-11, np.float32)
        for b_zero in (None, np.full(1, 5, np.int32)):
            inputs: list[Any] = [a, pack_q_panels(b), column_sums(b), np.array(9, dtype), None, scale, None, None, b_zero]
            attributes = {"n": n, "k": k, **BYTES}
            (want,) = reference("edge.QGemm", *inputs, **attributes)
            for parts in (None, 3):
                np.testing.assert_array_equal(run_kernels("edge.QGemm", *inputs, parts=parts, **attributes), want)


def test_a_residual_in_place_of_the_result_is_added_once() -> None:
    """Tiles have rows in common (35 rows are three tiles of 12), each of which ends once."""
    inputs, attributes = product(35, 256, 64, OUTPUTS[-1])
    assert quads_of("edge.QGemm", inputs, attributes) > 0
    made = run_kernels("edge.QGemm", *inputs, **attributes)
    calls, _ = calls_of("edge.QGemm", *inputs, **attributes)
    place: Array = inputs[-1].copy()
    run_calls(calls, [*inputs[:-1], place], [place], None)
    np.testing.assert_array_equal(place, made)


SCRIPT = """
from tests.test_matrix_int8 import BYTES, product
from tests.test_int8 import reference, run_kernels

inputs, attributes = product(131, 192, 33, BYTES)
(want,) = reference("edge.QGemm", *inputs, **attributes)
np.testing.assert_array_equal(run_kernels("edge.QGemm", *inputs, **attributes), want)
"""


@needs_registers
@pytest.mark.parametrize("refused", [False, True])
def test_where_the_system_refuses_them_vectors_do_it(refused: bool) -> None:
    run_script(SCRIPT, refused)
