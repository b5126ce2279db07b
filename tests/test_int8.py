"""Products of 8-bit integers: our records against ONNX's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt import ops
from edge_rt.errors import InferenceError
from edge_rt.graph import Graph
from edge_rt.ops.edge_int8 import pack_q_conv, pack_q_depthwise, pack_q_panels, unpack_q_panels
from edge_rt.types import DType, TensorType

Array = np.ndarray[Any, Any]
BYTES = (np.uint8, np.int8)


def whole_range(*shape: int, dtype: Any, seed: int = 0) -> Array:
    """Numbers from all over an 8-bit type, its ends included."""
    limits = np.iinfo(dtype)
    made = np.random.default_rng(seed).integers(limits.min, limits.max + 1, shape, dtype=dtype)
    made.reshape(-1)[: 2 * made.size // 3 : 3] = limits.min
    made.reshape(-1)[1 : 2 * made.size // 3 : 3] = limits.max
    return made


def reference(op: str, *inputs: Array | None, **attributes: Any) -> list[Any]:
    spec = ops.get(op)
    return spec.evaluate(spec.attrs(**attributes), *inputs)


def stored_zero(zero: Array) -> Array:
    """The b_zero for weights with this zero point."""
    return zero.astype(np.int32) - (128 if zero.dtype == np.uint8 else 0)


@pytest.mark.parametrize("a_type", BYTES)
@pytest.mark.parametrize("b_type", BYTES)
def test_references_are_those_of_onnx(a_type: Any, b_type: Any) -> None:
    a, a_zero = whole_range(2, 5, 7, dtype=a_type), whole_range(1, dtype=a_type, seed=1)
    b, b_zero = whole_range(7, 19, dtype=b_type, seed=2), whole_range(19, dtype=b_type, seed=3)
    (want,) = reference("MatMulInteger", a, b, a_zero, b_zero)
    panels, sums = reference("edge.PackQPanels", b)
    more = None, None, None, None, stored_zero(b_zero)
    (got,) = reference("edge.QGemm", a, panels, sums, a_zero, *more, n=19, k=7, output="int32")
    np.testing.assert_array_equal(got, want)

    x = whole_range(2, 8, 9, 7, dtype=a_type, seed=4)
    last = np.ascontiguousarray(x.transpose(0, 2, 3, 1))
    window = {"strides": (2, 1), "pads": (1, 0, 1, 1)}
    for group, depth, n in ((2, 4, 6), (8, 1, 8)):
        w, w_zero = whole_range(n, depth, 3, 2, dtype=b_type, seed=5), whole_range(n, dtype=b_type, seed=6)
        (want,) = reference("ConvInteger", x, w, a_zero.reshape(()), w_zero, group=group, **window)
        more = None, None, None, None, stored_zero(w_zero)
        given = {"kernel": (3, 2), "output": "int32", **window}
        (got,) = reference("edge.QConv", last, *pack_q_conv(w, group), a_zero, *more, n=n, group=group, **given)
        np.testing.assert_array_equal(got.transpose(0, 3, 1, 2), want)
    (got,) = reference("edge.QDepthwiseConv", last, *pack_q_depthwise(w), a_zero, *more, **given)
    np.testing.assert_array_equal(got.transpose(0, 3, 1, 2), want)


def test_requantisation_is_that_of_qlinear_matmul() -> None:
    a, b = whole_range(9, 33, dtype=np.uint8), whole_range(33, 20, dtype=np.int8, seed=1)
    a_zero, y_zero, b_zero = np.uint8(120), np.uint8(7), np.zeros(20, np.int8)
    a_scale, b_scale, y_scale = np.float32(0.5), np.linspace(0.001, 1, 20, dtype=np.float32), np.float32(64)
    (want,) = reference(
        "QLinearMatMul", a, np.asarray(a_scale), np.asarray(a_zero), b, b_scale, b_zero, np.asarray(y_scale),
        np.asarray(y_zero),
    )  # fmt: skip
    panels, sums = reference("edge.PackQPanels", b)
    (got,) = reference(
        "edge.QGemm", a, panels, sums, np.asarray(a_zero), None, a_scale * b_scale / y_scale, n=20, k=33,
        output="uint8", y_zero=7,
    )  # fmt: skip
    np.testing.assert_array_equal(got, want)


def test_halves() -> None:
    sums = np.array([[-5, -3, -1, 0, 1, 3, 5]], np.int32)
    panels, ones = pack_q_panels(np.eye(7, dtype=np.int8)), np.ones(7, np.int32)
    half = np.array([0.5], np.float32)
    for rounding, want in (("even", [-2, -2, 0, 0, 0, 2, 2]), ("away", [-3, -2, -1, 0, 1, 2, 3])):
        (got,) = reference(
            "edge.QGemm", sums.astype(np.int8), panels, ones, None, None, half, n=7, k=7, output="int8", rounding=rounding
        )
        np.testing.assert_array_equal(got, [want])


def test_unpacking_undoes_packing() -> None:
    b = whole_range(2, 9, 37, dtype=np.int8)
    np.testing.assert_array_equal(unpack_q_panels(pack_q_panels(b), 9, 37), b)
    np.testing.assert_array_equal(pack_q_panels(b.swapaxes(-1, -2), True), pack_q_panels(b))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scale": None}, "scale must be given for output uint8"),
        ({"output": "int32"}, "scale must be absent for output int32"),
        ({"output": "float32"}, "bias must be float32 for output float32, got int32"),
        ({"activation": "Tanh"}, "activation, a_scale and residual are for output float32"),
        ({"y_zero": 256}, r"y_zero must be in \[0, 255\], got 256"),
        ({"k": 12}, r"a must be \[..., 12\], got \[3, 7\]"),
        ({"n": 17}, r"panels must be \[2, 2, 16, 4\], got \[1, 2, 16, 4\]"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    g = Graph("g")
    scale = g.input("scale", TensorType(DType.FLOAT32, (1,)))
    inputs = [
        g.input("a", TensorType(DType.UINT8, (3, 7))),
        g.input("panels", TensorType(DType.INT8, (1, 2, 16, 4))),
        g.input("sums", TensorType(DType.INT32, (9,))),
        None,
        None,
        changes.pop("scale", scale),
        g.input("bias", TensorType(DType.INT32, (9,))),
    ]
    with pytest.raises(InferenceError, match=message):
        g.add("edge.QGemm", *inputs, **{"n": 9, "k": 7, "output": "uint8", **changes})
