"""Models saved, loaded, checkpointed, copied and exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_rt
import exporter as ex
from edge_rt.errors import AuthoringError
from exporter.layers.serialization import deserialize, serialize_object
from tests.layers.towers import L, Residual, X, Y, assert_same, two_towers


def test_save_and_load_of_a_graph(tmp_path: Path) -> None:
    model = two_towers()
    expected = model([X, Y])
    model.save(tmp_path / "m.edge")
    again = ex.load_model(tmp_path / "m.edge")
    assert again.get_config() == model.get_config()
    assert_same(again([X, Y]), expected)
    device = edge_rt.load(tmp_path / "m.edge")
    assert_same(device.run({"a": X, "b": Y}), expected)
    traced = ex.load(tmp_path / "m.edge")
    assert_same(traced([X, Y]), expected)
    assert sorted(device.variables) == ["layers/1/bias", "layers/1/kernel", "layers/6/bias", "layers/6/kernel"]


def test_checkpoints_of_models(tmp_path: Path) -> None:
    model, other = two_towers(), two_towers()
    ex.Checkpoint(model=model).write(tmp_path / "c")
    ex.Checkpoint(model=other).restore(tmp_path / "c").assert_consumed()
    assert_same(other([X, Y]), model([X, Y]))


def test_a_layer_that_occurs_in_two_models_stays_one(tmp_path: Path) -> None:
    shared = L.Dense(8, name="shared")
    a, b = ex.Input((8,), name="a"), ex.Input((8,), name="b")
    inner = ex.Model(b, shared(b), name="inner")
    model = ex.Model(a, inner(shared(a)))
    assert len(model.weights) == 2
    model.save(tmp_path / "m.edge")
    again = ex.load_model(tmp_path / "m.edge")
    assert len(again.weights) == 2
    np.testing.assert_array_equal(again(X), model(X))
    assert len(ex.clone_model(model).weights) == 2


def test_files_that_hold_no_model(tmp_path: Path) -> None:
    class Unknown(L.Layer):
        def call(self, x: Any) -> Any:
            return x * 1.5

    model = ex.Sequential([ex.Input((8,)), Unknown()])
    model.save(tmp_path / "m.edge")
    with pytest.raises(AuthoringError, match=r"the class 'Unknown' is not known: decorate it with ex\.register"):
        ex.load_model(tmp_path / "m.edge")
    np.testing.assert_array_equal(ex.load_model(tmp_path / "m.edge", {"Unknown": Unknown})(X), X * 1.5)
    ex.export(model, tmp_path / "plain.edge")
    with pytest.raises(AuthoringError, match="holds no model"):
        ex.load_model(tmp_path / "plain.edge")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format=2),
        lambda d: d.pop("model"),
        lambda d: d["model"].update(class_name="Missing", registered_name=None),
        lambda d: d["model"]["config"].pop("layers"),
        lambda d: d["model"]["config"]["layers"][-1]["inbound_nodes"][0]["args"].clear(),
        lambda d: d["model"]["config"]["output_layers"].update(score=["nothing", 0, 0]),
        lambda d: d["model"]["config"]["layers"][1]["config"].update(units=-1),
        lambda d: d["model"]["config"]["layers"][1]["config"].update(activation=3),
        lambda d: d["model"]["config"]["layers"][1]["config"].update(kernel_initializer="exec"),
        lambda d: d["model"]["config"]["layers"][1]["config"].update(units=7),
        lambda d: d["model"]["config"]["layers"][1]["config"].update(surprise=1),
        lambda d: d["model"]["config"]["layers"][1].update(class_name="__import__"),
        lambda d: d["model"]["config"]["layers"][1].update(module="os", class_name="system"),
    ],
)
def test_configs_that_make_no_sense(change: Any, tmp_path: Path) -> None:
    model = two_towers()
    described = {"format": 1, "model": serialize_object(model), "inputs": {}}
    change(described)
    ex.save(model, tmp_path / "m.edge", metadata={"model": json.dumps(described)})
    with pytest.raises(AuthoringError):
        ex.load_model(tmp_path / "m.edge")


def test_clones_have_new_weights() -> None:
    model = two_towers()
    clone = ex.clone_model(model)
    assert clone.get_config() == model.get_config()
    assert not np.allclose(clone.get_layer("tower").kernel, model.get_layer("tower").kernel)

    def wider(layer: Any) -> Any:
        config = layer.get_config()
        return type(layer).from_config({**config, "units": 9} if layer.name == "tower" else config)

    changed = ex.clone_model(model, wider)
    assert changed.get_layer("tower").units == 9
    changed.get_layer("tower").set_weights([np.ones((8, 9)), np.ones(9)])
    assert changed([X, Y])["score"].shape == (3, 2)
    row = ex.Sequential([ex.Input((8,)), L.Dense(2)])
    assert ex.clone_model(row, wider)(X).shape == (3, 2)
    own = Residual(8)
    own(X)
    with pytest.raises(AuthoringError, match="clone_function: the layers of a Residual are called by its own code"):
        ex.clone_model(own, wider)


def test_everything_exports_as_it_computes(tmp_path: Path) -> None:
    model = two_towers()
    report = ex.export(model, tmp_path / "m.edge", verify=True)
    assert report.numpy_steps == []
    assert [t.name for t in report.inputs] == ["a", "b"]
    assert_same(edge_rt.load(tmp_path / "m.edge").run({"a": X, "b": Y}), model([X, Y]))
    last = L.Dense(2, "softmax", name="probability")
    row = ex.Sequential([ex.Input((8,)), L.Dense(4, "relu"), L.BatchNormalization(), last])
    report = ex.export(row, tmp_path / "s.edge", verify=True)
    assert report.ops_after == {"edge.Gemm": 2, "Softmax": 1}
    assert [t.name for t in report.outputs] == ["probability"]


def test_images_stay_channels_last_on_the_device(tmp_path: Path) -> None:
    model = ex.Sequential([
        ex.Input((16, 16, 3)), L.Conv2D(8, 3, padding="same", use_bias=False), L.BatchNormalization(), L.ReLU(),
        L.DepthwiseConv2D(3, padding="same"), L.BatchNormalization(), L.ReLU(6.0), L.Conv2D(16, 1, activation="relu"),
        L.MaxPooling2D(), L.Dropout(0.2), L.GlobalAveragePooling2D(), L.Dense(10, activation="softmax"),
    ])  # fmt: skip
    report = ex.export(model, tmp_path / "m.edge", verify=True)
    assert report.numpy_steps == []
    assert report.ops_after == {
        "edge.Conv": 1, "edge.DepthwiseConv": 1, "edge.Gemm": 2, "edge.MaxPool": 1, "ReduceMean": 1, "Softmax": 1,
    }  # fmt: skip


def test_a_config_that_keras_wrote() -> None:
    def entry(name: str, kind: str, config: dict[str, Any], *calls: Any) -> dict[str, Any]:
        described = {"module": "keras.layers", "class_name": kind, "config": {"name": name, **config}}
        nodes = [{"args": list(args), "kwargs": {}} for args in calls]
        return {**described, "registered_name": None, "name": name, "inbound_nodes": nodes}

    def tensor(name: str) -> dict[str, Any]:
        return {"class_name": "__keras_tensor__", "config": {"shape": [None, 8], "keras_history": [name, 0, 0]}}

    start = {"batch_shape": [None, 8], "dtype": "float32", "sparse": False, "ragged": False, "optional": False}
    dense = {"units": 8, "activation": "relu", "quantization_config": None, "bias_initializer": {
        "module": "keras.initializers", "class_name": "Ones", "config": {}, "registered_name": None,
    }}  # fmt: skip
    layers = [
        entry("a", "InputLayer", start),
        entry("d", "Dense", dense, [tensor("a")]),
        entry("s", "Add", {}, [[tensor("a"), tensor("d")]]),
    ]
    config = {"name": "k", "trainable": True, "layers": layers, "input_layers": ["a", 0, 0], "output_layers": ["s", 0, 0]}
    described = {"module": "keras.src.models.functional", "class_name": "Functional", "config": config}
    model = deserialize({**described, "registered_name": "Functional"})
    model.get_layer("d").kernel.assign(np.eye(8, dtype=np.float32))
    np.testing.assert_allclose(model(X), X + np.maximum(X + 1, 0), rtol=1e-6)
    layers[2]["class_name"], layers[2]["module"] = "Add", "keras.src.ops.numpy"
    with pytest.raises(AuthoringError, match="the class 'Add' is not known"):
        deserialize({**described, "registered_name": "Functional"})
