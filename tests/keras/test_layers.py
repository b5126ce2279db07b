"""Each layer with Keras's weights gives Keras's outputs, shapes, counts and config."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import exporter as ex
from exporter.authoring.structure import flatten
from exporter.layers.serialization import serialize
from tests.keras.cases import CASES, Case, Inner

# Keras's variables do not take NumPy 2's way to ask for an array.
pytestmark = [pytest.mark.keras, pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")]


@pytest.fixture(scope="module")
def keras() -> Any:
    import keras

    return keras


def made(keras: Any, x: Any) -> Any:
    """Layers among arguments."""
    if isinstance(x, Inner):
        return getattr(keras.layers, x.layer)(**{k: made(keras, v) for k, v in x.arguments.items()})
    return [made(keras, item) for item in x] if isinstance(x, list) else x


def inputs_of(case: Case) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    if case.draws == "indices":
        return [rng.integers(0, 7, shape).astype(np.int32) for shape in case.shapes]
    drawn = [rng.normal(size=shape).astype(np.float32) for shape in case.shapes]
    if case.draws == "steps":
        for x in drawn:
            x[0, 2], x[1, 5:] = case.arguments.get("mask_value", 0), case.arguments.get("mask_value", 0)
    return drawn


def masks_of(case: Case) -> list[np.ndarray]:
    rng = np.random.default_rng(3)
    found = [rng.random(shape[:2]) < 0.6 for shape in case.shapes]
    for mask in found:
        # A gap at the beginning, at the end and within; in each row something is left.
        mask[0, :2], mask[0, 2], mask[1, -1], mask[1, 0] = False, True, False, True
    return found


def call(case: Case, layer: Any, arrays: list[np.ndarray]) -> Any:
    more: dict[str, Any] = dict(case.call)
    if "initial_state" in more:
        rng = np.random.default_rng(5)
        count = 2 if case.layer == "LSTM" else 1
        more["initial_state"] = [rng.normal(size=(2, more["initial_state"])).astype(np.float32) for _ in range(count)]
    if case.layer == "MultiHeadAttention":
        if case.mask:
            more["value_mask"] = masks_of(case)[1]
            more["attention_mask"] = np.random.default_rng(2).random((2, 5, 7)) < 0.8
        return layer(*arrays, **more)
    if case.mask:
        masks = masks_of(case)
        more["mask"] = masks[0] if len(masks) == 1 else masks
    return layer(arrays[0] if len(arrays) == 1 else arrays, **more)


OTHER = ("module", "shared_object_id", "build_config", "registered_name", "rms_scaling")
"""What configs of Keras have besides: RMSNormalization is a layer of its own, so rms_scaling is not ours."""


def plain(x: Any) -> Any:
    """A config without the names of modules, numbers of shared objects, and what is None: versions of Keras differ there."""
    if isinstance(x, dict):
        if x.get("class_name") == "DTypePolicy":
            return x["config"]["name"]
        if x.get("class_name") == "__numpy__" or x.get("class_name") == "__array__":
            return np.array(x["config"]["value"]).tolist()
        return {k: plain(v) for k, v in x.items() if k not in OTHER and v is not None}
    return [plain(v) for v in x] if isinstance(x, (list, tuple)) else x


def pair(keras: Any, case: Case) -> tuple[Any, Any, list[np.ndarray], Any]:
    """(their layer, ours with the same weights, inputs, their outputs)."""
    theirs = getattr(keras.layers, case.layer)(**{k: made(keras, v) for k, v in case.arguments.items()})
    arrays = inputs_of(case)
    call(case, theirs, arrays)
    rng = np.random.default_rng(11)
    drawn = ((w.name, rng.normal(size=w.shape) * 0.4) for w in theirs.weights)
    weights = [np.abs(w) + 0.2 if "variance" in name else w for name, w in drawn]
    if case.layer != "Normalization":
        theirs.set_weights([w.astype(np.float32) for w in weights])
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(theirs)))["config"]
    ours = getattr(ex.layers, case.layer).from_config(config)
    call(case, ours, arrays)
    ours.set_weights(theirs.get_weights())
    return theirs, ours, arrays, call(case, theirs, arrays)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_layer(keras: Any, case: Case) -> None:
    theirs, ours, arrays, expected = pair(keras, case)
    got = call(case, ours, arrays)
    expected, got = ([np.asarray(x) for x in flatten(y)] for y in (list_of(expected), list_of(got)))
    assert len(got) == len(expected)
    for i, (one, other) in enumerate(zip(got, expected)):
        # Keras's NumPy backend computes some functions in float64.
        case.accuracy.check(one, other.astype(one.dtype) if other.dtype == np.float64 else other, f"output {i}")

    assert [tuple(w.shape) for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    assert [w.name.removesuffix(":0").rpartition("/")[2] for w in ours.weights] == [w.name for w in theirs.weights]
    assert ours.count_params() == theirs.count_params()
    for name in ("trainable_weights", "non_trainable_weights"):
        assert [tuple(w.shape) for w in getattr(ours, name)] == [tuple(w.shape) for w in getattr(theirs, name)], name

    config = plain(json.loads(json.dumps(keras.saving.serialize_keras_object(theirs)))["config"])
    config.setdefault("trainable", True)
    assert plain(json.loads(json.dumps(serialize(ours.get_config())))) == config
    assert plain(serialize(type(ours).from_config(serialize(ours.get_config())).get_config())) == config


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_shape(keras: Any, case: Case) -> None:
    theirs, ours, _, _ = pair(keras, case)
    if case.draws == "indices" and len(case.shapes[0]) == 1:
        pytest.skip("Keras refuses shapes without an axis behind the batch")
    for batch in (2, None):
        shapes = [(batch, *shape[1:]) for shape in case.shapes]
        given = shapes if case.layer == "MultiHeadAttention" else [shapes[0] if len(shapes) == 1 else shapes]
        assert tuples(ours.compute_output_shape(*given)) == tuples(theirs.compute_output_shape(*given))


def list_of(x: Any) -> Any:
    return list(x) if isinstance(x, (list, tuple)) else [x]


def tuples(x: Any) -> Any:
    """A shape or several as nested tuples."""
    return tuple(map(tuples, x)) if isinstance(x, (list, tuple)) else x
