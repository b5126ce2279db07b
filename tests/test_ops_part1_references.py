"""NumPy references where NumPy alone would answer otherwise, and dtypes that ONNX's own tests leave out."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from edge_rt import ops
from edge_rt.errors import DataError
from edge_rt.ops._erf import erf

INT64_MIN = np.iinfo(np.int64).min


def run(op: str, *inputs: Any, **attributes: Any) -> Any:
    """The only output, or all of them."""
    spec = ops.get(op)
    arrays = [None if x is None else np.asarray(x) for x in inputs]
    before = [None if x is None else x.copy() for x in arrays]
    results = spec.evaluate(spec.attrs(**attributes), *arrays)
    for x, kept in zip(arrays, before):
        if x is not None:
            np.testing.assert_array_equal(x, kept)
    return results[0] if len(results) == 1 else results


def array(values: Any, dtype: Any) -> np.ndarray[Any, Any]:
    return np.array(values, dtype)


def same(got: Any, expected: Any, dtype: Any) -> None:
    wanted = np.array(expected, dtype)
    assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
    np.testing.assert_array_equal(got, wanted)


def test_integer_division_rounds_toward_zero() -> None:
    same(run("Div", array([7, -7, 7, -7], "i4"), array([2, 2, -2, -2], "i4")), [3, -3, -3, 3], "i4")
    same(run("Div", array([INT64_MIN], "i8"), array([-1], "i8")), [INT64_MIN], "i8")
    same(run("Div", array([250], "u1"), array([7], "u1")), [35], "u1")


@pytest.mark.parametrize("op", ["Div", "Mod"])
def test_integer_division_by_zero_is_a_data_error(op: str) -> None:
    with pytest.raises(DataError, match="divisor must not be 0"):
        run(op, array([1, 2], "i4"), array([1, 0], "i4"))


def test_mod_takes_the_sign_of_its_kind() -> None:
    a, b = array([5, -5, 5, -5], "i4"), array([3, 3, -3, -3], "i4")
    same(run("Mod", a, b), [2, 1, -1, -2], "i4")
    same(run("Mod", a, b, fmod=1), [2, -2, 2, -2], "i4")
    same(run("Mod", array([INT64_MIN], "i8"), array([-1], "i8"), fmod=1), [0], "i8")
    assert math.isnan(run("Mod", array(1, "f4"), array(0, "f4")))


def test_integer_powers() -> None:
    same(run("Pow", array([2, -1, 3, 0, -2], "i4"), array([-1, -3, 4, 0, 3], "i8")), [0, -1, 81, 1, -8], "i4")
    same(run("Pow", array([2, 9], "i4"), array([0.5, 0.5], "f4")), [1, 3], "i4")
    same(run("Pow", array([2], "f4"), array([3], "u8")), [8], "f4")


def test_extrema_and_clip_keep_nan() -> None:
    x = array([np.nan, 1, 2], "f4")
    same(run("Max", x, array([0, np.nan, 3], "f4")), [np.nan, np.nan, 3], "f4")
    same(run("Clip", x, array(1.5, "f4"), None), [np.nan, 1.5, 2], "f4")
    same(run("Clip", x, array(3, "f4"), array(1, "f4")), [np.nan, 1, 1], "f4")
    same(run("ReduceMax", x), [np.nan], "f4")


@pytest.mark.parametrize("dtype", ["u1", "i1", "u8", "i8"])
def test_shifts_outside_the_width(dtype: str) -> None:
    x = array([5, 100], dtype)
    bits = 8 * x.itemsize
    same(run("BitShift", x, array([bits, 200 % bits], dtype), direction="LEFT")[:1], [0], dtype)
    if dtype[0] == "i":
        x, y = array([-8, -8, 8, -8], dtype), array([1, -1, -1, bits], dtype)
        same(run("BitShift", x, y, direction="RIGHT"), [-4, -1, 0, -1], dtype)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("i1", [127, -128, 0, -1, 127]),
        ("u1", [255, 0, 0, 0, 255]),
        ("i4", [2**31 - 1, -(2**31), 0, -1, 300]),
        ("i8", [2**63 - 1, -(2**63), 0, -1, 300]),
        ("u8", [2**64 - 1, 0, 0, 0, 300]),
    ],
)
@pytest.mark.parametrize("source", ["f2", "f4", "f8"])
def test_casts_of_floats_saturate(source: str, dtype: str, expected: list[int]) -> None:
    x = array([np.inf, -np.inf, np.nan, -1.9, 300], source)
    same(run("Cast", x, to=np.dtype(dtype).name), expected, dtype)


def test_other_casts() -> None:
    same(run("Cast", array([200, -1, 256], "i2"), to="int8"), [-56, -1, 0], "i1")
    same(run("Cast", array([0.0, -0.0, 0.1, np.nan], "f4"), to="bool"), [False, False, True, True], "?")
    same(run("Cast", array([1e30, -1e30], "f4"), to="float16"), [np.inf, -np.inf], "f2")
    same(run("CastLike", array([2.7], "f8"), array(0, "i4")), [2], "i4")
    same(run("BitCast", array(1.0, "f4"), to="uint32"), 0x3F800000, "u4")


def test_erf_is_as_accurate_as_the_standard_library() -> None:
    x = np.concatenate([np.linspace(-7, 7, 20001), [1e-300, -0.0]])
    expected = np.array([math.erf(v) for v in x])
    np.testing.assert_allclose(erf(x), expected, rtol=2e-15, atol=0)
    np.testing.assert_array_equal(erf(array([np.nan, np.inf, -np.inf], "f8")), [np.nan, 1, -1])
    assert erf(x.astype("f4")).dtype == np.float32


@pytest.mark.parametrize("op", ["Softplus", "Sigmoid", "Mish", "Elu", "Celu", "Selu", "Swish", "Gelu", "HardSwish"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
def test_activations_stay_finite(op: str, dtype: str) -> None:
    got = run(op, array([-1e4, -50, 0, 50, 1e4], dtype))
    assert got.dtype == np.dtype(dtype)
    assert np.isfinite(got).all()


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "ReduceLogSumExp"])
def test_exponentials_are_shifted(op: str) -> None:
    x = array([[1000, 1000], [-1000, -1000]], "f4")
    expected = {"Softmax": [[0.5, 0.5]] * 2, "LogSoftmax": [[-math.log(2)] * 2] * 2}
    if op == "ReduceLogSumExp":
        got, wanted = run(op, x, array([1], "i8")), [[1000 + math.log(2)], [-1000 + math.log(2)]]
    else:
        got, wanted = run(op, x), expected[op]
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_reductions_of_nothing_and_of_integers() -> None:
    empty = np.zeros((2, 0), "i4")
    axis = array([1], "i8")
    same(run("ReduceMax", empty, axis), [[-(2**31)]] * 2, "i4")
    same(run("ReduceMin", empty.astype("f4"), axis), [[np.inf]] * 2, "f4")
    same(run("ReduceMean", empty, axis), [[0]] * 2, "i4")
    same(run("ReduceLogSumExp", empty.astype("f4"), axis), [[-np.inf]] * 2, "f4")
    same(run("ReduceMean", array([-7, 2], "i4")), [-2], "i4")
    same(run("ReduceMean", array([2**31 - 1, 2**31 - 1], "i4"), keepdims=0), 2**31 - 1, "i4")
    same(run("ReduceMax", array([True, False], "?")), [True], "?")
    same(run("ReduceL1", array([-3, 4], "f4"), None, noop_with_empty_axes=1), [3, 4], "f4")


def test_float16_sums_do_not_accumulate_in_float16() -> None:
    assert run("ReduceSum", np.ones(4096, "f2"))[0] == 4096
    assert run("CumSum", np.ones(4096, "f2"), array(0, "i4"))[-1] == 4096
    assert run("MatMul", np.ones((1, 4096), "f2"), np.ones((4096, 1), "f2"))[0, 0] == 4096


@pytest.mark.parametrize(
    ("start", "end", "step", "expected"),
    [(-100, 100, 1, [0, 1, 2, 3]), (3, -100, -2, [3, 1]), (-100, -100, -1, [0]), (2, 2, 1, []), (9, 0, -1, [3, 2, 1])],
)
def test_slice_clamps_as_onnx_does(start: int, end: int, step: int, expected: list[int]) -> None:
    one = lambda v: array([v], "i8")
    same(run("Slice", np.arange(4), one(start), one(end), one(0), one(step)), expected, "i8")


def test_padding() -> None:
    x = array([1, 2, 3], "i4")
    same(run("Pad", x, array([4, 3], "i8"), mode="reflect"), [1, 2, 3, 2, 1, 2, 3, 2, 1, 2], "i4")
    same(run("Pad", x, array([-1, 2], "i8"), mode="reflect"), [2, 3, 2, 3], "i4")
    same(run("Pad", x, array([4, 1], "i8"), mode="wrap"), [3, 1, 2, 3, 1, 2, 3, 1], "i4")
    same(run("Pad", x, array([-1, 1], "i8"), array(9, "i4")), [2, 3, 9], "i4")
    same(run("Pad", x, array([-5, 3], "i8"), array(9, "i4")), [9], "i4")
    assert run("Pad", np.zeros((1, 1)), array([1 << 40, -1, 0, 0], "i8"), mode="edge").shape == (1 + (1 << 40), 0)
    assert run("Tile", np.zeros((1, 1)), array([1 << 40, 0], "i8")).shape == (1 << 40, 0)


@pytest.mark.parametrize(
    ("op", "inputs", "attributes"),
    [
        ("Gather", ([1, 2], [2]), {}),
        ("GatherElements", ([1, 2], [-3]), {}),
        ("GatherND", ([[1, 2]], [[0, 2]]), {}),
        ("ScatterElements", ([1, 2], [2], [0]), {}),
        ("ScatterND", ([1, 2], [[-3]], [0]), {}),
        ("TensorScatter", ([[[1], [2]]], [[[3], [4]]], [1]), {}),
        ("ReverseSequence", ([[1, 2]], [2, 0]), {}),
        ("TopK", ([1, 2], [3]), {}),
        ("CumSum", ([1, 2], 1), {}),
        ("Compress", ([1, 2], np.ones(3, bool)), {}),
        ("Range", (0, 4, 0), {}),
        ("Range", (0.0, np.inf, 1.0), {}),
        ("Dropout", ([1.0], 1.0, True), {}),
    ],
)
def test_contents_out_of_range(op: str, inputs: Any, attributes: dict[str, Any]) -> None:
    with pytest.raises(DataError):
        run(op, *inputs, **attributes)


def test_top_k_prefers_lower_indices() -> None:
    x, k = array([3, 1, 3, 2, 3], "u1"), array([3], "i8")
    for largest, values, indices in ((1, [3, 3, 3], [0, 2, 4]), (0, [1, 2, 3], [1, 3, 0])):
        got = run("TopK", x, k, largest=largest)
        same(got[0], values, "u1")
        same(got[1], indices, "i8")


def test_scatter_writes_in_order() -> None:
    same(run("ScatterElements", array([1, 1], "i4"), array([0, 0], "i8"), array([5, 7], "i4")), [7, 1], "i4")
    same(
        run("ScatterElements", array([1, 1], "i4"), array([0, 0], "i8"), array([5, 7], "i4"), reduction="mul"),
        [35, 1],
        "i4",
    )


def test_scalars_keep_rank_and_dtype() -> None:
    for op in ("Exp", "Erf", "Sigmoid", "Selu", "Reciprocal", "Sqrt", "Neg", "LeakyRelu", "Identity"):
        assert (run(op, array(0.5, "f4")).dtype, run(op, array(0.5, "f4")).shape) == (np.float32, ()), op
    assert run("NonZero", array(3, "i4")).shape == (0, 1)
    assert run("ReduceSum", array(3, "f4")).shape == ()


def test_windows_of_one_element_and_of_none() -> None:
    for op in ("HannWindow", "HammingWindow", "BlackmanWindow"):
        assert run(op, array(0, "i4")).shape == (0,)
        assert run(op, array(1, "i8"), periodic=0).shape == (1,)
        assert run(op, array(8, "i8"), output_datatype="float64").dtype == np.float64


def test_einsum_of_one_and_of_three() -> None:
    x = np.arange(9, dtype="f4").reshape(3, 3)
    same(run("Einsum", x, equation="ii"), 12, "f4")
    same(run("Einsum", x, equation="i i -> i"), [0, 4, 8], "f4")
    got = run("Einsum", x, x, x, equation="ab,bc,cd->ad")
    np.testing.assert_allclose(got, x @ x @ x)


def test_random_numbers_follow_their_seed() -> None:
    for op, inputs, extra in (
        ("RandomNormal", (), {"shape": (1000,), "mean": 5.0}),
        ("RandomUniformLike", (np.zeros(1000, "f4"),), {"low": 4.0, "high": 6.0}),
    ):
        assert not ops.get(op).is_pure
        first, again = (run(op, *inputs, seed=3.5, **extra) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert first.dtype == np.float32
        assert abs(first.mean() - 5) < 0.15
        assert (run(op, *inputs, **extra) != run(op, *inputs, **extra)).any()


def test_draws_follow_their_probabilities() -> None:
    drawn = run("Bernoulli", np.full(4000, 0.25, "f4"), dtype="bool", seed=1.0)
    assert drawn.dtype == np.bool_
    assert abs(drawn.mean() - 0.25) < 0.03
    logarithms = array([[math.log(0.1), -np.inf, math.log(0.9)]], "f4")
    classes = run("Multinomial", logarithms, sample_size=4000, dtype="int64", seed=1.0)
    assert classes.dtype == np.int64
    np.testing.assert_allclose(np.bincount(classes[0], minlength=3) / 4000, [0.1, 0, 0.9], atol=0.03)


def test_dropout() -> None:
    x = np.ones(2000, "f4")
    y, mask = run("Dropout", x)
    assert mask.all()
    np.testing.assert_array_equal(y, x)
    y, mask = run("Dropout", x, array(0.75, "f4"), array(True, "?"), seed=7)
    np.testing.assert_array_equal(y, mask * np.float32(4))
    assert abs(mask.mean() - 0.25) < 0.05


@pytest.mark.parametrize("batch", [False, True])
def test_fused_matmul_transposes(batch: bool) -> None:
    a, b = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype("f4"), np.ones((6, 5), "f4")
    got = run("com.microsoft.FusedMatMul", a, b, alpha=2.0, transB=1, transBatchA=int(batch))
    left = np.moveaxis(a, 0, -2) if batch else a
    np.testing.assert_allclose(got, 2 * left @ b.T, rtol=1e-5)
