"""Products of 8-bit integers: our records against ONNX's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_rt import ops
from edge_rt.errors import InferenceError
from edge_rt.graph import Graph
from edge_rt.lowering._spec import BoundNode, Call
from edge_rt.lowering.rules import lower
from edge_rt.ops._panels import pack_q_panels, unpack_q_panels
from edge_rt.ops.edge_int8_panels import column_sums, pack_q_conv, pack_q_depthwise
from edge_rt.types import DType, TensorType
from tests._kernel_runs import run_calls

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


# ---- kernels, with numbers from the ends of their types -------------------------------------------------------------


def calls_of(op: str, *inputs: Array | None, **attributes: Any) -> tuple[list[Call], Array]:
    """The kernels that the operator is lowered to, and an output to fill."""
    spec = ops.get(op)
    attrs = spec.attrs(**attributes)
    (expected,) = spec.evaluate(attrs, *inputs)
    assert expected is not None
    node = BoundNode(
        spec, attrs, [None if x is None else TensorType.of(x) for x in inputs], [TensorType.of(expected)],
        [None] * len(inputs), [True],
    )  # fmt: skip
    calls = lower(node)
    assert isinstance(calls, list)
    return calls, np.full(expected.shape, 99, expected.dtype)


def run_kernels(op: str, *inputs: Array | None, parts: int | None = None, **attributes: Any) -> Array:
    """The operator's only output, by the kernels that it is lowered to."""
    calls, made = calls_of(op, *inputs, **attributes)
    run_calls(calls, inputs, [made], parts)  # type: ignore[arg-type]
    return made


def extremes(draw: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    """Only ends of the range, or anything."""
    limits = np.iinfo(dtype)
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["low", "high", "ends", "any"]))
    if kind == "any":
        return generator.integers(limits.min, limits.max + 1, shape, dtype=dtype)
    ends = {"low": [limits.min], "high": [limits.max], "ends": [limits.min, limits.max]}[kind]
    return generator.choice(np.array(ends, dtype), shape)


@st.composite
def epilogues(draw: Any, dtype: Any, n: int) -> tuple[list[Array | None], dict[str, Any]]:
    """Inputs from a_zero on, and attributes, for a product with n columns."""
    output = draw(st.sampled_from(["int32", "uint8", "int8"]))
    zero = draw(st.sampled_from([None, np.iinfo(dtype).min, np.iinfo(dtype).max, 3]))
    scale = draw(st.sampled_from([1.0, 0.5, 0.25, 2.0**-9, 2.0**-16, 1e-3, 0.0, 3e30]))
    columns = draw(st.sampled_from([1, n]))
    # Powers of two make halves, so that rounding shows.
    scales = None if output == "int32" else np.full(columns, scale, np.float32) * 2.0 ** (np.arange(columns) % 3)
    bias = extremes(draw, (n,), np.int32) if draw(st.booleans()) else None
    b_zero = draw(st.sampled_from([None, -128, 127, 255, 2**31 - 1]))
    inputs = [
        None if zero is None else np.array(zero, dtype), None, None if scales is None else scales.astype(np.float32), bias,
        None, None if b_zero is None else np.full(draw(st.sampled_from([1, n])), b_zero, np.int32),
    ]  # fmt: skip
    rounding, y_zero = draw(st.sampled_from(["even", "away"])), draw(st.integers(0, 127))
    return inputs, {"output": output, "rounding": rounding, "y_zero": y_zero}


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_any_matrix_product_is_exact(data: Any) -> None:
    dtype, draw = data.draw(st.sampled_from(BYTES)), data.draw
    m, k, n = draw(st.integers(1, 40)), draw(st.integers(0, 70) | st.just(1700)), draw(st.integers(1, 70))
    a, b = extremes(draw, (m, k), dtype), extremes(draw, (k, n), np.int8)
    inputs, attributes = draw(epilogues(dtype, n))
    given_inputs = a, pack_q_panels(b), column_sums(b), *inputs
    attributes |= {"n": n, "k": k}
    (want,) = reference("edge.QGemm", *given_inputs, **attributes)
    for parts in (None, 3):
        got = run_kernels("edge.QGemm", *given_inputs, parts=parts, **attributes)
        np.testing.assert_array_equal(got, want)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_any_row_is_exact(data: Any) -> None:
    """Bytes of one row have a kernel of their own."""
    dtype, draw = data.draw(st.sampled_from(BYTES)), data.draw
    k, n = draw(st.integers(0, 40) | st.just(1700)), draw(st.integers(1, 40) | st.integers(60, 140) | st.just(600))
    a, b = extremes(draw, (1, k), dtype), extremes(draw, (k, n), np.int8)
    inputs, attributes = draw(epilogues(dtype, n).filter(lambda made: made[1]["output"] != "int32"))
    inputs = a, pack_q_panels(b), column_sums(b), *inputs[:4]
    attributes |= {"n": n, "k": k, "rounding": "even", "lo": draw(st.sampled_from([-np.inf, 3.0]))}
    (want,) = reference("edge.QGemm", *inputs, **attributes)
    for parts in (None, 3):
        got = run_kernels("edge.QGemm", *inputs, parts=parts, **attributes)
        np.testing.assert_array_equal(got, want)


