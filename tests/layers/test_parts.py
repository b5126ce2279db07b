"""Initialisers, activations, regularisers, constraints."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import exporter as ex
from edge_rt.errors import AuthoringError
from exporter import activations, constraints, initializers, regularizers
from exporter.layers.serialization import deserialize, serialize

X = np.random.default_rng(0).normal(size=(6, 8)).astype(np.float32) * 3

erf = np.vectorize(math.erf)
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "celu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "exponential": np.exp,
    "gelu": lambda x: x * 0.5 * (1 + erf(x / math.sqrt(2))),
    "glu": lambda x: x[:, :4] / (1 + np.exp(-x[:, 4:])),
    "hard_shrink": lambda x: np.where(np.abs(x) > 0.5, x, 0),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_silu": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "linear": lambda x: x,
    "log_sigmoid": lambda x: -np.log1p(np.exp(-x)),
    "log_softmax": lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True)),
    "mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "selu": lambda x: 1.0507009873554805 * np.where(x > 0, x, 1.6732632423543772 * np.expm1(x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "soft_shrink": lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.5, 0),
    "softmax": lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "sparse_plus": lambda x: np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x)),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "squareplus": lambda x: (x + np.sqrt(x * x + 4)) / 2,
    "tanh": np.tanh,
    "tanh_shrink": lambda x: x - np.tanh(x),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations(name: str) -> None:
    function = activations.get(name)
    np.testing.assert_allclose(function(X), ACTIVATIONS[name](X.astype(np.float64)), rtol=2e-5, atol=2e-6)
    assert serialize(function) == name


def test_every_activation_is_tested() -> None:
    others = {"get", "hard_swish", "swish", "sparsemax", "threshold"}
    assert set(activations.__all__) - others == set(ACTIVATIONS)
    assert activations.get(None) is activations.linear
    assert activations.get("swish") is activations.silu
    np.testing.assert_array_equal(activations.threshold(X, 1.0, -2.0), np.where(X > 1, X, -2))


def test_sparsemax_is_the_closest_point_of_the_simplex() -> None:
    x = np.array([[0.1, 0.3, -1.0, 0.2], [5.0, 1.0, 0.0, 0.0]], np.float32)
    np.testing.assert_allclose(activations.sparsemax(x), [[7 / 30, 13 / 30, 0, 1 / 3], [1, 0, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(activations.sparsemax(x.T, axis=0), np.asarray(activations.sparsemax(x)).T, atol=1e-6)


def test_activations_with_arguments() -> None:
    np.testing.assert_allclose(activations.gelu(X, approximate=True), ACTIVATIONS["gelu"](X), atol=2e-3)
    np.testing.assert_allclose(activations.softmax(X, axis=0), np.asarray(activations.softmax(X.T)).T, rtol=1e-5)
    with pytest.raises(AuthoringError, match="the activation 'none' is not known"):
        activations.get("none")
    with pytest.raises(AuthoringError, match="must be a name, a config or a function, got 3"):
        activations.get(3)


DRAWN = {
    "glorot_uniform": (math.sqrt(2 / (300 + 500)), math.sqrt(6 / (300 + 500))),
    "glorot_normal": (math.sqrt(2 / (300 + 500)), 2 / 0.87962566103423978 * math.sqrt(2 / (300 + 500))),
    "he_uniform": (math.sqrt(2 / 300), math.sqrt(6 / 300)),
    "he_normal": (math.sqrt(2 / 300), 2 / 0.87962566103423978 * math.sqrt(2 / 300)),
    "lecun_uniform": (math.sqrt(1 / 300), math.sqrt(3 / 300)),
    "lecun_normal": (math.sqrt(1 / 300), 2 / 0.87962566103423978 * math.sqrt(1 / 300)),
    "random_uniform": (0.1 / math.sqrt(12), 0.05),
    "random_normal": (0.05, math.inf),
    "truncated_normal": (0.05 * 0.87962566103423978, 0.1),
    "variance_scaling": (math.sqrt(1 / 300), 2 / 0.87962566103423978 * math.sqrt(1 / 300)),
}


@pytest.mark.parametrize("name", DRAWN)
def test_drawn_initial_values(name: str) -> None:
    ex.random.seed(0)
    initializer = initializers.get(name)
    values = np.asarray(initializer((300, 500)))
    spread, limit = DRAWN[name]
    assert values.dtype == np.float32
    assert abs(values.mean()) < 0.01 * spread * 3
    assert values.std() == pytest.approx(spread, rel=0.01)
    assert np.abs(values).max() <= limit * (1 + 1e-6)
    assert not np.array_equal(values, initializer((300, 500)))
    seeded = type(initializer)(seed=4)
    np.testing.assert_array_equal(seeded((3, 4)), seeded((3, 4)))
    again = deserialize(serialize(seeded))
    np.testing.assert_array_equal(again((3, 4)), seeded((3, 4)))


def test_fans_of_kernels() -> None:
    assert initializers.fans((3, 5, 4, 8)) == (60, 120)
    assert initializers.fans((7,)) == (7, 7)
    assert initializers.fans(()) == (1, 1)


def test_given_initial_values() -> None:
    np.testing.assert_array_equal(initializers.get("zeros")((2,)), [0, 0])
    np.testing.assert_array_equal(initializers.Ones()((2,), "int32"), np.ones(2, np.int32))
    np.testing.assert_array_equal(initializers.Constant(3)((2,)), [3, 3])
    np.testing.assert_array_equal(initializers.Constant([1, 2])((2,)), [1, 2])
    np.testing.assert_array_equal(initializers.Identity(2.0)((2, 3)), [[2, 0, 0], [0, 2, 0]])
    for shape in ((4, 6), (6, 4), (2, 3, 4)):
        q = np.asarray(initializers.Orthogonal(2.0, seed=1)(shape)).reshape(-1, shape[-1])
        square = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
        np.testing.assert_allclose(square, 4 * np.eye(len(square)), atol=1e-5)


def test_initializers_that_make_no_sense() -> None:
    for make in (
        lambda: initializers.get("nothing"),
        lambda: initializers.get(3),
        lambda: initializers.Identity()((2, 2, 2)),
        lambda: initializers.Orthogonal()((2,)),
        lambda: initializers.VarianceScaling(-1.0),
        lambda: initializers.VarianceScaling(mode="fan"),
        lambda: initializers.VarianceScaling(distribution="even"),
    ):
        with pytest.raises(AuthoringError):
            make()


def test_regularizers() -> None:
    w = np.array([[1.0, -2.0], [3.0, 0.0]], np.float32)
    assert float(regularizers.get("l1")(w)) == pytest.approx(0.06)
    assert float(regularizers.L2(0.5)(w)) == pytest.approx(7)
    assert float(regularizers.L1L2(1.0, 2.0)(w)) == pytest.approx(6 + 28)
    cosine = (1 * 3) / (math.sqrt(5) * 3)
    assert float(regularizers.OrthogonalRegularizer(0.1)(w)) == pytest.approx(0.1 * cosine, rel=1e-5)
    columns = abs(-2) / (2 * math.sqrt(10))
    assert float(regularizers.OrthogonalRegularizer(1.0, "columns")(w)) == pytest.approx(columns, rel=1e-5)
    assert regularizers.get(None) is None
    again = deserialize(serialize(regularizers.L1L2(1.0, 2.0)))
    assert (again.l1, again.l2) == (1, 2)
    with pytest.raises(AuthoringError, match="the regularizer 'l3' is not known"):
        regularizers.get("l3")


def test_constraints() -> None:
    w = np.array([[3.0, 0.3], [4.0, -0.4]], np.float32)
    np.testing.assert_allclose(constraints.MaxNorm(2)(w), [[1.2, 0.3], [1.6, -0.4]], rtol=1e-5)
    np.testing.assert_allclose(constraints.UnitNorm()(w), [[0.6, 0.6], [0.8, -0.8]], rtol=1e-5)
    np.testing.assert_allclose(constraints.MinMaxNorm(1.0, 2.0, rate=0.5)(w), [[2.1, 0.45], [2.8, -0.6]], rtol=1e-5)
    np.testing.assert_array_equal(constraints.get("non_neg")(w), np.maximum(w, 0))
    layer = ex.layers.Dense(2, kernel_constraint="non_neg")
    layer.build((None, 3))
    [(weight, constraint)] = layer.weight_constraints
    assert weight is layer.kernel
    assert isinstance(constraint, constraints.NonNeg)
