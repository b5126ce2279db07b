"""Panels of f16, int8 and int4: the layout, what the records refuse, and the same bits as over panels of f32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt.errors import InferenceError
from edge_rt.graph import Graph
from edge_rt.ops._panels import (
    decode_panels,
    pack_int4_panels,
    pack_panels,
    pack_q_panels,
    unpack_int4_panels,
    unpack_q_panels,
)
from edge_rt.types import DType, TensorType
from tests.cases._case import Case, integers, normal
from tests.cases.compact import CASES
from tests.runtimes import native_one_thread


@pytest.mark.parametrize("shape", [(1, 1), (7, 17), (16, 16), (2, 9, 40)])
def test_integers_come_back_from_panels(shape: tuple[int, ...]) -> None:
    *_, k, n = shape
    small = integers(*shape, low=-8, high=8, dtype=np.int8)
    large = integers(*shape, low=-128, high=128, dtype=np.int8)
    np.testing.assert_array_equal(unpack_int4_panels(pack_int4_panels(small), k, n), small)
    np.testing.assert_array_equal(unpack_q_panels(pack_q_panels(large), k, n), large)


def test_layout_of_int4() -> None:
    """Number k of column j stands in bits 4 (k % 8) and up of the little-endian word [0, k // 8, j]."""
    q = integers(24, 16, low=-8, high=8, dtype=np.int8)
    words = pack_int4_panels(q).view("<i4")[0, :, :, 0]
    for k in range(24):
        np.testing.assert_array_equal(words[k // 8] << (28 - 4 * (k % 8)) >> 28, q[k])


def may_be_sliced(case: Case) -> bool:
    """Whether some machines compute it otherwise: see test_sliced_products.py."""
    a, panels, zero = case.inputs[0], case.inputs[1], case.inputs[5]
    assert a is not None
    assert panels is not None
    is_plain = case.op == "edge.Gemm" and panels.dtype == np.int8 and zero is None and "block" not in case.attributes
    return is_plain and min(a.shape[-1], case.attributes["n"]) >= 64


@pytest.mark.parametrize("case", [case for case in CASES if not may_be_sliced(case)], ids=repr)
def test_the_same_bits_as_over_decoded_panels(case: Case) -> None:
    a, panels, bias, residual, scale, zero = (*case.inputs, None, None, None)[:6]
    assert a is not None
    assert panels is not None
    attributes = {key: value for key, value in case.attributes.items() if key != "block"}
    kernel = attributes.get("kernel", (1, 1))
    group = attributes.get("group", 1)
    k = a.shape[-1] // group * kernel[0] * kernel[1]
    matrix = decode_panels(panels, k, attributes["n"] // group, scale, zero, case.attributes.get("block", 0))
    plain = Case(case.op, a, pack_panels(matrix.astype(np.float32)), bias, residual, native=True, **attributes)
    np.testing.assert_array_equal(native_one_thread(case)[0], native_one_thread(plain)[0])


def refusal(panels: Any, scale: Any = None, zero: Any = None, **more: Any) -> str:
    graph = Graph()
    a = graph.input("a", TensorType(DType.FLOAT32, (2, 40)))
    given = [None if x is None else graph.constant(x) for x in (panels, None, None, scale, zero)]
    with pytest.raises(InferenceError) as caught:
        graph.add("edge.Gemm", a, *given, n=20, **more)
    return str(caught.value)


def test_what_does_not_fit_is_refused() -> None:
    q8, q4 = pack_q_panels(integers(40, 20, dtype=np.int8)), pack_int4_panels(integers(40, 20, high=7, dtype=np.int8))
    scale, zero = pack_panels(normal(1, 20)), pack_panels(integers(1, 20, dtype=np.int8))
    assert "panels must be [2, 10, 16, 4], got [2, 5, 16, 4]" in refusal(q4.view(np.int8), scale)
    assert "panels must be [2, 5, 16, 4], got [2, 10, 16, 4]" in refusal(q8.view(np.uint8), scale)
    assert "scale is required for panels of int8" in refusal(q8)
    assert "scale must be [2, 3, 16], got [2, 1, 16]" in refusal(q8, scale, block=16)
    assert "zero must be [2, 1, 16], got [1, 1, 16]" in refusal(q4, scale, zero[:1])
    assert "block must be a multiple of 16, got 10" in refusal(q4, scale, block=10)
    assert "block must be a multiple of 16, got -16" in refusal(q4, scale, block=-16)
    assert "panels must have rank 4 or more" in refusal(q4[0], scale)
    floats = pack_panels(normal(40, 20))
    for more in ({"scale": scale}, {"block": 16}):
        assert "scale, zero and block are for panels of integers, got float32" in refusal(floats, **more)
    assert "panels must be [2, 40, 16], got [2, 10, 16]" in refusal(floats[:, :10].astype(np.float16))
