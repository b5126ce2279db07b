"""Networks as Keras models: channels last. Needs TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from bench.zoo.network import EPSILON, Array, Network, Tensor, samples


class KerasNetwork(Network):
    """Handles are symbolic tensors. drawn: the weights, in the order of the calls."""

    def __init__(self, drawn: Iterable[Array]) -> None:
        self._drawn = iter(drawn)
        self._ends: list[Any] = []

    def numbers(self, shape: tuple[int, ...], mean: float, deviation: float) -> Array:
        return next(self._drawn)

    def statistics(self, x: Tensor) -> tuple[Array, Array]:
        return next(self._drawn), next(self._drawn)

    def model(self, name: str) -> Any:
        return keras.Model(*self._ends, name=name.replace("-", "_"))

    def _call(self, layer: Any, x: Any, *weights: Array) -> Any:
        y = layer(x)
        if weights:
            layer.set_weights(list(weights))
        return y

    def input_layer(self, shape: tuple[int, ...]) -> Any:
        self._ends.append(keras.Input(shape, batch_size=1, name="input"))
        return self._ends[0]

    def output_layer(self, x: Tensor) -> None:
        self._ends.append(x.handle)

    def conv_layer(self, x: Tensor, weights: Array, bias: Array | None, stride: int, padding: str) -> Any:
        kh, kw, _, filters = weights.shape
        layer = layers.Conv2D(filters, (kh, kw), stride, padding, use_bias=bias is not None)
        return self._call(layer, x.handle, weights, *([] if bias is None else [bias]))

    def depthwise_layer(self, x: Tensor, weights: Array, stride: int) -> Any:
        layer = layers.DepthwiseConv2D(weights.shape[:2], stride, "same", use_bias=False)
        return self._call(layer, x.handle, weights[..., None])

    def batch_norm_layer(self, x: Tensor, gamma: Array, beta: Array, mean: Array, variance: Array) -> Any:
        return self._call(layers.BatchNormalization(epsilon=EPSILON), x.handle, gamma, beta, mean, variance)

    def layer_norm_layer(self, x: Tensor, gamma: Array, beta: Array) -> Any:
        return self._call(layers.LayerNormalization(epsilon=EPSILON), x.handle, gamma, beta)

    def activation_layer(self, x: Tensor, function: str) -> Any:
        h = x.handle
        if function == "hard_swish":
            return h * (layers.ReLU(6.0)(h + 3.0) * (1.0 / 6.0))
        if function == "hard_sigmoid":
            return layers.ReLU(6.0)(h + 3.0) * (1.0 / 6.0)
        if function == "gelu":
            return keras.activations.gelu(h, approximate=False)
        if function == "softmax":
            return layers.Softmax()(h)
        if function == "relu6":
            return layers.ReLU(6.0)(h)
        return layers.Activation(function)(h)

    def binary_layer(self, operator: str, x: Tensor, y: Tensor) -> Any:
        return {"add": layers.Add, "multiply": layers.Multiply}[operator]()([x.handle, y.handle])

    def add_constant_layer(self, x: Tensor, values: Array) -> Any:
        return x.handle + values[None]

    def max_pool_layer(self, x: Tensor, kernel: int, stride: int) -> Any:
        return layers.MaxPooling2D(kernel, stride, "same")(x.handle)

    def global_average_layer(self, x: Tensor, keep: bool) -> Any:
        layer = layers.GlobalAveragePooling1D if len(x.shape) == 2 else layers.GlobalAveragePooling2D
        return layer(keepdims=keep)(x.handle)

    def dense_layer(self, x: Tensor, weights: Array, bias: Array | None) -> Any:
        layer = layers.Dense(weights.shape[1], use_bias=bias is not None)
        return self._call(layer, x.handle, weights, *([] if bias is None else [bias]))

    def gru_layer(self, x: Tensor, w: Array, r: Array, bias: Array) -> Any:
        return self._call(layers.GRU(r.shape[0], reset_after=True, unroll=True), x.handle, w, r, bias)

    def tokens_layer(self, x: Tensor) -> Any:
        h, w, c = x.shape
        return layers.Reshape((h * w, c))(x.handle)

    def attention_layer(self, q: Tensor, k: Tensor, v: Tensor, heads: int) -> Any:
        n, width = q.shape
        d = width // heads
        queries, keys, values = (
            keras.ops.transpose(keras.ops.reshape(t.handle, (1, n, heads, d)), (0, 2, 1, 3)) for t in (q, k, v)
        )
        scores = keras.ops.matmul(queries, keras.ops.transpose(keys, (0, 1, 3, 2))) * np.float32(1 / np.sqrt(d))
        mixed = keras.ops.matmul(keras.ops.softmax(scores), values)
        return keras.ops.reshape(keras.ops.transpose(mixed, (0, 2, 1, 3)), (1, n, width))


def to_tflite(describe: Callable[[Network], None], drawn: Iterable[Array], *, quantise: bool) -> bytes:
    """The network as a .tflite file. quantise: int8 throughout, but for float32 inputs and outputs."""
    network = KerasNetwork(drawn)
    describe(network)
    model = network.model("network")
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if quantise:
        shape = tuple(model.inputs[0].shape)
        arrays = samples(shape)
        if len(shape) == 4:
            _, h, w, c = shape
            arrays = [np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in samples((1, c, h, w))]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.representative_dataset = lambda: ([a] for a in arrays)
    return bytes(converter.convert())