@st.composite
def windows(draw: Any) -> tuple[tuple[int, int, int, int], dict[str, Any]]:
    """Shape of an image and attributes of windows that fit it."""
    kernel, strides, dilations = ((draw(st.integers(1, 4)), draw(st.integers(1, 4))) for _ in range(3))
    pads = tuple(draw(st.integers(0, 3)) for _ in range(4))
    reach = [(kernel[i] - 1) * dilations[i] + 1 - pads[i] - pads[2 + i] for i in (0, 1)]
    h, w = (draw(st.integers(max(1, r), max(1, r) + 20)) for r in reach)
    return (draw(st.integers(1, 2)), h, w, 0), {
        "kernel": kernel, "strides": strides, "dilations": dilations, "pads": pads,
    }  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_any_convolution_is_exact(data: Any) -> None:
    dtype, draw = data.draw(st.sampled_from(BYTES)), data.draw
    (images, h, w, _), attributes = draw(windows())
    group, channels, columns = draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 20))
    n = group * columns
    x = extremes(draw, (images, h, w, group * channels), dtype)
    weights = extremes(draw, (n, channels, *attributes["kernel"]), np.int8)
    inputs, more = draw(epilogues(dtype, n))
    given_inputs = x, *pack_q_conv(weights, group), *inputs
    attributes |= {"n": n, "group": group, **more}
    (want,) = reference("edge.QConv", *given_inputs, **attributes)
    for parts in (None, 3):
        got = run_kernels("edge.QConv", *given_inputs, parts=parts, **attributes)
        np.testing.assert_array_equal(got, want)


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_any_depthwise_convolution_is_exact(data: Any) -> None:
    dtype, draw = data.draw(st.sampled_from(BYTES)), data.draw
    (images, h, w, _), attributes = draw(windows())
    c = draw(st.integers(1, 50) | st.integers(140, 160) | st.just(300))
    x, weights = extremes(draw, (images, h, w, c), dtype), extremes(draw, (c, 1, *attributes["kernel"]), np.int8)
    inputs, more = draw(epilogues(dtype, c))
    given_inputs = x, *pack_q_depthwise(weights), *inputs
    attributes |= more
    (want,) = reference("edge.QDepthwiseConv", *given_inputs, **attributes)
    for parts in (None, 3):
        got = run_kernels("edge.QDepthwiseConv", *given_inputs, parts=parts, **attributes)
        np.testing.assert_array_equal(got, want)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_three_by_three_windows_that_slide_are_exact(data: Any) -> None:
    """Results that are bytes, of strides one and two: these windows need no buffer where there are dot products."""
    dtype, draw = data.draw(st.sampled_from(BYTES)), data.draw
    stride, c = draw(st.integers(1, 2)), draw(st.sampled_from([16, 40, 64, 65, 127, 128, 200, 256, 300]))
    shape = draw(st.integers(1, 2)), draw(st.integers(2, 9)), draw(st.integers(2, 40)), c
    x, weights = extremes(draw, shape, dtype), extremes(draw, (c, 1, 3, 3), np.int8)
    pads = tuple(draw(st.integers(1, 2)) for _ in range(4))
    attributes = {"kernel": (3, 3), "strides": (stride, stride), "dilations": (1, 1), "pads": pads}
    inputs, more = draw(epilogues(dtype, c).filter(lambda made: made[1]["output"] != "int32"))
    given_inputs = x, *pack_q_depthwise(weights), *inputs[:4]
    limits = draw(st.sampled_from([{}, {"lo": 0.0}, {"lo": -5.0, "hi": 60.0}]))
    attributes |= more | {"rounding": "even", "y_zero": draw(st.sampled_from([0, 3]))} | limits
    (want,) = reference("edge.QDepthwiseConv", *given_inputs, **attributes)
    for parts in (None, 3):
        got = run_kernels("edge.QDepthwiseConv", *given_inputs, parts=parts, **attributes)
        np.testing.assert_array_equal(got, want)
