"""Layer: what it does around `build` and `call`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import edge_rt
import exporter as ex
from edge_rt.errors import AuthoringError

L = ex.layers


@pytest.fixture(autouse=True)
def start() -> Iterator[None]:
    ex.random.seed(3)
    ex.clear_session()
    yield
    ex.clear_session()


class Scale(L.Layer):
    """x * w: a layer as users write them."""

    def __init__(self, start: float = 2.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start
        self.builds = 0

    def build(self, input_shape: Any) -> None:
        self.builds += 1
        self.seen = input_shape
        self.w = self.add_weight((input_shape[-1],), ex.initializers.Constant(self.start), name="w", regularizer="l2")
        self.steps = self.add_weight((), "zeros", "int32", trainable=False, name="steps")

    def call(self, x: Any) -> Any:
        return x * self.w


class Block(L.Layer):
    """Two layers, one of them in a list, and a variable of its own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.zz = [L.Dense(3, name="first")]
        self.aa = L.Dense(2, name="second")
        self.modes: list[Any] = []

    def build(self, input_shape: Any) -> None:
        self.frozen_one = self.add_weight((1,), "zeros", trainable=False, name="f")
        self.own = self.add_weight((1,), "ones", name="o")

    def call(self, x: Any, training: Any = None) -> Any:
        self.modes.append(training)
        return self.aa(self.zz[0](x)) * self.own


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


def test_configs_are_the_arguments() -> None:
    layer = Scale(5.0, name="s", trainable=False)
    assert layer.get_config() == {"start": 5.0, "name": "s", "trainable": False, "dtype": "float32"}
    copy = Scale.from_config(layer.get_config())
    assert (copy.start, copy.name, copy.trainable) == (5.0, "s", False)
    dense = L.Dense(3, "relu", kernel_initializer=ex.initializers.HeNormal(seed=4), kernel_regularizer="l1")
    again = L.Dense.from_config(dense.get_config())
    assert again.get_config() == dense.get_config()
    again.build((None, 2))
    dense.build((None, 2))
    np.testing.assert_array_equal(again.kernel, dense.kernel)


def test_a_config_that_is_no_data_is_refused() -> None:
    class Holder(L.Layer):
        def __init__(self, what: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.what = what

    with pytest.raises(AuthoringError, match=r"layer 'holder' \(Holder\): argument 'what': a config cannot hold object"):
        Holder(object()).get_config()

    class Many(L.Layer):
        def __init__(self, *sizes: int) -> None:
            super().__init__()
            self.sizes = sizes

    with pytest.raises(AuthoringError, match=r"a config has no place for \*sizes; override get_config and from_config"):
        Many(1, 2).get_config()
    with pytest.raises(AuthoringError, match="a lambda is no data"):
        L.Lambda(lambda x: x * 2).get_config()
    assert float(L.Lambda(lambda x, factor: x * factor, arguments={"factor": 3})(ex.constant(2.0))) == 6


def test_registered_functions_and_classes() -> None:
    @ex.register_serializable("tests", name="twice")
    def double(x: Any) -> Any:
        return x * 2

    config = L.Activation(double).get_config()
    assert config["activation"] == {"class_name": "function", "config": "double", "registered_name": "tests>twice"}
    assert float(L.Activation.from_config(config)(ex.constant(4.0))) == 8
    with pytest.raises(AuthoringError, match="the function 'tests>nothing' is not known"):
        L.Activation.from_config({"activation": {**config["activation"], "registered_name": "tests>nothing"}})
    with ex.custom_object_scope({"nothing": ex.nn.relu}):
        L.Activation.from_config({"activation": {**config["activation"], "registered_name": "tests>nothing"}})
    with pytest.raises(AuthoringError, match="must have a get_config"):
        ex.register_serializable()(int)


def test_keras_configs_are_read() -> None:
    config = {
        "name": "d", "trainable": True, "units": 2, "activation": "relu", "use_bias": True,
        "dtype": {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None},
        "kernel_initializer": {
            "module": "keras.initializers", "class_name": "GlorotUniform", "config": {"seed": 1}, "registered_name": None,
        },
        "bias_initializer": {"module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": None},
    }  # fmt: skip
    layer = L.Dense.from_config(config)
    layer.build((None, 3))
    assert (layer.name, layer.kernel.shape) == ("d", (3, 2))


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


def test_a_weight_of_unknown_size_is_refused() -> None:
    with pytest.raises(AuthoringError, match=r"layer 'dense': the shape of weight 'kernel' must be known, got \(None, 2\)"):
        L.Dense(2).build((None, None))
