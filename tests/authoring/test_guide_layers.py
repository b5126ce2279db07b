"""The steps of TensorFlow's guide "Introduction to modules, layers, and models" from layers on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_rt
import exporter as ex
from edge_rt.errors import AuthoringError

L = ex.layers


class MyDense(L.Layer):
    """A layer whose sizes are given."""

    def __init__(self, in_features: int, out_features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.w = ex.Variable(ex.random.normal([in_features, out_features]), name="w")
        self.b = ex.Variable(ex.zeros([out_features]), name="b")

    def call(self, x: Any) -> Any:
        return ex.nn.relu(x @ self.w + self.b)


class FlexibleDense(L.Layer):
    """A layer that is built for its input."""

    def __init__(self, out_features: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.out_features = out_features

    def build(self, input_shape: Any) -> None:
        self.w = ex.Variable(ex.random.normal([input_shape[-1], self.out_features]), name="w")
        self.b = ex.Variable(ex.zeros([self.out_features]), name="b")

    def call(self, inputs: Any) -> Any:
        return inputs @ self.w + self.b


@ex.register_serializable("guide")
class MySequentialModel(ex.Model):
    """A model with layers, a variable and a module of its own."""

    def __init__(self, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.dense_1 = FlexibleDense(out_features=3)
        self.dense_2 = FlexibleDense(out_features=2)

    def call(self, x: Any) -> Any:
        return self.dense_2(self.dense_1(x))


@pytest.fixture(autouse=True)
def start() -> Iterator[None]:
    ex.random.seed(22)
    ex.clear_session()
    yield
    ex.clear_session()


def test_a_layer_with_given_sizes() -> None:
    simple = MyDense(name="simple", in_features=3, out_features=3)
    x = np.array([[2.0, 2.0, 2.0]], np.float32)
    np.testing.assert_allclose(simple(x), np.maximum(x @ simple.w.numpy(), 0), rtol=1e-6)
    assert [v.name for v in simple.variables] == ["w:0", "b:0"]


def test_a_layer_is_built_for_its_input() -> None:
    flexible = FlexibleDense(out_features=3)
    assert flexible.variables == ()
    two_rows = ex.constant([[2.0, 2.0, 2.0], [3.0, 3.0, 3.0]])
    first = flexible(two_rows)
    assert first.shape == (2, 3)
    assert [(v.name, v.shape) for v in flexible.variables] == [
        ("flexible_dense/w:0", (3, 3)), ("flexible_dense/b:0", (3,)),
    ]  # fmt: skip
    np.testing.assert_array_equal(flexible(two_rows), first)


def test_a_layer_refuses_what_it_was_not_built_for() -> None:
    flexible = FlexibleDense(out_features=3)
    flexible(ex.constant([[2.0, 2.0, 2.0], [3.0, 3.0, 3.0]]))
    message = r"layer 'flexible_dense' \(FlexibleDense\): expected inputs like \(2, 3\), .*, got \(1, 4\)"
    with pytest.raises(AuthoringError, match=message):
        flexible(ex.constant([[2.0, 2.0, 2.0, 2.0]]))


def test_a_model_has_the_variables_and_submodules_of_its_layers() -> None:
    model = MySequentialModel(name="the_model")
    assert model(ex.constant([[2.0, 2.0, 2.0]])).shape == (1, 2)
    assert [(v.name, v.shape) for v in model.variables] == [
        ("the_model/flexible_dense/w:0", (3, 3)), ("the_model/flexible_dense/b:0", (3,)),
        ("the_model/flexible_dense_1/w:0", (3, 2)), ("the_model/flexible_dense_1/b:0", (2,)),
    ]  # fmt: skip
    assert model.submodules == (model.dense_1, model.dense_2)
    assert model.layers == [model.dense_1, model.dense_2]


def functional_model() -> Any:
    inputs = ex.Input(shape=[3])
    x = L.Dense(3)(inputs)
    x = L.Dense(2)(x)
    return ex.Model(inputs=inputs, outputs=x)


def test_the_functional_api_with_its_summary() -> None:
    model = functional_model()
    text: list[str] = []
    model.summary(print_fn=text.append)
    assert text[0].startswith('Model: "functional"\n')
    for row in ("input_layer (InputLayer)", "dense (Dense)", "dense_1 (Dense)", "(None, 3)", "(None, 2)", "12", "8"):
        assert row in text[0]
    assert " Total params: 20 (80.00 B)" in text[0]
    assert model(ex.constant([[2.0, 2.0, 2.0]])).shape == (1, 2)
    assert model.input.shape == (None, 3)


def test_models_are_saved_and_loaded(tmp_path: Path) -> None:
    one = np.array([[2.0, 2.0, 2.0]], np.float32)
    for model in (MySequentialModel(name="the_model"), functional_model()):
        expected = model(one).numpy()
        model.save(tmp_path / "a_model.edge")
        again = ex.load_model(tmp_path / "a_model.edge", custom_objects={"FlexibleDense": FlexibleDense})
        assert isinstance(again, type(model))
        np.testing.assert_array_equal(again(one), expected)

        traced = ex.load(tmp_path / "a_model.edge")
        assert not isinstance(traced, type(model))
        result = traced(one)
        np.testing.assert_array_equal(result if not isinstance(result, dict) else result["dense_1"], expected)
        np.testing.assert_allclose(edge_rt.load(tmp_path / "a_model.edge")(one), expected, rtol=1e-5, atol=1e-6)
