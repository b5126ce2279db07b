"""Eager tensors, variables, and that a trace of the same code computes the same."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import exporter as ex
from edge_rt.errors import AuthoringError, DataError, InferenceError, TracingError
from exporter.authoring.paths import variable_paths

X = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
N = np.arange(24, dtype=np.int32).reshape(2, 3, 4) - 9

CASES: dict[str, tuple[Callable[[Any], Any], Any, Any]] = {
    "add": (lambda x: x + 1, X, X + np.float32(1)),
    "scalar first": (lambda x: 2 - x, X, 2 - X),
    "float64 array beside float32": (lambda x: x * np.full((4,), 2.0), X, X * np.float32(2)),
    "divide": (lambda x: x / 3, X, X / np.float32(3)),
    "divide integers": (lambda x: x / 3, N, (N / np.float32(3)).astype(np.float32)),
    "floordiv": (lambda x: x // 4, N, N // 4),
    "floordiv floats": (lambda x: x // 0.5, X, X // np.float32(0.5)),
    "mod": (lambda x: x % 4, N, N % 4),
    "pow": (lambda x: x**2, N, N**2),
    "matmul": (lambda x: x @ x[0, 0][:, None], X, X @ X[0, 0][:, None]),
    "negate and abs": (lambda x: abs(-x), X, np.abs(X)),
    "compare": (lambda x: (x > 0) & ~(x >= 1) | (x == 2), X, ((X > 0) & ~(X >= 1)) | (X == 2)),
    "not equal": (lambda x: x != 3, N, N != 3),
    "bits": (lambda x: (x & 7) ^ 1, N, (N & 7) ^ 1),
    "slices": (lambda x: x[:, 1:, ::2], X, X[:, 1:, ::2]),
    "backwards": (lambda x: x[..., ::-1], X, X[..., ::-1]),
    "number and new axis": (lambda x: x[-1, :, None], X, X[-1, :, None]),
    "places": (lambda x: x[:, [2, 0]], X, X[:, [2, 0]]),
    "mask": (lambda x: x[:, np.array([True, False, True])], X, X[:, [True, False, True]]),
    "reshape": (lambda x: ex.reshape(x, (None, -1)), X, X.reshape(2, -1)),
    "reshape by tensors": (lambda x: ex.reshape(x, [ex.shape(x)[0], ex.shape(x)[1] * 4]), X, X.reshape(2, 12)),
    "transpose": (lambda x: ex.transpose(x, [2, 0, 1]), X, X.transpose(2, 0, 1)),
    "concat": (lambda x: ex.concat([x, x * 0], 1), X, np.concatenate([X, X * 0], 1)),
    "stack": (lambda x: ex.stack([x, x], -1), X, np.stack([X, X], -1)),
    "split": (lambda x: ex.split(x, [1, 3], -1)[1], X, X[..., 1:]),
    "unstack": (lambda x: ex.unstack(x, 1)[2], X, X[:, 2]),
    "iterate": (lambda x: sum(row for row in x), X, X.sum(0)),
    "pad": (lambda x: ex.pad(x, [(0, 0), (1, 0), (0, 2)]), X, np.pad(X, [(0, 0), (1, 0), (0, 2)])),
    "tile": (lambda x: ex.tile(x, [1, 2, 1]), X, np.tile(X, [1, 2, 1])),
    "repeat": (lambda x: ex.repeat(x, 2, 1), X, np.repeat(X, 2, 1)),
    "broadcast": (lambda x: ex.broadcast_to(x[:1], [5, 3, 4]), X, np.broadcast_to(X[:1], [5, 3, 4])),
    "where": (lambda x: ex.where(x > 0, x, 0), X, np.where(X > 0, X, 0)),
    "places where": (lambda x: ex.where(x > 5), N, np.argwhere(N > 5)),
    "one_hot": (lambda x: ex.one_hot(x[0, 2], 3), N, np.eye(3, dtype=np.float32)[:0].reshape(0, 3)),
    "cast": (lambda x: ex.cast(x, "int32"), X * 3, (X * 3).astype(np.int32)),
    "sum": (lambda x: ex.reduce_sum(x, -1), X, X.sum(-1)),
    "mean of all": (lambda x: ex.reduce_mean(x), X, X.mean()),
    "variance": (lambda x: ex.reduce_variance(x, [0, 1], keepdims=True), X, X.var((0, 1), keepdims=True)),
    "argmax": (lambda x: ex.argmax(x, -1), X, X.argmax(-1)),
    "top_k": (lambda x: ex.top_k(x, 2)[0], X, -np.sort(-X, -1)[..., :2]),
    "clip": (lambda x: ex.clip_by_value(x, -1, 1), X, X.clip(-1, 1)),
    "relu6": (lambda x: ex.nn.relu6(x * 9), X, (X * 9).clip(0, 6)),
    "softmax": (lambda x: ex.nn.softmax(x), X, np.exp(X) / np.exp(X).sum(-1, keepdims=True)),
    "zeros_like": (lambda x: ex.zeros_like(x) + ex.ones(ex.shape(x)), X, np.ones_like(X)),
    "range": (lambda x: ex.range(ex.shape(x)[1]), X, np.arange(3)),
    "einsum": (lambda x: ex.einsum("abc,abd->acd", x, x), X, np.einsum("abc,abd->acd", X, X)),
}
CASES["one_hot"] = (
    lambda x: ex.one_hot(x[1, 0], 8),
    N,
    (N[1, 0][:, None] == np.arange(8)).astype(np.float32),
)


@pytest.mark.parametrize("case", CASES)
def test_an_operator_gives_what_numpy_gives_eagerly_and_traced(case: str) -> None:
    function, x, expected = CASES[case]
    eager = function(ex.constant(x))
    static = ex.function(function)(x)
    dynamic = ex.function(function, input_signature=[ex.TensorSpec([None] * x.ndim, x.dtype)])
    if case in ("repeat", "unstack", "iterate"):
        dynamic = ex.function(function, input_signature=[ex.TensorSpec([*x.shape[:2], None], x.dtype)])
        if case == "iterate":
            dynamic = ex.function(function, input_signature=[ex.TensorSpec([x.shape[0], None, None], x.dtype)])
    for got in (eager, static, dynamic(x)):
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(np.asarray(got), expected, rtol=1e-5, atol=1e-6)
        assert got.shape == expected.shape


def test_python_values_become_float32_int32_and_bool() -> None:
    assert [ex.constant(v).dtype for v in (1, 1.5, True, [1, 2.0], [[1], [2]])] == [
        np.int32, np.float32, np.bool_, np.float32, np.int32,
    ]  # fmt: skip
    assert ex.constant(np.zeros(2)).dtype == np.float64
    assert ex.constant([1, 2], dtype="int8").dtype == np.int8
    assert ex.constant(7, shape=[2, 2]).numpy().tolist() == [[7, 7], [7, 7]]


@pytest.mark.parametrize(
    ("compute", "error", "message"),
    [
        (lambda: ex.constant([1]) + 1.5, AuthoringError, "1.5 cannot stand beside a tensor of dtype int32"),
        (lambda: ex.constant([1]) + ex.constant([1.0]), InferenceError, "Add: input 'B' must be int32"),
        (lambda: ex.constant([1.0]) @ ex.constant([[1.0, 2.0], [3.0, 4.0]]), InferenceError, "MatMul: "),
        (lambda: ex.constant([1, 2]) % 0, DataError, "Mod: divisor must not be 0"),
        (lambda: ex.constant("text"), AuthoringError, "expected numbers, an array or a tensor, got str"),
        (lambda: ex.constant([300], dtype="uint8"), AuthoringError, "uint8 does not represent"),
        (lambda: ex.constant([1, 2])[0, 0], AuthoringError, "2 indices for int32"),
        (lambda: bool(ex.constant([1, 2])), ValueError, "ambiguous"),
    ],
)
def test_what_is_refused_says_why(compute: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message.replace("[", r"\[")):
        compute()


def test_contents_never_change() -> None:
    source = np.ones(3, np.float32)
    x = ex.constant(source)
    source[:] = 7
    same = ex.identity(x)
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(same)[0] = 5
    x.numpy()[0] = 9
    assert x.numpy().tolist() == [1, 1, 1]


def test_random_follows_the_seed() -> None:
    draws = []
    for _ in range(2):
        ex.random.seed(5)
        draws.append([ex.random.normal([3]).numpy(), ex.random.uniform([2], 1, 9, "int32").numpy()])
    assert (draws[0][0] == draws[1][0]).all()
    assert (draws[0][1] == draws[1][1]).all()
    assert draws[0][0].dtype == np.float32


def test_a_variable_is_assigned_and_behaves_like_an_array() -> None:
    with ex.name_scope("dense_1"):
        v = ex.Variable([[1.0, 2.0, 3.0]] * 3, name="w")
    assert repr(v).startswith("<Variable 'dense_1/w:0' shape=(3, 3) dtype=float32, numpy=array([[1., 2., 3.],")
    assert (v.shape, v.dtype, v.trainable, v.name) == ((3, 3), np.float32, True, "dense_1/w:0")
    v.assign_add(np.ones((3, 3)))
    v.assign_sub(ex.ones([3, 3]) * 0.5)
    assert v[0, 1].numpy() == 2.5
    assert (v * 2 + v.T if hasattr(v, "T") else v * 2).shape == (3, 3)
    np.testing.assert_array_equal(np.asarray(v @ v), v.numpy() @ v.numpy())
    with pytest.raises(AuthoringError, match=r"variable 'dense_1/w:0': expected float32\[3, 3\], got float32\[3\]"):
        v.assign([1.0, 2.0, 3.0])
    with pytest.raises(AuthoringError, match="got int32"):
        v.assign(ex.zeros([3, 3], "int32"))
    assert ex.Variable(3).dtype == np.int32
    assert ex.Variable(lambda: ex.zeros([2]), dtype="float16").dtype == np.float16


def test_copies_are_operands_of_their_own() -> None:
    v = ex.Variable([1.0, 2.0], trainable=False, name="v")
    for copied in (copy.deepcopy([v, v]), pickle.loads(pickle.dumps([v, v]))):
        assert copied[0] is copied[1]
        copied[0].assign([3.0, 4.0])
        assert (v.numpy().tolist(), copied[0].name, copied[0].trainable) == ([1, 2], "v:0", False)
        assert list(variable_paths({"a": v, "b": copied[0]})) == ["a", "b"]
        assert len({v.birth, copied[0].birth}) == 2
    x = pickle.loads(pickle.dumps(ex.constant([1])))
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(x)[0] = 2


def test_operands_are_members_of_sets_by_identity() -> None:
    a, b = ex.Variable(1.0), ex.Variable(1.0)
    assert len({a, b, a}) == 2
    assert bool(a == b)


def test_symbolic_tensors_have_no_contents() -> None:
    for use in (lambda x: bool(x), lambda x: int(x), lambda x: np.asarray(x), lambda x: x.numpy(), lambda x: [0][x]):
        with pytest.raises(TracingError, match=r"ex\.cond, ex\.while_loop"):
            ex.function(use)(ex.constant(1))
    with pytest.raises(TracingError, match=r"ex\.shape"):
        ex.function(lambda x: len(x)).get_concrete_function(ex.TensorSpec([None, 3]))
    kept = []
    ex.function(lambda x: kept.append(x + 1))(ex.constant(1))
    with pytest.raises(AuthoringError, match="outside of the trace"):
        kept[0] + 1


def test_authoring_is_imported_when_it_is_used() -> None:
    code = "import sys, exporter; print([m for m in sys.modules if m.startswith('exporter.authoring')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
    assert {"Variable", "Module", "function", "nn", "float32"} <= set(dir(ex))
    for name in dir(ex):
        assert getattr(ex, name) is not None
