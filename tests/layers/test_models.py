"""Models: functional, sequential and subclassed; saved, loaded, copied, summarised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_rt
import exporter as ex
from edge_rt.errors import AuthoringError
from exporter.layers.serialization import deserialize, serialize_object
from tests.layers.towers import L, Residual, X, Y, assert_same, two_towers, two_towers_in_numpy


def test_a_graph_of_layers() -> None:
    model = two_towers()
    expected = two_towers_in_numpy(model, X, Y)
    assert_same(model([X, Y]), expected)
    assert_same(model({"b": Y, "a": X}), expected)
    assert_same(model.predict([X, Y], batch_size=2), expected)
    assert type(model).__name__ == "Functional"
    assert isinstance(model, ex.Model)
    assert (model.input_names, model.input_shape) == (["a", "b"], [(None, 8), (None, 8)])
    assert model.output_shape == {"score": (None, 2), "mean": (None,)}
    assert len(model.weights) == 4


def test_calls_with_other_inputs_are_refused() -> None:
    model = two_towers()
    with pytest.raises(AuthoringError, match=r"model 'towers': expected 2 inputs \(a, b\), got 1"):
        model(X)
    with pytest.raises(AuthoringError, match="model 'towers': expected the inputs a, b, missing b"):
        model({"a": X})
    with pytest.raises(AuthoringError, match=r"model 'towers': input 'b': expected shape \(None, 8\), got \(3, 7\)"):
        model([X, Y[:, :7]])


def test_inputs_get_the_dtype_and_rank_of_the_model() -> None:
    tokens = ex.Input((), dtype="int32", name="tokens")
    model = ex.Model(tokens, L.Embedding(5, 2)(tokens))
    assert model(np.array([1, 2], np.int64)).shape == (2, 2)
    assert model(np.array([[1], [2]])).shape == (2, 2)
    column = ex.Input((1,))
    assert ex.Model(column, L.Dense(3)(column))(np.ones(4)).shape == (4, 3)


def test_operators_keep_dtypes_and_give_several_outputs() -> None:
    x = ex.Input((4,), dtype="float64", name="x")
    first, second = ex.split(x * 2.0, 2, -1)
    values, places = ex.top_k(x, 2)
    model = ex.Model(x, {"sum": first + second, "values": values, "places": places, "whole": ex.cast(x, "int32")})
    given = np.array([[0.1, 0.7, 0.2, 0.4]])
    for made in (model, deserialize(serialize_object(model))):
        result = made(given)
        np.testing.assert_array_equal(result["sum"], [[0.1 * 2 + 0.2 * 2, 0.7 * 2 + 0.4 * 2]])
        assert (result["sum"].dtype, result["whole"].dtype) == (np.float64, np.int32)
        assert result["places"].numpy().tolist() == [[1, 3]]
    assert model.output_shape == {"sum": (None, 2), "values": (None, 2), "places": (None, 2), "whole": (None, 4)}


def test_a_graph_must_lead_from_inputs_to_outputs() -> None:
    a, b = ex.Input((2,), name="a"), ex.Input((2,), name="b")
    with pytest.raises(AuthoringError, match="the outputs depend on the input 'b', which is not among the inputs"):
        ex.Model(a, a + b)
    with pytest.raises(AuthoringError, match=r"inputs must be made by ex\.Input, 'dense' is what a layer gives"):
        ex.Model(L.Dense(2, name="dense")(a), a)
    with pytest.raises(AuthoringError, match="must have different names, 'twice' occurs twice"):
        ex.Model(a, L.Dense(2, name="twice")(L.Dense(2, name="twice")(a)))
    with pytest.raises(AuthoringError, match="outputs must be tensors of the functional API"):
        ex.Model(a, ex.ones([2]))
    with pytest.raises(AuthoringError, match="the variable 'v:0' beside a tensor of the functional API"):
        a + ex.Variable(1.0, name="v")
    with pytest.raises(AuthoringError, match="the tensor 'a' of the functional API has no contents"):
        bool(a)


def test_an_unused_input_stays_an_input() -> None:
    a, b = ex.Input((8,), name="a"), ex.Input((8,), name="b")
    model = ex.Model([a, b], a * 2.0)
    np.testing.assert_array_equal(model([X, Y]), X * 2)


def test_a_layer_inside_gives_features() -> None:
    model = two_towers()
    features = ex.Model(model.inputs, model.get_layer("head").input)
    assert features([X, Y]).shape == (3, 6)
    assert model.get_layer(index=0).name == "a"
    with pytest.raises(AuthoringError, match="model 'towers' has no layer 'x', it has a, tower, b"):
        model.get_layer("x")
    with pytest.raises(AuthoringError, match="layer 'tower' must have been called once"):
        _ = model.get_layer("tower").output


def test_models_in_models() -> None:
    inner = two_towers()
    a = ex.Input((8,), name="x")
    result = inner([a, a - 1.0])
    outer = ex.Model(a, L.Concatenate()([result["score"], ex.expand_dims(result["mean"], -1)]), name="outer")
    expected = two_towers_in_numpy(inner, X, X - 1)
    np.testing.assert_allclose(outer(X), np.concatenate([expected["score"], expected["mean"][:, None]], 1), rtol=1e-5)
    assert outer.count_params() == inner.count_params()
    inner.trainable = False
    assert outer.trainable_weights == []


def test_sequences_are_built_by_their_first_input() -> None:
    model = ex.Sequential([L.Dense(5, "tanh"), L.Dense(2)], name="s")
    assert not model.built
    assert model.weights == []
    first = model(X)
    assert (model.built, model.output_shape, [v.shape for v in model.weights]) == (
        True, (None, 2), [(8, 5), (5,), (5, 2), (2,)],
    )  # fmt: skip
    hidden = np.tanh(X @ model.layers[0].kernel.numpy())
    np.testing.assert_allclose(first, hidden @ model.layers[1].kernel.numpy(), rtol=1e-5)
    assert model(X[:1]).shape == (1, 2)
    with pytest.raises(AuthoringError, match="model 's': input 'input_layer': expected shape"):
        model(X[:, :5])


def test_layers_are_added_and_taken_away() -> None:
    model = ex.Sequential()
    model.add(ex.Input((8,)))
    model.add(L.Dense(5))
    model.add(L.Dense(2))
    assert model.output_shape == (None, 2)
    assert model.pop().units == 2
    assert model(X).shape == (3, 5)
    with pytest.raises(AuthoringError, match="an Input can only be the first layer"):
        model.add(ex.Input((8,)))
    with pytest.raises(AuthoringError, match="two layers are named 'dense'"):
        model.add(model.layers[0])
    with pytest.raises(AuthoringError, match="expected a layer, got int"):
        model.add(3)
    model.pop()
    with pytest.raises(AuthoringError, match="has no layers"):
        model.pop()


def test_a_sequence_of_tokens_takes_integers() -> None:
    model = ex.Sequential([L.Embedding(10, 4), L.Flatten(), L.Dense(1)])
    assert model(np.zeros((2, 3), np.int32)).shape == (2, 1)
    assert model.inputs[0].dtype == np.int32
    built = ex.Sequential([L.Embedding(10, 4)])
    built.build((None, 3))
    assert built.inputs[0].dtype == np.int32


def test_a_class_of_ones_own(tmp_path: Path) -> None:
    model = Residual(8, name="res")
    with pytest.raises(AuthoringError, match="model 'res' was never called"):
        model.save(tmp_path / "m.edge")
    model(X, training=True)
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "batch_normalization"]
    assert not np.allclose(model.norm.moving_mean, 0)
    expected = model(X).numpy()
    model.save(tmp_path / "m.edge")
    again = ex.load_model(tmp_path / "m.edge")
    assert (type(again), again.name, again.units) == (Residual, "res", 8)
    np.testing.assert_array_equal(again(X), expected)
    np.testing.assert_allclose(edge_rt.load(tmp_path / "m.edge")(X), expected, rtol=1e-4, atol=1e-5)


def test_a_class_of_ones_own_with_a_graph() -> None:
    class Named(ex.Model):
        def __init__(self) -> None:
            a = ex.Input((8,), name="a")
            super().__init__(a, L.Dense(2)(a), name="graph")

    model = Named()
    assert model(X).shape == (3, 2)
    assert (model.input_names, len(model.weights)) == (["a"], 2)


def test_the_table_of_a_graph() -> None:
    text: list[str] = []
    model = two_towers()
    model.get_layer("head").trainable = False
    model.summary(print_fn=text.append, show_trainable=True, line_length=90)
    lines = text[0].splitlines()
    assert lines[0] == 'Model: "towers"'
    assert {len(line) for line in lines[1:-3]} == {90}
    cells = [[c.strip() for c in line.strip("┃│").split("┃" if "┃" in line else "│")] for line in lines[2::2]]
    assert cells[0] == ["Layer (type)", "Output Shape", "Param #", "Connected to", "Trainable"]
    assert ["tower (Dense)", "(None, 6)", "54", "a[0][0], b[0][0]", "Y"] in cells
    assert ["head (Dense)", "(None, 2)", "14", "add[0][0]", "N"] in cells
    assert ["mul (Mul)", "(None, 6)", "0", "tower[0][0]", "-"] in cells
    assert lines[-3:] == [
        " Total params: 68 (272.00 B)", " Trainable params: 54 (216.00 B)", " Non-trainable params: 14 (56.00 B)",
    ]  # fmt: skip


def test_the_table_of_a_sequence(capsys: Any) -> None:
    model = ex.Sequential([ex.Input((8,)), L.Dense(500), L.Dense(2)])
    model.summary(line_length=60)
    assert capsys.readouterr().out == (
        'Model: "sequential"\n'
        "┏━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━┓\n"
        "┃ Layer (type)            ┃ Output Shape     ┃     Param # ┃\n"
        "┡━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━┩\n"
        "│ dense (Dense)           │ (None, 500)      │       4,500 │\n"
        "├─────────────────────────┼──────────────────┼─────────────┤\n"
        "│ dense_1 (Dense)         │ (None, 2)        │       1,002 │\n"
        "└─────────────────────────┴──────────────────┴─────────────┘\n"
        " Total params: 5,502 (21.49 KB)\n"
        " Trainable params: 5,502 (21.49 KB)\n"
        " Non-trainable params: 0 (0.00 B)\n"
    )
    unbuilt = ex.Sequential([L.Dense(1)], name="later")
    unbuilt.summary()
    assert "0 (unbuilt)" in capsys.readouterr().out


def test_masks_pass_through_models() -> None:
    tokens = ex.Input((3,), dtype="int32", name="tokens")
    model = ex.Model(tokens, L.Dense(2)(L.Embedding(5, 4, mask_zero=True)(tokens)))
    given = np.array([[1, 0, 2]], np.int32)
    np.testing.assert_array_equal(model(given).mask, given != 0)
    outer = ex.Model(tokens, L.Dropout(0.1)(model(tokens)))
    np.testing.assert_array_equal(outer(given).mask, given != 0)
    assert deserialize(serialize_object(outer))(given).shape == (1, 3, 2)
