"""Configs: the arguments of layers as data, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import exporter as ex
from edge_rt.errors import AuthoringError
from tests.layers.custom import L, Scale


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
