"""Random graphs of layers: rebuilt from their configs, saved and loaded, they are equal."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import exporter as ex
from exporter.authoring.structure import flatten
from exporter.layers.serialization import deserialize, serialize_object

L = ex.layers
WIDTH = 4

ONE = {
    "dense": lambda draw: L.Dense(WIDTH, draw(st.sampled_from(["relu", "tanh", None])), use_bias=draw(st.booleans())),
    "norm": lambda draw: L.LayerNormalization(epsilon=draw(st.sampled_from([1e-3, 1e-2]))),
    "batch": lambda draw: L.BatchNormalization(scale=draw(st.booleans())),
    "dropout": lambda draw: L.Dropout(0.5),
    "leaky": lambda draw: L.LeakyReLU(draw(st.sampled_from([0.1, 0.2]))),
    "softmax": lambda draw: L.Softmax(),
    "row": lambda draw: ex.Sequential([L.Dense(3, "relu"), L.Dense(WIDTH)]),
}
SEVERAL = [L.Add, L.Multiply, L.Average, L.Maximum, L.Concatenate]
OPERATORS: list[Any] = [
    lambda a, b: a + b,
    lambda a, b: a * 2.0 - b,
    lambda a, b: ex.nn.relu(a),
    lambda a, b: ex.concat([a, b], -1)[:, 1 : WIDTH + 1],
    lambda a, b: ex.where(a > 0, a, b),
    lambda a, b: ex.reduce_sum(a, -1, keepdims=True) + b,
    lambda a, b: ex.reshape(ex.reshape(a, (None, 2, -1)), (None, WIDTH)),
]


@st.composite
def models(draw: Any, depth: int = 1) -> Any:
    """A model of rows of WIDTH numbers; layers are shared, nested and called with lists."""
    inputs = [ex.Input((WIDTH,), name=f"in{i}") for i in range(draw(st.integers(1, 2)))]
    tensors = list(inputs)
    layers: list[Any] = []

    def pick() -> Any:
        return draw(st.sampled_from(tensors))

    for _ in range(draw(st.integers(1, 7))):
        kind = draw(st.sampled_from(["new", "shared", "several", "operator", "nested"]))
        if kind == "new" or (kind == "shared" and not layers):
            layers.append(ONE[draw(st.sampled_from(sorted(ONE)))](draw))
            tensors.append(layers[-1](pick()))
        elif kind == "shared":
            tensors.append(draw(st.sampled_from(layers))(pick()))
        elif kind == "several":
            made = draw(st.sampled_from(SEVERAL))()([pick(), pick(), pick()])
            tensors.append(made if made.shape[-1] == WIDTH else L.Dense(WIDTH)(made))
        elif kind == "operator":
            tensors.append(draw(st.sampled_from(OPERATORS))(pick(), pick()))
        elif depth:
            inner = draw(models(depth - 1))
            result = inner([pick() for _ in inner.inputs])
            tensors += flatten(result)
    chosen = [pick() for _ in range(draw(st.integers(1, 2)))]
    form = draw(st.sampled_from(["list", "dict", "one"]))
    outputs = {"list": chosen, "dict": {f"out{i}": x for i, x in enumerate(chosen)}, "one": chosen[0]}[form]
    return ex.Model(inputs, outputs)


def randomise(model: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    model.set_weights([np.abs(rng.normal(size=w.shape)).astype(w.dtype) for w in model.get_weights()])


def outputs(model: Any, arrays: list[Any]) -> list[Any]:
    return [np.asarray(y) for y in flatten(model(arrays))]


@settings(max_examples=60, deadline=None)
@given(models(), st.integers(0, 1000))
def test_a_model_rebuilt_from_its_config_is_equal(model: Any, seed: int) -> None:
    randomise(model, seed)
    described = json.loads(json.dumps(serialize_object(model)))
    again = deserialize(described)
    assert json.loads(json.dumps(serialize_object(again))) == described
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert [v.shape for v in again.weights] == [v.shape for v in model.weights]
    assert (again.output_shape, again.input_names) == (model.output_shape, model.input_names)
    again.set_weights(model.get_weights())
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=(3, WIDTH)).astype(np.float32) for _ in model.inputs]
    for got, expected in zip(outputs(again, arrays), outputs(model, arrays)):
        np.testing.assert_array_equal(got, expected)


@settings(max_examples=20, deadline=None)
@given(models(), st.integers(0, 1000))
def test_a_model_saved_and_loaded_is_equal(model: Any, seed: int) -> None:
    randomise(model, seed)
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(size=(3, WIDTH)).astype(np.float32) for _ in model.inputs]
    with tempfile.TemporaryDirectory() as folder:
        model.save(Path(folder) / "m.edge")
        again = ex.load_model(Path(folder) / "m.edge")
        traced = ex.load(Path(folder) / "m.edge")
    expected = model(arrays)
    named = expected if isinstance(expected, dict) else dict(zip(model.output_names, flatten(expected)))
    by_trace = traced(arrays)
    assert set(by_trace) == set(named)
    for name, value in named.items():
        np.testing.assert_allclose(by_trace[name], value, rtol=1e-6)
    for got, value in zip(outputs(again, arrays), outputs(model, arrays), strict=True):
        np.testing.assert_array_equal(got, value)
