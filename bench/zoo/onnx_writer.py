"""Networks as ONNX, the way PyTorch's exporter writes them: channels first, batch norms as operators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from bench.zoo.network import EPSILON, SEED, Array, Network, Tensor, same_pads, samples

OPSET = 17


class OnnxNetwork(Network):
    """Handles are names of values. drawn: all weights, in the order of the calls."""

    def __init__(self) -> None:
        self.drawn: list[Array] = []
        self._rng = np.random.default_rng(SEED)
        self._values: dict[str, Array] = {}
        self._nodes: list[Any] = []
        self._weights_by_name: dict[str, Any] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    def model(self, name: str) -> Any:
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, list(self._weights_by_name.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model

    def numbers(self, shape: tuple[int, ...], mean: float, deviation: float) -> Array:
        self.drawn.append(self._rng.normal(mean, deviation, shape).astype(np.float32))
        return self.drawn[-1]

    def statistics(self, x: Tensor) -> tuple[Array, Array]:
        values = self._value(x.handle)
        axes = (0, *range(2, values.ndim))
        found = values.mean(axes), values.var(axes) + np.float32(EPSILON)
        self.drawn += found
        return found

    def _value(self, name: str) -> Array:
        """The value of this name for all samples, computed by onnxruntime, node after node."""
        if name not in self._values:
            node = next(n for n in self._nodes if name in n.output)
            weights = [self._weights_by_name[i] for i in node.input if i in self._weights_by_name]
            given = {i: self._value(i) for i in node.input if i not in self._weights_by_name}
            infos = [helper.make_tensor_value_info(i, TensorProto.FLOAT, a.shape) for i, a in given.items()]
            result = helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
            graph = helper.make_graph([node], name, infos, [result], weights)
            model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
            session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
            self._values[name] = session.run(None, given)[0]
        return self._values[name]

    def _add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name, **attributes))
        return name

    def _constant(self, values: Any, dtype: Any = np.float32) -> str:
        name = f"weight_{len(self._weights_by_name)}"
        array = np.ascontiguousarray(np.asarray(values, dtype))
        self._weights_by_name[name] = numpy_helper.from_array(array, name)
        return name

    def input_layer(self, shape: tuple[int, ...]) -> str:
        first = shape[-1:] + shape[:-1] if len(shape) == 3 else shape
        self._inputs.append(helper.make_tensor_value_info("input", TensorProto.FLOAT, (1, *first)))
        self._values["input"] = np.concatenate(samples((1, *first)))
        return "input"

    def output_layer(self, x: Tensor) -> None:
        self._nodes[-1].output[0] = "output"
        self._outputs.append(helper.make_tensor_value_info("output", TensorProto.FLOAT, (1, *x.shape)))

    def conv_layer(self, x: Tensor, weights: Array, bias: Array | None, stride: int, padding: str) -> str:
        given = [self._constant(weights.transpose(3, 2, 0, 1))]
        if bias is not None:
            given.append(self._constant(bias))
        kernel = weights.shape[:2]
        pads = _pads(x, kernel, stride) if padding == "same" else [0] * 4
        return self._add("Conv", x.handle, *given, kernel_shape=kernel, strides=[stride] * 2, pads=pads)

    def depthwise_layer(self, x: Tensor, weights: Array, stride: int) -> str:
        kernel, c = weights.shape[:2], weights.shape[2]
        given = self._constant(weights.transpose(2, 0, 1)[:, None])
        pads = _pads(x, kernel, stride)
        return self._add("Conv", x.handle, given, kernel_shape=kernel, strides=[stride] * 2, pads=pads, group=c)

    def batch_norm_layer(self, x: Tensor, gamma: Array, beta: Array, mean: Array, variance: Array) -> str:
        given = [self._constant(a) for a in (gamma, beta, mean, variance)]
        return self._add("BatchNormalization", x.handle, *given, epsilon=EPSILON)

    def layer_norm_layer(self, x: Tensor, gamma: Array, beta: Array) -> str:
        return self._add(
            "LayerNormalization", x.handle, self._constant(gamma), self._constant(beta), axis=-1, epsilon=EPSILON
        )

    def activation_layer(self, x: Tensor, function: str) -> str:
        h = x.handle
        if function == "relu6":
            return self._add("Clip", h, self._constant(0.0), self._constant(6.0))
        if function == "swish":
            return self._add("Mul", h, self._add("Sigmoid", h))
        if function == "gelu":
            erf = self._add("Erf", self._add("Div", h, self._constant(np.sqrt(2))))
            return self._add(
                "Mul", self._add("Mul", h, self._add("Add", erf, self._constant(1.0))), self._constant(0.5)
            )
        if function == "hard_sigmoid":
            return self._add("HardSigmoid", h, alpha=1 / 6, beta=0.5)
        if function == "softmax":
            return self._add("Softmax", h, axis=-1)
        return self._add({"relu": "Relu", "sigmoid": "Sigmoid", "hard_swish": "HardSwish"}[function], h)

    def binary_layer(self, operator: str, x: Tensor, y: Tensor) -> str:
        return self._add({"add": "Add", "multiply": "Mul"}[operator], x.handle, y.handle)

    def add_constant_layer(self, x: Tensor, values: Array) -> str:
        return self._add("Add", x.handle, self._constant(values[None]))

    def max_pool_layer(self, x: Tensor, kernel: int, stride: int) -> str:
        pads = _pads(x, (kernel, kernel), stride)
        return self._add("MaxPool", x.handle, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=pads)

    def global_average_layer(self, x: Tensor, keep: bool) -> str:
        if len(x.shape) == 2:
            return self._add("ReduceMean", x.handle, axes=[1], keepdims=int(keep))
        mean = self._add("GlobalAveragePool", x.handle)
        return mean if keep else self._add("Flatten", mean, axis=1)

    def dense_layer(self, x: Tensor, weights: Array, bias: Array | None) -> str:
        if len(x.shape) == 1:
            given = [self._constant(weights.T)] + ([] if bias is None else [self._constant(bias)])
            return self._add("Gemm", x.handle, *given, transB=1)
        product = self._add("MatMul", x.handle, self._constant(weights))
        return product if bias is None else self._add("Add", self._constant(bias), product)

    def gru_layer(self, x: Tensor, w: Array, r: Array, bias: Array) -> str:
        steps_first = self._add("Transpose", x.handle, perm=[1, 0, 2])
        given = [self._constant(a[None]) for a in (w.T, r.T, bias.reshape(-1))]
        every = self._add("GRU", steps_first, *given, hidden_size=r.shape[0], linear_before_reset=1)
        last = f"{every}_last"
        self._nodes[-1].output[:] = ["", last]
        return self._add("Squeeze", last, self._constant([0], np.int64))

    def tokens_layer(self, x: Tensor) -> str:
        h, w, c = x.shape
        flat = self._add("Reshape", x.handle, self._constant([1, c, h * w], np.int64))
        return self._add("Transpose", flat, perm=[0, 2, 1])

    def attention_layer(self, q: Tensor, k: Tensor, v: Tensor, heads: int) -> str:
        n, width = q.shape
        d = width // heads
        split = self._constant([1, n, heads, d], np.int64)
        queries, keys, values = (self._add("Reshape", t.handle, split) for t in (q, k, v))
        queries, values = (self._add("Transpose", t, perm=[0, 2, 1, 3]) for t in (queries, values))
        scores = self._add("MatMul", queries, self._add("Transpose", keys, perm=[0, 2, 3, 1]))
        scores = self._add("Mul", scores, self._constant(1 / np.sqrt(d)))
        mixed = self._add("MatMul", self._add("Softmax", scores, axis=-1), values)
        mixed = self._add("Transpose", mixed, perm=[0, 2, 1, 3])
        return self._add("Reshape", mixed, self._constant([1, n, width], np.int64))


def write_onnx(describe: Callable[[Network], None], path: Path) -> list[Array]:
    """Writes the network, and gives its weights in the order of the description."""
    network = OnnxNetwork()
    describe(network)
    onnx.save(network.model(path.stem), path)
    return network.drawn


def _pads(x: Tensor, kernel: tuple[int, ...], stride: int) -> list[int]:
    (top, bottom), (left, right) = (same_pads(x.shape[i], kernel[i], stride) for i in (0, 1))
    return [top, left, bottom, right]
