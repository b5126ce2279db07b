"""What layers do with `training=True`, and with data to adapt to; masks where several inputs meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_rt
import exporter as ex
from edge_rt.errors import AuthoringError, DataError

L = ex.layers
X = np.random.default_rng(0).normal(2, 3, size=(50, 4, 6)).astype(np.float32)


@pytest.fixture(autouse=True)
def start() -> None:
    ex.random.seed(1)


def test_batch_statistics_and_moving_ones() -> None:
    layer = L.BatchNormalization(momentum=0.9)
    result = layer(X, training=True).numpy()
    mean, variance = X.mean((0, 1)), X.var((0, 1))
    np.testing.assert_allclose(result, (X - mean) / np.sqrt(variance + 1e-3), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * mean, rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * variance, rtol=1e-4)
    before = layer.moving_mean.numpy()
    layer(X)
    layer.trainable = False
    frozen = layer(X, training=True)
    np.testing.assert_array_equal(layer.moving_mean, before)
    np.testing.assert_array_equal(frozen, layer(X))
    assert [v.name.rpartition("/")[2] for v in layer.non_trainable_weights][-2:] == ["moving_mean:0", "moving_variance:0"]


def test_batch_statistics_leave_out_what_is_masked() -> None:
    layer = L.BatchNormalization(momentum=0.0)
    mask = np.random.default_rng(1).random((50, 4)) > 0.5
    layer(X, training=True, mask=ex.constant(mask))
    np.testing.assert_allclose(layer.moving_mean, X[mask].mean(0), rtol=1e-4)
    np.testing.assert_allclose(layer.moving_variance, X[mask].var(0), rtol=1e-4)


def test_a_traced_training_call_moves_the_statistics() -> None:
    layer = L.BatchNormalization(momentum=0.5)
    layer(X)

    @ex.function
    def step(x: Any) -> Any:
        return layer(x, training=True)

    step(X)
    np.testing.assert_allclose(layer.moving_mean, 0.5 * X.mean((0, 1)), rtol=1e-4)


def test_dropout_scales_what_it_keeps() -> None:
    ones = np.ones((200, 50), np.float32)
    result = L.Dropout(0.25)(ones, training=True).numpy()
    assert set(np.unique(result)) == {np.float32(0), np.float32(1 / 0.75)}
    assert (result == 0).mean() == pytest.approx(0.25, abs=0.02)
    assert (L.Dropout(1.0)(ones, training=True).numpy() == 0).all()
    assert (L.Dropout(0.0)(ones, training=True).numpy() == 1).all()
    rows = L.Dropout(0.5, noise_shape=(None, 1))(ones, training=True).numpy()
    assert (rows == rows[:, :1]).all()


def test_seeds_of_layers() -> None:
    first, second = (L.Dropout(0.5, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first(X, training=True), second(X, training=True))
    assert not np.array_equal(first(X, training=True), L.Dropout(0.5, seed=4)(X, training=True))


@pytest.mark.parametrize(
    ("layer", "shape", "axes"),
    [
        (L.SpatialDropout1D, (20, 5, 7), (1,)),
        (L.SpatialDropout2D, (20, 5, 4, 7), (1, 2)),
        (L.SpatialDropout3D, (20, 5, 4, 3, 7), (1, 2, 3)),
    ],
)
def test_whole_channels_are_dropped(layer: Any, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    result = layer(0.5)(np.ones(shape, np.float32), training=True).numpy()
    spread = result.max(axes) - result.min(axes)
    assert (spread == 0).all()
    assert 0.3 < (result == 0).mean() < 0.7


def test_gaussian_noise_and_dropout() -> None:
    ones = np.ones((200, 100), np.float32)
    noise = L.GaussianNoise(0.5)(ones, training=True).numpy()
    assert (noise.mean(), noise.std()) == pytest.approx((1, 0.5), abs=0.02)
    dropout = L.GaussianDropout(0.2)(2 * ones, training=True).numpy()
    assert (dropout.mean(), dropout.std()) == pytest.approx((2, 1), abs=0.03)


def test_alpha_dropout_keeps_mean_and_variance() -> None:
    x = np.random.default_rng(0).normal(size=(400, 100)).astype(np.float32)
    result = L.AlphaDropout(0.2)(x, training=True).numpy()
    assert (result.mean(), result.std()) == pytest.approx((0, 1), abs=0.03)


def test_noise_in_a_graph_is_drawn_in_each_call(tmp_path: Path) -> None:
    layer = L.Dropout(0.5)

    class Sampled(ex.Module):
        @ex.function(input_signature=[ex.TensorSpec([None, 6])])
        def __call__(self, x: Any) -> Any:
            return layer(x, training=True)

    model = Sampled()
    ones = np.ones((4, 6), np.float32)
    assert not np.array_equal(model(ones), model(ones))
    ex.export(model, tmp_path / "m.edge")
    device = edge_rt.load(tmp_path / "m.edge")
    assert not np.array_equal(device(ones), device(ones))


def test_normalization_adapts_to_arrays_and_batches() -> None:
    whole, parts = L.Normalization(), L.Normalization()
    whole.adapt(X)
    parts.adapt([X[:20], X[20:27], X[27:]])
    for layer in (whole, parts):
        np.testing.assert_allclose(layer.adapted_mean, X.mean((0, 1)), rtol=1e-5)
        np.testing.assert_allclose(layer.adapted_variance, X.var((0, 1)), rtol=1e-4)
    result = whole(X).numpy()
    np.testing.assert_allclose((result.mean((0, 1)), result.std((0, 1))), (np.zeros(6), np.ones(6)), atol=1e-4)
    back = L.Normalization(mean=X.mean((0, 1)), variance=X.var((0, 1)), invert=True)
    np.testing.assert_allclose(back(result), X, rtol=1e-4, atol=1e-4)
    first = L.Normalization()
    first.adapt(iter([X[:20], X[20:]]), steps=1)
    np.testing.assert_allclose(first.adapted_mean, X[:20].mean((0, 1)), rtol=1e-5)
    with pytest.raises(AuthoringError, match="expected data of shape"):
        whole.adapt(X[:, :, :5])
    with pytest.raises(AuthoringError, match="there are no data to adapt to"):
        whole.adapt([])
    with pytest.raises(AuthoringError, match="it does not adapt"):
        back.adapt(X)


def test_embeddings_out_of_range() -> None:
    layer = L.Embedding(3, 2, weights=[np.arange(6).reshape(3, 2)])
    np.testing.assert_array_equal(layer(np.array([2, 0])), [[4, 5], [0, 1]])
    np.testing.assert_array_equal(layer(np.array([1.0])), [[2, 3]])
    with pytest.raises(DataError, match="Gather"):
        layer(np.array([3]))


def masked(values: Any, mask: Any) -> Any:
    tensor = ex.constant(np.array(values, np.float32))
    tensor.mask = None if mask is None else ex.constant(np.array(mask))
    return tensor


def test_merging_of_masked_inputs() -> None:
    a = masked([[[1.0], [2.0], [3.0]]], [[True, False, False]])
    b = masked([[[4.0], [1.0], [5.0]]], [[True, True, False]])
    assert L.Add()([a, b]).mask.numpy().tolist() == [[True, True, False]]
    multiplied = L.Multiply()([a, b])
    assert multiplied.numpy().ravel().tolist() == [4, 1, 0]
    assert multiplied.mask.numpy().tolist() == [[True, True, False]]
    largest = L.Maximum()([a, b])
    assert largest.numpy().ravel()[:2].tolist() == [4, 1]
    assert largest.mask.numpy().tolist() == [[True, True, False]]
    assert L.Minimum()([a, b]).numpy().ravel()[:2].tolist() == [1, 1]
    joined = L.Concatenate()([a, masked([[[7.0]] * 3], None)])
    assert joined.mask.numpy().tolist() == [[True, True, True]]
    assert L.Concatenate(1)([a, b]).mask.numpy().tolist() == [[True, False, False, True, True, False]]
    assert not hasattr(L.Dot(-1)([a, b]), "mask")


def test_softmax_leaves_out_what_is_masked() -> None:
    x = np.zeros((1, 4), np.float32)
    result = L.Softmax()(x, mask=np.array([[True, False, True, False]]))
    np.testing.assert_allclose(result, [[0.5, 0, 0.5, 0]], atol=1e-6)


def test_activity_regularization_is_per_example() -> None:
    layer = L.ActivityRegularization(l1=0.1, l2=0.01)
    x = np.full((4, 2), 2.0, np.float32)
    layer(x)
    assert [float(v) for v in layer.losses] == pytest.approx([(0.1 * 16 + 0.01 * 32) / 4])
