"""What a network is made of, independent of any framework.

A description calls the methods of a `Network`; its subclasses write ONNX (`bench.zoo.onnx_writer`) or Keras
(`bench.convert.keras_writer`). The first draws the weights, the second takes the same ones, in the order of the calls.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

FUNCTIONS = ("relu", "relu6", "swish", "hard_swish", "gelu", "sigmoid", "hard_sigmoid", "softmax")


class Tensor(NamedTuple):
    """shape: without the batch, channels last. handle: what the writer knows it by."""

    shape: tuple[int, ...]
    handle: Any


class Network:
    """Layers in inference mode, for a batch of one. Padding is TensorFlow's SAME unless a layer says otherwise.

    Subclasses write `numbers`, `statistics` and the methods that end in `_layer`, which give handles of their own kind.
    """

    def input(self, shape: tuple[int, ...]) -> Tensor:
        """Numbers between 0 and 1."""
        return Tensor(shape, self.input_layer(shape))

    def output(self, x: Tensor) -> None:
        self.output_layer(x)

    def conv(self, x: Tensor, filters: int, kernel: int | tuple[int, int] = 1, stride: int = 1, *, bias: bool = False,
             padding: str = "same") -> Tensor:  # fmt: skip
        """x [h, w, c] -> [oh, ow, filters]; weights [kh, kw, c, filters]. padding: same or valid."""
        kh, kw = (kernel, kernel) if isinstance(kernel, int) else kernel
        h, w, c = x.shape
        weights = self._weights((kh, kw, c, filters), kh * kw * c)
        shape = (*_size((h, w), (kh, kw), stride, padding), filters)
        return Tensor(shape, self.conv_layer(x, weights, self._bias(filters) if bias else None, stride, padding))

    def depthwise(self, x: Tensor, kernel: int = 3, stride: int = 1) -> Tensor:
        """x [h, w, c] -> [oh, ow, c]; weights [k, k, c]."""
        h, w, c = x.shape
        weights = self._weights((kernel, kernel, c), kernel * kernel)
        shape = (*_size((h, w), (kernel, kernel), stride, "same"), c)
        return Tensor(shape, self.depthwise_layer(x, weights, stride))

    def batch_norm(self, x: Tensor) -> Tensor:
        """Normalises x: its statistics are those of x over the samples, as training leaves them."""
        mean, variance = self.statistics(x)
        return Tensor(x.shape, self.batch_norm_layer(x, *self._scale_and_shift(x.shape[-1]), mean, variance))

    def layer_norm(self, x: Tensor) -> Tensor:
        """Over the last axis."""
        return Tensor(x.shape, self.layer_norm_layer(x, *self._scale_and_shift(x.shape[-1])))

    def activation(self, x: Tensor, function: str) -> Tensor:
        """function: one of FUNCTIONS; softmax is over the last axis."""
        return Tensor(x.shape, self.activation_layer(x, function))

    def add(self, x: Tensor, y: Tensor) -> Tensor:
        return Tensor(x.shape, self.binary_layer("add", x, y))

    def multiply(self, x: Tensor, y: Tensor) -> Tensor:
        """x [h, w, c] by y [1, 1, c]."""
        return Tensor(x.shape, self.binary_layer("multiply", x, y))

    def add_constant(self, x: Tensor) -> Tensor:
        """An array of x's shape, as a learned position embedding is."""
        return Tensor(x.shape, self.add_constant_layer(x, self.numbers(x.shape, 0, 0.1)))

    def max_pool(self, x: Tensor, kernel: int, stride: int) -> Tensor:
        h, w, c = x.shape
        shape = (*_size((h, w), (kernel, kernel), stride, "same"), c)
        return Tensor(shape, self.max_pool_layer(x, kernel, stride))

    def global_average(self, x: Tensor, keep: bool = False) -> Tensor:
        """x [h, w, c] or [tokens, c] -> [c], or [1, 1, c] to keep the axes."""
        shape = (1,) * keep * (len(x.shape) - 1) + x.shape[-1:]
        return Tensor(shape, self.global_average_layer(x, keep))

    def dense(self, x: Tensor, units: int, *, bias: bool = True) -> Tensor:
        """x [..., c] -> [..., units]; weights [c, units]."""
        c = x.shape[-1]
        weights = self._weights((c, units), c)
        return Tensor((*x.shape[:-1], units), self.dense_layer(x, weights, self._bias(units) if bias else None))

    def gru(self, x: Tensor, units: int) -> Tensor:
        """x [steps, c] -> the last state [units]; gates in the order z, r, h; the reset gate after the product."""
        c = x.shape[-1]
        w, r = self.numbers((c, 3 * units), 0, c**-0.5), self.numbers((units, 3 * units), 0, units**-0.5)
        return Tensor((units,), self.gru_layer(x, w, r, self.numbers((2, 3 * units), 0, 0.1)))

    def tokens(self, x: Tensor) -> Tensor:
        """x [h, w, c] -> [h * w, c]."""
        h, w, c = x.shape
        return Tensor((h * w, c), self.tokens_layer(x))

    def attention(self, q: Tensor, k: Tensor, v: Tensor, heads: int) -> Tensor:
        """softmax(q k' / sqrt(d)) v for each head; all [tokens, heads * d]."""
        return Tensor(q.shape, self.attention_layer(q, k, v, heads))

    def _weights(self, shape: tuple[int, ...], fan_in: int) -> Array:
        return self.numbers(shape, 0, (2 / fan_in) ** 0.5)

    def _bias(self, n: int) -> Array:
        return self.numbers((n,), 0, 0.1)

    def _scale_and_shift(self, n: int) -> tuple[Array, Array]:
        return self.numbers((n,), 1, 0.1), self.numbers((n,), 0, 0.1)

    def numbers(self, shape: tuple[int, ...], mean: float, deviation: float) -> Array:
        """Weights."""
        raise NotImplementedError

    def statistics(self, x: Tensor) -> tuple[Array, Array]:
        """Mean and variance of x for each channel."""
        raise NotImplementedError

    def input_layer(self, shape: tuple[int, ...]) -> Any:
        raise NotImplementedError

    def output_layer(self, x: Tensor) -> None:
        raise NotImplementedError

    def conv_layer(self, x: Tensor, weights: Array, bias: Array | None, stride: int, padding: str) -> Any:
        raise NotImplementedError

    def depthwise_layer(self, x: Tensor, weights: Array, stride: int) -> Any:
        raise NotImplementedError

    def batch_norm_layer(self, x: Tensor, gamma: Array, beta: Array, mean: Array, variance: Array) -> Any:
        raise NotImplementedError

    def layer_norm_layer(self, x: Tensor, gamma: Array, beta: Array) -> Any:
        raise NotImplementedError

    def activation_layer(self, x: Tensor, function: str) -> Any:
        raise NotImplementedError

    def binary_layer(self, operator: str, x: Tensor, y: Tensor) -> Any:
        raise NotImplementedError

    def add_constant_layer(self, x: Tensor, values: Array) -> Any:
        raise NotImplementedError

    def max_pool_layer(self, x: Tensor, kernel: int, stride: int) -> Any:
        raise NotImplementedError

    def global_average_layer(self, x: Tensor, keep: bool) -> Any:
        raise NotImplementedError

    def dense_layer(self, x: Tensor, weights: Array, bias: Array | None) -> Any:
        raise NotImplementedError

    def gru_layer(self, x: Tensor, w: Array, r: Array, bias: Array) -> Any:
        raise NotImplementedError

    def tokens_layer(self, x: Tensor) -> Any:
        raise NotImplementedError

    def attention_layer(self, q: Tensor, k: Tensor, v: Tensor, heads: int) -> Any:
        raise NotImplementedError


EPSILON = 1e-3
"""Of batch and layer norms."""


SEED = 0
SAMPLES = 8
"""Inputs over which batch norms take their statistics, and with which quantisation is calibrated."""


def samples(shape: tuple[int, ...]) -> list[Array]:
    """Inputs of this shape; the first one is what models are measured with."""
    rng = np.random.default_rng(SEED)
    return [rng.random(shape, dtype=np.float32) for _ in range(SAMPLES)]


def same_pads(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, by TensorFlow's SAME."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _size(sizes: tuple[int, int], kernel: tuple[int, int], stride: int, padding: str) -> tuple[int, int]:
    if padding == "same":
        return (-(-sizes[0] // stride), -(-sizes[1] // stride))
    return ((sizes[0] - kernel[0]) // stride + 1, (sizes[1] - kernel[1]) // stride + 1)
