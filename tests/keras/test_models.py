"""Whole models: configs of Keras's are read, and give the same outputs, summaries and counts."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import exporter as ex
from edge_rt.ops._spec import Accuracy

# Keras's variables do not take NumPy 2's way to ask for an array.
pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]
ACCURACY = Accuracy(rtol=1e-4, atol=1e-5, scale=0.05)


@pytest.fixture(scope="module")
def keras() -> Any:
    import keras

    return keras


def images(keras: Any) -> Any:
    """A residual network with normalisations, one of them frozen."""
    layers = keras.layers
    start = keras.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(start)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    y = layers.SeparableConv2D(8, 3, strides=2, padding="same")(x)
    y = layers.BatchNormalization(trainable=False)(y)
    z = layers.Conv2D(8, 1, strides=2)(x)
    x = layers.MaxPooling2D(2, padding="same")(layers.ReLU()(layers.Add()([y, z])))
    scores = layers.Dense(5, activation="softmax", name="scores")(layers.GlobalAveragePooling2D()(x))
    return keras.Model(start, scores), [np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype(np.float32)]


def words(keras: Any) -> Any:
    """Masks from an embedding, through recurrent layers and attention."""
    layers = keras.layers
    start = keras.Input((9,), dtype="int32", name="words")
    x = layers.Embedding(20, 8, mask_zero=True)(start)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x)
    y = layers.MultiHeadAttention(2, 3)(x, x)
    x = layers.LayerNormalization()(layers.Add()([x, y]))
    x = layers.GRU(6)(x)
    rng = np.random.default_rng(1)
    given = rng.integers(1, 20, (3, 9)).astype(np.int32)
    given[0, 5:], given[1, :2], given[2, 4] = 0, 0, 0
    return keras.Model(start, layers.Dense(3)(x)), [given]


def shared(keras: Any) -> Any:
    """Two inputs through the same layers, two outputs."""
    layers = keras.layers
    one, other = keras.Input((6,), name="one"), keras.Input((6,), name="other")
    body = keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="gelu"), layers.Dropout(0.5), layers.Dense(4)])
    a, b = body(one), body(other)
    joined = layers.Concatenate()([a, b, layers.Multiply()([a, b])])
    outputs = [layers.Dense(2, name="left")(joined), layers.Dense(3, name="right")(layers.Subtract()([a, b]))]
    rng = np.random.default_rng(2)
    return keras.Model([one, other], outputs), [rng.normal(size=(4, 6)).astype(np.float32) for _ in range(2)]


@pytest.mark.parametrize("make", [images, words, shared])
def test_the_same_program(keras: Any, make: Any) -> None:
    theirs, inputs = make(keras)
    ours, _ = make(ex)
    compare(ours, theirs, inputs)


@pytest.mark.parametrize("make", [images, shared])
def test_a_model_by_its_config(keras: Any, make: Any) -> None:
    """Masks of Keras's Embedding are operations in its configs, which are not read."""
    theirs, inputs = make(keras)
    ours = ex.Functional.from_config(json.loads(json.dumps(theirs.get_config())))
    compare(ours, theirs, inputs)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]


def compare(ours: Any, theirs: Any, inputs: list[np.ndarray]) -> None:
    """Outputs with the same weights, and what the summaries say."""
    rng = np.random.default_rng(4)
    theirs.set_weights([np.abs(rng.normal(size=w.shape)).astype(np.float32) * 0.5 + 0.1 for w in theirs.get_weights()])
    ours.set_weights(theirs.get_weights())
    given = inputs if len(inputs) > 1 else inputs[0]
    expected, got = theirs(given), ours(given)
    pairs = list(zip(got, expected)) if isinstance(expected, (list, tuple)) else [(got, expected)]
    for one, other in pairs:
        ACCURACY.check(np.asarray(one), np.asarray(other).astype(np.float32))
    assert counts(ours) == counts(theirs)
    assert rows(ours) == rows(theirs)


def rows(model: Any) -> list[tuple[str, int]]:
    """(class, parameters) of the layers in the summary, but for operations."""
    named = [(type(x).__name__, x.count_params()) for x in model.layers]
    return [row for row in named if row[0] in ex.layers.__all__]


def counts(model: Any) -> list[int]:
    """What a summary adds up: all parameters, those that train, those that do not."""
    weights = (model.weights, model.trainable_weights, model.non_trainable_weights)
    return [sum(int(np.prod(w.shape)) for w in some) for some in weights]
