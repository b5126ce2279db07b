"""Layer: what it does around `build` and `call`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import edge_rt
import exporter as ex
from edge_rt.errors import AuthoringError
from tests.layers.custom import Block, L, Scale


def test_a_layer_is_built_once_for_the_shape_of_its_first_input() -> None:
    layer = Scale()
    assert not layer.built
    with pytest.raises(AuthoringError, match="layer 'scale' has no parameters to count before it is built"):
        layer.count_params()
    np.testing.assert_array_equal(layer(np.ones((2, 3), np.float32)), np.full((2, 3), 2.0))
    layer(np.ones((5, 3)))
    assert (layer.builds, layer.seen, layer.built, layer.count_params()) == (1, (2, 3), True, 4)
    assert [v.name for v in layer.weights] == ["scale/w:0", "scale/steps:0"]
    assert layer.get_build_config() == {"input_shape": (2, 3)}


def test_build_by_hand() -> None:
    layer = Scale()
    layer.build([None, 4])
    assert layer.built
    assert layer.seen == (None, 4)
    copy = Scale()
    copy.build_from_config(layer.get_build_config())
    assert copy.w.shape == (4,)


def test_an_input_that_does_not_fit_names_layer_expected_and_got() -> None:
    layer = Scale(name="mine")
    layer(np.ones((2, 3), np.float32))
    message = r"layer 'mine' \(Scale\): expected inputs like \(2, 3\), for which it was built, got \(2, 4\): Mul: .*"
    with pytest.raises(AuthoringError, match=message):
        layer(np.ones((2, 4), np.float32))
    dense = L.Dense(2)
    dense(np.ones((1, 3)))
    with pytest.raises(AuthoringError, match=r"layer 'dense': expected an input with axis -1 of size 3, got shape \(1, 4\)"):
        dense(np.ones((1, 4)))
    with pytest.raises(AuthoringError, match=r"layer 'dense': expected an input with min_ndim=2, got shape \(4,\)"):
        dense(np.ones(4))
    with pytest.raises(AuthoringError, match="layer 'dense': expected 1 inputs, got 2"):
        dense([np.ones((1, 3)), np.ones((1, 3))])
    with pytest.raises(TypeError, match="layer 'dense': missing a required argument: 'inputs'"):
        dense()


def test_default_names_count_and_classes_are_in_snake_case() -> None:
    assert [L.Dense(1).name for _ in range(3)] == ["dense", "dense_1", "dense_2"]
    assert [L.ReLU().name, L.PReLU().name, L.LayerNormalization().name] == ["re_lu", "p_re_lu", "layer_normalization"]
    assert L.Dense(1, name="x").name == "x"
    assert L.Dense(1).name == "dense_3"


def test_training_reaches_layers_inside() -> None:
    block = Block()
    x = np.ones((1, 4), np.float32)

    class Outer(L.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.inner = block

        def call(self, x: Any) -> Any:
            return self.inner(x)

    outer = Outer()
    outer(x)
    outer(x, training=True)
    outer(x, training=False)
    block(x, training=True)
    assert block.modes == [None, True, False, True]
    seen = []

    class Told(L.Layer):
        def call(self, x: Any, training: Any = "default") -> Any:
            seen.append(training)
            return x

    Told()(x)
    Told()(x, training=True)
    assert seen == ["default", True]


def test_dtypes_of_weights_and_inputs() -> None:
    layer = L.Dense(2)
    assert layer(np.ones((1, 3), np.float64)).dtype == np.float32
    assert (layer.dtype, layer.compute_dtype, layer.kernel.dtype) == ("float32", "float32", np.float32)
    half = L.Dense(2, dtype="float16")
    assert half(np.ones((1, 3), np.float32)).dtype == np.float16
    assert half.kernel.dtype == np.float16
    assert L.Identity()(np.ones(3, np.int64)).dtype == np.int64
    assert L.Dense(2)([[1.0, 2]]).shape == (1, 2)
    with pytest.raises(AuthoringError, match="dtype must name an element type, got 'mixed_float16'"):
        L.Dense(2, dtype="mixed_float16")


def test_masks_travel_with_tensors() -> None:
    tokens = np.array([[3, 0, 1], [0, 0, 2]], np.int32)
    embedded = L.Embedding(5, 4, mask_zero=True)(tokens)
    np.testing.assert_array_equal(embedded.mask, tokens != 0)
    passed = L.Dropout(0.5)(L.Dense(2)(embedded))
    np.testing.assert_array_equal(passed.mask, tokens != 0)

    class Masked(L.Layer):
        def call(self, x: Any, mask: Any = None) -> Any:
            return x if mask is None else ex.where(ex.expand_dims(mask, -1), x, 0.0)

        def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
            return None

    result = Masked()(passed)
    assert not hasattr(result, "mask")
    assert (result.numpy()[tokens == 0] == 0).all()
    with pytest.warns(UserWarning, match=r"layer 'flatten' \(Flatten\) got an input with a mask"):
        L.Flatten()(passed)


def test_masks_of_several_inputs() -> None:
    class Two(L.Layer):
        def call(self, query: Any, value: Any, query_mask: Any = None, value_mask: Any = None) -> Any:
            self.seen = query_mask, value_mask
            return query

    layer = Two()
    a = L.Embedding(5, 4, mask_zero=True)(np.array([[1, 0]], np.int32))
    with pytest.warns(UserWarning, match="does not support masks"):
        layer(a, ex.zeros([1, 2, 4]))
    np.testing.assert_array_equal(layer.seen[0], [[True, False]])
    assert layer.seen[1] is None


def test_a_build_with_several_shapes() -> None:
    class Pair(L.Layer):
        def build(self, query_shape: Any, value_shape: Any) -> None:
            self.shapes = query_shape, value_shape

        def call(self, query: Any, value: Any) -> Any:
            return ex.matmul(query, value)

    layer = Pair()
    layer(np.ones((2, 3)), value=np.ones((3, 4)))
    assert layer.shapes == ((2, 3), (3, 4))
    with pytest.raises(AuthoringError, match="its build takes 'value_shape', but its call got no tensor 'value'"):
        Pair()(np.ones((2, 3)), value=2.0)


def test_output_shapes_are_found_without_weights_for_a_call() -> None:
    layer = Scale()
    assert layer.compute_output_shape((None, 7)) == (None, 7)
    assert L.Dense(3).compute_output_shape((None, 5, 7)) == (None, 5, 3)
    spec = Block().compute_output_spec(ex.Input((4,)))
    assert (spec.shape, spec.dtype) == ((None, 2), np.float32)


def test_a_layer_is_traced_saved_and_exported(tmp_path: Any) -> None:
    layer = Block(name="block")
    with pytest.raises(AuthoringError, match="layer 'block' was never called"):
        ex.export(layer, tmp_path / "l.edge")
    x = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    expected = layer(x).numpy()
    ex.export(layer, tmp_path / "l.edge", verify=True)
    np.testing.assert_allclose(edge_rt.load(tmp_path / "l.edge")(x), expected, rtol=1e-5, atol=1e-6)
    assert layer.modes[-1] is False
    traced = ex.function(layer)
    np.testing.assert_allclose(traced(x), expected, rtol=1e-6)


def test_a_layer_without_call() -> None:
    with pytest.raises(AuthoringError, match="Layer has no call"):
        L.Layer()(np.ones(1))
