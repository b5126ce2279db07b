"""Arguments of a wrong kind: an error of edge-rt that says what was expected, on first calls and on later ones."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

import edge_rt
from edge_rt.errors import InputError, ModelError
from tests.test_model import X, counter, dense, loaded


def feeds() -> dict[str, Any]:
    return {"x": X, "shift": np.float32(1)}


@pytest.mark.parametrize("wrong", [None, X, [X], (X, 1.0), 3, "x"])
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("of", ["model", "session"])
def test_inputs_without_names(wrong: Any, is_first: bool, of: str) -> None:
    model = loaded(dense())
    user = model if of == "model" else model.session()
    if not is_first:
        user.run({"x": X, "shift": np.ones((), np.float32)})
    with pytest.raises(InputError, match=rf"inputs must be arrays by name, .*got {type(wrong).__name__}; model\(array"):
        user.run(wrong)


def test_archives_of_arrays_are_inputs() -> None:
    file = io.BytesIO()
    np.savez(file, x=X, shift=np.float32(1))
    file.seek(0)
    with np.load(file) as arrays:
        np.testing.assert_array_equal(loaded(dense()).run(arrays)["z"], X + 1)


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ([np.empty((2, 4), np.float32)], "out must be arrays by name"),
        ({"z": [1.0]}, "out 'z': expected an array, got list"),
        ({"z": np.broadcast_to(np.float32(0), (2, 4))}, "out 'z': the array is read-only"),
    ],
)
def test_outputs_that_cannot_be_written(out: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        loaded(dense()).run(feeds(), out=out)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (3, "shapes must be sizes by name"),
        ({"x": "ab"}, "sizes of 'x' must be numbers that are not negative, got 'ab'"),
        ({"x": None}, "sizes of 'x' must be numbers"),
        ({"x": (2.0, 4)}, "sizes of 'x' must be numbers"),
        ({"x": (-2, 4)}, "sizes of 'x' must be numbers that are not negative"),
        ({"x": (2, "n")}, "sizes of 'x' must be numbers"),
        ({"y": (2, 4)}, "shapes: no input is named 'y', there are x, shift"),
    ],
)
def test_shapes_that_are_none(shapes: Any, message: str) -> None:
    model = loaded(dense())
    for use in (lambda: model.bind(shapes=shapes), lambda: model.plan(shapes), lambda: model.memory_for(shapes)):
        with pytest.raises(InputError, match=message):
            use()


def test_shapes_may_be_lists_and_arrays() -> None:
    model = loaded(dense())
    for shape in ([2, 4], np.array([2, 4]), (np.int64(2), 4)):
        assert model.bind(shapes={"x": shape}).inputs["x"].shape == (2, 4)


def test_views_of_a_bound_call_are_filled_not_replaced() -> None:
    call = loaded(dense()).bind(shapes={"x": (2, 4)})
    with pytest.raises(TypeError, match="does not support item assignment"):
        call.inputs["x"] = X  # type: ignore[index]
    call.inputs["x"][...] = X
    call.inputs["shift"][...] = 1
    call.run()
    np.testing.assert_array_equal(call.outputs["z"], X + 1)


@pytest.mark.parametrize("state", [None, [1], {"total": 3.0}])
def test_states_that_are_none(state: Any) -> None:
    with pytest.raises(InputError, match=r"state.*expected .*array"):
        loaded(counter()).set_state(state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 2**40}, "threads must be an integer from 1 to 1024 or None, got 1099511627776"),
        ({"threads": -1}, "threads must be"),
        ({"threads": "2"}, "threads must be"),
        ({"threads": 1.5}, "threads must be"),
        ({"max_memory": "1GB"}, "max_memory must be a number of bytes or None, got '1GB'"),
        ({"max_memory": -5}, "max_memory must be"),
        ({"verify": None}, "verify must be 'header' or 'all', got None"),
    ],
)
def test_options_that_are_none(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        loaded(dense(), **options)


@pytest.mark.parametrize("source", [None, 3, io.BytesIO(b"x"), ["m.edge"]])
def test_sources_that_are_no_models(source: Any) -> None:
    with pytest.raises(ModelError, match=f"a model must be a path or bytes, got {type(source).__name__}"):
        edge_rt.load(source)


def test_masks_that_hide_something_are_refused() -> None:
    model, x = loaded(dense()), np.ma.masked_array(X)
    np.testing.assert_array_equal(model.run({**feeds(), "x": x})["z"], X + 1)
    x[0, 1] = np.ma.masked
    with pytest.raises(InputError, match="input 'x': the model would see what the mask hides"):
        model.run({**feeds(), "x": x})
