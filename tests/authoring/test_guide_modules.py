"""The steps of TensorFlow's guide "Introduction to modules, layers, and models", as far as it is about modules."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_rt
import exporter as ex
from edge_rt.errors import SignatureError

ONE = [[2.0, 2.0, 2.0]]
TWO = [[[2.0, 2.0, 2.0], [2.0, 2.0, 2.0]]]


class SimpleModule(ex.Module):
    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)
        self.a_variable = ex.Variable(5.0, name="train_me")
        self.non_trainable_variable = ex.Variable(5.0, trainable=False, name="do_not_train_me")

    def __call__(self, x: Any) -> Any:
        return self.a_variable * x + self.non_trainable_variable


class Dense(ex.Module):
    def __init__(self, in_features: int, out_features: int, name: str | None = None) -> None:
        super().__init__(name=name)
        self.w = ex.Variable(ex.random.normal([in_features, out_features]), name="w")
        self.b = ex.Variable(ex.zeros([out_features]), name="b")

    def __call__(self, x: Any) -> Any:
        return ex.nn.relu(ex.matmul(x, self.w) + self.b)


class SequentialModule(ex.Module):
    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)
        self.dense_1 = Dense(in_features=3, out_features=3)
        self.dense_2 = Dense(in_features=3, out_features=2)

    def __call__(self, x: Any) -> Any:
        return self.dense_2(self.dense_1(x))


class FlexibleDense(ex.Module):
    def __init__(self, out_features: int, name: str | None = None) -> None:
        super().__init__(name=name)
        self.is_built = False
        self.out_features = out_features

    def __call__(self, x: Any) -> Any:
        if not self.is_built:
            self.w = ex.Variable(ex.random.normal([x.shape[-1], self.out_features]), name="w")
            self.b = ex.Variable(ex.zeros([self.out_features]), name="b")
            self.is_built = True
        return ex.nn.relu(ex.matmul(x, self.w) + self.b)


class FlexibleSequential(ex.Module):
    def __init__(self, name: str | None = None) -> None:
        super().__init__(name=name)
        self.dense_1 = FlexibleDense(out_features=3)
        self.dense_2 = FlexibleDense(out_features=2)

    @ex.function
    def __call__(self, x: Any) -> Any:
        return self.dense_2(self.dense_1(x))


@pytest.fixture(autouse=True)
def seed() -> None:
    ex.random.seed(7)


def test_a_simple_module() -> None:
    module = SimpleModule(name="simple")
    assert module(ex.constant(5.0)).numpy() == 30
    assert [v.name for v in module.trainable_variables] == ["train_me:0"]
    assert [repr(v) for v in module.variables] == [
        "<Variable 'train_me:0' shape=() dtype=float32, numpy=array(5., dtype=float32)>",
        "<Variable 'do_not_train_me:0' shape=() dtype=float32, numpy=array(5., dtype=float32)>",
    ]


def test_dense_and_sequential_modules() -> None:
    model = SequentialModule(name="the_model")
    result = model(ex.constant(ONE))
    w1, w2 = (m.w.numpy() for m in (model.dense_1, model.dense_2))
    np.testing.assert_allclose(result, np.maximum(np.maximum(np.array(ONE) @ w1, 0) @ w2, 0), rtol=1e-5)
    assert model.submodules == (model.dense_1, model.dense_2)
    assert [(v.name, v.shape) for v in model.variables] == [("b:0", (3,)), ("w:0", (3, 3)), ("b:0", (2,)), ("w:0", (3, 2))]


def test_a_flexible_dense_layer_has_variables_after_its_first_call() -> None:
    model = FlexibleSequential(name="the_model")
    assert model.variables == ()
    assert model(ex.constant(ONE)).shape == (1, 2)
    assert [v.shape for v in model.variables] == [(3,), (3, 3), (2,), (3, 2)]


def test_weights_are_written_listed_and_restored(tmp_path: Path) -> None:
    model = SequentialModule(name="the_model")
    expected = model(ex.constant(ONE)).numpy()
    path = tmp_path / "my_checkpoint"
    ex.Checkpoint(model=model).write(path)
    assert sorted(os.listdir(tmp_path)) == ["my_checkpoint.data-00000-of-00001", "my_checkpoint.index"]
    assert ex.list_variables(path) == [
        ("model/dense_1/b", (3,)), ("model/dense_1/w", (3, 3)), ("model/dense_2/b", (2,)), ("model/dense_2/w", (3, 2)),
    ]  # fmt: skip
    new_model = SequentialModule()
    ex.Checkpoint(model=new_model).restore(path).assert_consumed()
    np.testing.assert_array_equal(new_model(ex.constant(ONE)), expected)


def test_functions_with_two_signatures_and_their_graph() -> None:
    model = FlexibleSequential(name="the_model")
    one = model(ONE)
    two = model(TWO)
    assert (one.shape, two.shape) == ((1, 2), (1, 2, 2))
    np.testing.assert_allclose(two[0, 0], one[0], rtol=1e-6)
    assert [c.graph.inputs[0].type.static_shape for c in model.__call__.concrete_functions] == [(1, 3), (1, 2, 3)]
    model(ex.constant(ONE))
    assert model.__call__.tracing_count == 2
    text = str(model.__call__.concrete_functions[0].graph)
    assert text.splitlines()[0] == "graph __call__(%x: float32[1, 3])"
    steps = [line.split(" = ")[1].split("(")[0] for line in text.splitlines() if " = " in line]
    assert steps == ["MatMul", "Add", "Relu"] * 2


def test_a_saved_model_runs_without_the_class(tmp_path: Path) -> None:
    model = FlexibleSequential(name="the_model")
    one, two = model(ONE), model(TWO)
    ex.save(model, tmp_path / "the_saved_model.edge")
    new_model = edge_rt.load(tmp_path / "the_saved_model.edge")
    assert isinstance(new_model, FlexibleSequential) is False
    np.testing.assert_allclose(new_model(np.array(ONE, np.float32)), one, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(new_model(np.array(TWO, np.float32)), two, rtol=1e-5, atol=1e-6)
    with pytest.raises(SignatureError, match=r"(?s)x: float32\[1, 3\].*x: float32\[1, 2, 3\]"):
        new_model(np.zeros((2, 3), np.float32))
    assert list(new_model.variables) == ["dense_1/w", "dense_1/b", "dense_2/w", "dense_2/b"]

    trained_on = ex.load(tmp_path / "the_saved_model.edge")
    assert isinstance(trained_on, FlexibleSequential) is False
    np.testing.assert_array_equal(trained_on(ONE), one)
    np.testing.assert_array_equal(trained_on(TWO), two)
    assert [v.shape for v in trained_on.trainable_variables] == [(3,), (3, 3), (2,), (3, 2)]
