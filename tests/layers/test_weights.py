"""Weights of layers: their order, freezing, assignments, losses and metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import exporter as ex
from edge_rt.errors import AuthoringError
from tests.layers.custom import Block, L, Scale


def test_weights_are_in_keras_order() -> None:
    block = Block()
    block(np.ones((1, 4)))
    assert [v.name.rpartition("block/")[2] for v in block.weights] == [
        "o:0", "f:0", "first/kernel:0", "first/bias:0", "second/kernel:0", "second/bias:0",
    ]  # fmt: skip
    assert block.variables == tuple(block.weights)
    assert [v.shape for v in block.trainable_weights] == [(1,), (4, 3), (3,), (3, 2), (2,)]
    assert [v.name for v in block.non_trainable_weights] == ["block/f:0"]


def test_trainable_freezes_all_below() -> None:
    block = Block()
    block(np.ones((1, 4)))
    block.trainable = False
    assert (block.trainable_weights, len(block.non_trainable_weights)) == ([], 6)
    assert not block.aa.trainable
    block.trainable = True
    block.aa.trainable = False
    assert [v.shape for v in block.trainable_variables] == [(1,), (4, 3), (3,)]
    assert L.Dense(1, trainable=False).trainable is False


def test_layers_that_know_each_other_count_once() -> None:
    class Linked(L.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.dense = L.Dense(2)
            self.other: Any = None

        def call(self, x: Any) -> Any:
            return self.dense(x)

    one, two = Linked(), Linked()
    one.other, two.other = two, [one, two]
    one(np.ones((1, 3)))
    two(np.ones((1, 3)))
    assert [len(one.weights), len(two.weights), len(one.losses)] == [4, 4, 0]
    one.trainable = False
    assert (two.trainable, two.trainable_weights) == (False, [])


def test_set_weights_changes_all_or_none() -> None:
    layer = L.Dense(2)
    layer.build((None, 3))
    with pytest.raises(AuthoringError, match="layer 'dense': expected 2 weights, got 1"):
        layer.set_weights([np.ones((3, 2))])
    before = layer.get_weights()
    with pytest.raises(AuthoringError, match=r"weight 'dense/bias:0': expected shape \(2,\), got \(3,\)"):
        layer.set_weights([np.ones((3, 2)), np.ones(3)])
    np.testing.assert_array_equal(layer.get_weights()[0], before[0])
    layer.set_weights([np.ones((3, 2)), np.ones(2)])
    np.testing.assert_array_equal(layer(np.ones((1, 3))), [[4, 4]])


def test_losses_of_the_last_call_and_of_weights() -> None:
    class Lossy(L.Layer):
        def call(self, x: Any) -> Any:
            self.add_loss(ex.reduce_sum(x))
            return x

    lossy = Lossy(activity_regularizer=lambda y: ex.reduce_sum(y * y))
    x = np.full((2, 2), 3.0, np.float32)
    lossy(x)
    lossy(x)
    assert [float(v) for v in lossy.losses] == [12.0, 18.0]
    layer = Scale()
    layer(x)
    assert [float(v) for v in layer.losses] == pytest.approx([0.01 * 8])
    layer.trainable = False
    assert layer.losses == []
    outer = ex.Sequential([lossy, Scale()])
    outer(x)
    assert [float(v) for v in outer.losses] == pytest.approx([12.0, 18.0, 0.08])


def test_metrics_are_no_weights() -> None:
    class Measured(L.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.mean = ex.metrics.Mean(name="m")
            self.dense = L.Dense(1)

        def call(self, x: Any) -> Any:
            self.mean.update_state(x)
            return self.dense(x)

    layer = Measured()
    layer(np.array([[1.0, 3.0]]))
    layer(np.array([[5.0, 7.0]]))
    assert layer.metrics == [layer.mean]
    assert float(layer.mean.result()) == 4.0
    assert len(layer.weights) == 2
    assert len(layer.variables) == 4
    layer.mean.reset_state()
    assert float(layer.mean.result()) == 0
    total = ex.metrics.Sum()
    assert float(total([1.0, 2.0], sample_weight=[1.0, 10.0])) == 21


def test_a_weight_of_unknown_size_is_refused() -> None:
    with pytest.raises(AuthoringError, match=r"layer 'dense': the shape of weight 'kernel' must be known, got \(None, 2\)"):
        L.Dense(2).build((None, None))
