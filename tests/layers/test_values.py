"""Each layer against NumPy; its config, output shape and exported model against itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import edge_rt
import exporter as ex
from edge_rt.errors import AuthoringError
from exporter.authoring.structure import flatten
from exporter.layers.serialization import deserialize, serialize_object

L = ex.layers
Array = Any


class Case(NamedTuple):
    layer: Callable[[], Any]
    shapes: tuple[tuple[int, ...], ...]
    expected: Callable[..., Array]
    """Of the weights by name, and the inputs."""
    dtype: str = "float32"


def norm(x: Array, axes: Any, epsilon: float = 1e-3) -> Array:
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def softmax(x: Array, axes: Any) -> Array:
    e = np.exp(x - x.max(axes, keepdims=True))
    return e / e.sum(axes, keepdims=True)


def grouped(x: Array, groups: int) -> Array:
    parted = x.reshape(*x.shape[:-1], groups, -1)
    return norm(parted, (1, 2, 4)).reshape(x.shape)


CASES = {
    "dense": Case(lambda: L.Dense(3, "relu"), ((4, 5),), lambda w, x: np.maximum(x @ w["kernel"] + w["bias"], 0)),
    "dense_rank_3": Case(lambda: L.Dense(3, use_bias=False), ((2, 4, 5),), lambda w, x: x @ w["kernel"]),
    "activation": Case(lambda: L.Activation("tanh"), ((4, 5),), lambda w, x: np.tanh(x)),
    "relu": Case(lambda: L.ReLU(), ((4, 5),), lambda w, x: np.maximum(x, 0)),
    "relu_all": Case(
        lambda: L.ReLU(1.0, 0.1, 0.3), ((4, 50),),
        lambda w, x: np.where(x >= 1, 1, np.where(x > 0.3, x, 0.1 * (x - 0.3))),
    ),
    "leaky_relu": Case(lambda: L.LeakyReLU(), ((4, 5),), lambda w, x: np.where(x > 0, x, 0.3 * x)),
    "elu": Case(lambda: L.ELU(0.5), ((4, 5),), lambda w, x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    "prelu": Case(lambda: L.PReLU(), ((4, 3, 5),), lambda w, x: np.where(x > 0, x, x * w["alpha"])),
    "prelu_shared": Case(lambda: L.PReLU(shared_axes=[1]), ((4, 3, 5),), lambda w, x: np.where(x > 0, x, x * w["alpha"])),
    "softmax": Case(lambda: L.Softmax(), ((4, 5),), lambda w, x: softmax(x, -1)),
    "softmax_of_axes": Case(lambda: L.Softmax([1, 3]), ((4, 3, 2, 5),), lambda w, x: softmax(x, (1, 3))),
    "flatten": Case(lambda: L.Flatten(), ((4, 3, 2),), lambda w, x: x.reshape(4, 6)),
    "flatten_channels_first": Case(
        lambda: L.Flatten("channels_first"), ((4, 3, 2, 5),), lambda w, x: x.transpose(0, 2, 3, 1).reshape(4, -1)
    ),
    "flatten_rank_1": Case(lambda: L.Flatten(), ((4,),), lambda w, x: x.reshape(4, 1)),
    "reshape": Case(lambda: L.Reshape((2, -1)), ((4, 3, 2),), lambda w, x: x.reshape(4, 2, 3)),
    "permute": Case(lambda: L.Permute((3, 1, 2)), ((4, 3, 2, 5),), lambda w, x: x.transpose(0, 3, 1, 2)),
    "repeat_vector": Case(lambda: L.RepeatVector(3), ((4, 5),), lambda w, x: np.repeat(x[:, None], 3, 1)),
    "identity": Case(lambda: L.Identity(), ((4, 5),), lambda w, x: x),
    "concatenate": Case(lambda: L.Concatenate(1), ((4, 3, 2), (4, 5, 2)), lambda w, a, b: np.concatenate([a, b], 1)),
    "add": Case(lambda: L.Add(), ((4, 3), (4, 3), (4, 3)), lambda w, a, b, c: a + b + c),
    "add_ranks": Case(lambda: L.Add(), ((4, 3), (4, 2, 3)), lambda w, a, b: a[:, None] + b),
    "subtract": Case(lambda: L.Subtract(), ((4, 3), (4, 3)), lambda w, a, b: a - b),
    "multiply": Case(lambda: L.Multiply(), ((4, 3), (4, 1)), lambda w, a, b: a * b),
    "average": Case(lambda: L.Average(), ((4, 3), (4, 3), (4, 3)), lambda w, a, b, c: (a + b + c) / 3),
    "maximum": Case(lambda: L.Maximum(), ((4, 3), (4, 3)), lambda w, a, b: np.maximum(a, b)),
    "minimum": Case(lambda: L.Minimum(), ((4, 3), (4, 3)), lambda w, a, b: np.minimum(a, b)),
    "dot": Case(lambda: L.Dot(1), ((4, 3), (4, 3)), lambda w, a, b: (a * b).sum(1, keepdims=True)),
    "dot_matrices": Case(lambda: L.Dot((2, 1)), ((4, 3, 5), (4, 5, 2)), lambda w, a, b: a @ b),
    "dot_rows": Case(lambda: L.Dot(-1), ((4, 3, 5), (4, 2, 5)), lambda w, a, b: a @ b.transpose(0, 2, 1)),
    "dot_columns": Case(lambda: L.Dot((1, 2)), ((4, 5, 3), (4, 2, 5)), lambda w, a, b: np.einsum("nki,njk->nij", a, b)),
    "dot_ranks": Case(lambda: L.Dot((3, 1)), ((4, 3, 2, 5), (4, 5)), lambda w, a, b: np.einsum("nijk,nk->nij", a, b)),
    "cosine": Case(
        lambda: L.Dot(1, normalize=True), ((4, 3), (4, 3)),
        lambda w, a, b: ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))[:, None],
    ),
    "batch_normalization": Case(
        lambda: L.BatchNormalization(), ((4, 3, 5),),
        lambda w, x: (x - w["moving_mean"]) / np.sqrt(w["moving_variance"] + 1e-3) * w["gamma"] + w["beta"],
    ),
    "batch_normalization_axis": Case(
        lambda: L.BatchNormalization(axis=1, center=False, scale=False), ((4, 3, 5),),
        lambda w, x: (x - w["moving_mean"][:, None]) / np.sqrt(w["moving_variance"][:, None] + 1e-3),
    ),
    "layer_normalization": Case(
        lambda: L.LayerNormalization(), ((4, 3, 5),), lambda w, x: norm(x, -1) * w["gamma"] + w["beta"]
    ),
    "layer_normalization_axes": Case(
        lambda: L.LayerNormalization([1, 2], scale=False), ((4, 3, 5),), lambda w, x: norm(x, (1, 2)) + w["beta"]
    ),
    "layer_normalization_inner": Case(
        lambda: L.LayerNormalization(1), ((4, 3, 5),),
        lambda w, x: norm(x, 1) * w["gamma"][:, None] + w["beta"][:, None],
    ),
    "rms_normalization": Case(
        lambda: L.RMSNormalization(), ((4, 3, 5),),
        lambda w, x: x / np.sqrt(np.square(x).mean(-1, keepdims=True) + 1e-6) * w["scale"],
    ),
    "rms_normalization_inner": Case(
        lambda: L.RMSNormalization(1, 0.1), ((4, 3, 5),),
        lambda w, x: x / np.sqrt(np.square(x).mean(1, keepdims=True) + 0.1) * w["scale"][:, None],
    ),
    "group_normalization": Case(
        lambda: L.GroupNormalization(3), ((4, 3, 2, 6),), lambda w, x: grouped(x, 3) * w["gamma"] + w["beta"]
    ),
    "group_normalization_of_channels": Case(
        lambda: L.GroupNormalization(-1, axis=1), ((4, 3, 5),),
        lambda w, x: norm(x, 2) * w["gamma"][:, None] + w["beta"][:, None],
    ),
    "unit_normalization": Case(
        lambda: L.UnitNormalization([1, 2]), ((4, 3, 5),), lambda w, x: x / np.sqrt(np.square(x).sum((1, 2), keepdims=True))
    ),
    "normalization": Case(
        lambda: L.Normalization(), ((4, 3),), lambda w, x: (x - w["mean"]) / np.sqrt(w["variance"])
    ),
    "normalization_given": Case(
        lambda: L.Normalization(mean=[1.0, 2.0, 3.0], variance=[4.0, 4.0, 1.0]), ((4, 3),),
        lambda w, x: (x - [1, 2, 3]) / [2, 2, 1],
    ),
    "normalization_undone": Case(
        lambda: L.Normalization(axis=(1, 2), mean=1.0, variance=4.0, invert=True), ((4, 3, 2),), lambda w, x: x * 2 + 1
    ),
    "rescaling": Case(lambda: L.Rescaling(1 / 127.5, -1), ((4, 3),), lambda w, x: x / 127.5 - 1, "uint8"),
    "rescaling_channels": Case(lambda: L.Rescaling([1.0, 2.0, 3.0]), ((4, 3),), lambda w, x: x * [1, 2, 3]),
    "embedding": Case(lambda: L.Embedding(7, 3), ((4, 5),), lambda w, x: w["embeddings"][x], "int32"),
    "dropout": Case(lambda: L.Dropout(0.5), ((4, 5),), lambda w, x: x),
    "spatial_dropout_1d": Case(lambda: L.SpatialDropout1D(0.5), ((4, 5, 2),), lambda w, x: x),
    "spatial_dropout_2d": Case(lambda: L.SpatialDropout2D(0.5), ((4, 5, 2, 2),), lambda w, x: x),
    "spatial_dropout_3d": Case(lambda: L.SpatialDropout3D(0.5), ((4, 5, 2, 2, 2),), lambda w, x: x),
    "gaussian_noise": Case(lambda: L.GaussianNoise(0.5), ((4, 5),), lambda w, x: x),
    "gaussian_dropout": Case(lambda: L.GaussianDropout(0.5), ((4, 5),), lambda w, x: x),
    "alpha_dropout": Case(lambda: L.AlphaDropout(0.5), ((4, 5),), lambda w, x: x),
    "activity_regularization": Case(lambda: L.ActivityRegularization(0.1), ((4, 5),), lambda w, x: x),
}


def arrays_of(case: Case) -> list[Array]:
    rng = np.random.default_rng(0)
    if case.dtype == "float32":
        return [rng.normal(size=shape).astype(np.float32) for shape in case.shapes]
    return [rng.integers(0, 7, shape).astype(case.dtype) for shape in case.shapes]


def randomise(layer: Any) -> dict[str, Array]:
    """Draws all weights, positive ones; by name."""
    rng = np.random.default_rng(1)
    layer.set_weights([(np.abs(rng.normal(size=w.shape)) + 0.1).astype(w.dtype) for w in layer.get_weights()])
    return {v.name.rpartition("/")[2].removesuffix(":0"): v.numpy() for v in layer.weights}


@pytest.mark.parametrize("name", CASES)
def test_values_shapes_and_configs(name: str) -> None:
    case = CASES[name]
    layer, arrays = case.layer(), arrays_of(case)
    given = arrays if len(arrays) > 1 else arrays[0]
    layer(given)
    weights = randomise(layer)
    result = layer(given).numpy()
    np.testing.assert_allclose(result, case.expected(weights, *arrays), rtol=2e-5, atol=2e-6)
    assert result.dtype == np.float32
    shapes = [a.shape for a in arrays]
    assert tuple(layer.compute_output_shape(shapes if len(shapes) > 1 else shapes[0])) == result.shape
    again = deserialize(serialize_object(layer))
    assert again.get_config() == layer.get_config()
    again(given)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(given), result)


@pytest.mark.parametrize("name", CASES)
def test_exported_models_compute_the_same(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    arrays = arrays_of(case)
    inputs = [ex.Input(a.shape[1:], dtype=a.dtype, name=f"x{i}") for i, a in enumerate(arrays)]
    layer = case.layer()
    model = ex.Model(inputs, layer(inputs if len(inputs) > 1 else inputs[0]))
    randomise(layer)
    report = ex.export(model, tmp_path / "m.edge")
    assert report.numpy_steps == []
    [got] = edge_rt.load(tmp_path / "m.edge").run({f"x{i}": a for i, a in enumerate(arrays)}).values()
    [expected] = flatten(model(arrays))
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert model.output_shape[1:] == got.shape[1:]


def test_merging_as_functions() -> None:
    a, b = (np.random.default_rng(i).normal(size=(2, 3)).astype(np.float32) for i in range(2))
    expected = {
        "add": a + b, "average": (a + b) / 2, "concatenate": np.concatenate([a, b], -1), "maximum": np.maximum(a, b),
        "dot": (a * b).sum(-1, keepdims=True), "minimum": np.minimum(a, b), "multiply": a * b, "subtract": a - b,
    }  # fmt: skip
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(L, name)([a, b]), value, rtol=1e-5)


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: L.Dense(0), "Dense: units must be a positive number"),
    (lambda: L.Reshape((-1, -1)), "Reshape: target_shape must be"),
    (lambda: L.Reshape((5,))(np.ones((2, 3))), r"\(3,\) cannot be reshaped to \(5,\)"),
    (lambda: L.Permute((1, 3)), "Permute: dims must be"),
    (lambda: L.RepeatVector(0), "RepeatVector: n must be"),
    (lambda: L.ReLU(max_value=-1.0), "ReLU: max_value must be at least 0"),
    (lambda: L.LeakyReLU(-1), "LeakyReLU: negative_slope"),
    (lambda: L.Add()(np.ones((2, 3))), "must be called on a list of at least 1 tensors"),
    (lambda: L.Subtract()([np.ones(2)] * 3), "must be called on a list of 2 tensors"),
    (lambda: L.Add()([np.ones((2, 3)), np.ones((2, 4))]), "must have shapes that broadcast"),
    (lambda: L.Add()([np.ones((2, 3)), np.ones((1, 3))]), "must have shapes that broadcast"),
    (lambda: L.Concatenate()([np.ones((2, 3)), np.ones((3, 3))]), "must agree but on axis -1"),
    (lambda: L.Concatenate(2)([np.ones((2, 3))] * 2), "one rank with an axis 2"),
    (lambda: L.Dot(0)([np.ones((2, 3))] * 2), "must be axes of"),
    (lambda: L.Dot(1)([np.ones((2, 3)), np.ones((2, 4))]), "sizes along axes 1 must be equal"),
    (lambda: L.Dot((1, 2, 3)), "Dot: axes must be"),
    (lambda: L.GroupNormalization(4)(np.ones((2, 6))), "must be a multiple of 4 groups"),
    (lambda: L.GroupNormalization(0), "groups must be a positive number or -1"),
    (lambda: L.BatchNormalization(renorm=True), "renorm and synchronized"),
    (lambda: L.Embedding(0, 3), "Embedding: input_dim must be"),
    (lambda: L.Dropout(1.5), "Dropout: rate must be within 0 and 1"),
    (lambda: L.GaussianNoise(2), "GaussianNoise: stddev must be"),
    (lambda: L.Normalization(mean=1.0), "give both mean and variance"),
    (lambda: L.Normalization().build((None, None)), "must be axes of a known size"),
    (lambda: L.Flatten("channels_middle"), "data_format must be channels_last or channels_first"),
    (lambda: L.Activation("nonsense"), "the activation 'nonsense' is not known"),
    (lambda: L.Lambda(3), "Lambda: function must be a function"),
]


@pytest.mark.parametrize("index", range(len(REFUSED)))
def test_what_makes_no_sense_is_refused(index: int) -> None:
    make, message = REFUSED[index]
    with pytest.raises(AuthoringError, match=message):
        make()
