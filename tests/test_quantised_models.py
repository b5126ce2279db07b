"""Models as onnxruntime's quantiser writes them: exported, they run without NumPy steps and equal onnxruntime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

import exporter
from edge_rt import load
from exporter.importers.onnx._runtime import OnnxRuntime

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning:onnxruntime"),
]
TYPES = {"u8": QuantType.QUInt8, "s8": QuantType.QInt8}


class Images(CalibrationDataReader):
    """Random images of the network's input shape."""

    def __init__(self) -> None:
        rng = np.random.default_rng(5)
        self.feeds = [{"x": rng.random((1, 3, 24, 24)).astype(np.float32)} for _ in range(6)]
        self._rest = iter(self.feeds)

    def get_next(self) -> Any:
        return next(self._rest, None)


class Network:
    """A small ONNX model that is built layer by layer, with random weights that keep the numbers in range."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def const(self, data: Any) -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(data, np.float32), f"w{len(self.weights)}"))
        return str(self.weights[-1].name)

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def conv(self, x: str, c: int, n: int, k: int, stride: int = 1, group: int = 1) -> str:
        w = self.rng.standard_normal((n, c // group, k, k)) * (2 / (c // group * k * k)) ** 0.5
        bias = self.const(self.rng.standard_normal(n) * 0.1)
        return self.op("Conv", x, self.const(w), bias, pads=[k // 2] * 4, strides=[stride] * 2, group=group)

    def dense(self, x: str, k: int, n: int) -> list[str]:
        return [x, self.const(self.rng.standard_normal((k, n)) * k**-0.5)]

    def save(self, y: str, path: Path) -> Path:
        graph = helper.make_graph(
            self.nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 24, 24])],
            [helper.make_tensor_value_info(y, TensorProto.FLOAT, None)], self.weights,
        )  # fmt: skip
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.save(onnx.shape_inference.infer_shapes(model), path)
        return path


def mobile(path: Path) -> Path:
    """Inverted residuals with Relu6, and a GEMM."""
    g = Network()
    limits = g.const(0), g.const(6)
    x, c = g.op("Clip", g.conv("x", 3, 8, 3, 2), *limits), 8
    for n, stride in ((8, 1), (16, 2)):
        y = g.op("Clip", g.conv(x, c, 4 * c, 1), *limits)
        y = g.op("Clip", g.conv(y, 4 * c, 4 * c, 3, stride, 4 * c), *limits)
        y = g.conv(y, 4 * c, n, 1)
        x, c = g.op("Add", x, y) if n == c else y, n
    x = g.op("Flatten", g.op("GlobalAveragePool", x))
    return g.save(g.op("Gemm", *g.dense(x, c, 10), g.const(np.linspace(-1, 1, 10))), path)


def residual(path: Path) -> Path:
    """A pooled stem, blocks with Relu behind the sum, MatMul and Softmax."""
    g = Network()
    x = g.op("Relu", g.conv("x", 3, 16, 7, 2))
    x, c = g.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4), 16
    for n, stride in ((16, 1), (24, 2)):
        y = g.conv(g.op("Relu", g.conv(x, c, n, 3, stride)), n, n, 3)
        x, c = g.op("Relu", g.op("Add", y, x if n == c else g.conv(x, c, n, 1, stride))), n
    x = g.op("ReduceMean", x, axes=[2, 3], keepdims=0)
    return g.save(g.op("Softmax", g.op("Add", g.op("MatMul", *g.dense(x, c, 10)), g.const(np.linspace(-1, 1, 10)))), path)


def gated(path: Path) -> Path:
    """Swish, squeeze and excite, LeakyRelu, HardSwish, and branches of other ranges that join."""
    g = Network()

    def swish(x: str) -> str:
        return g.op("Mul", x, g.op("Sigmoid", x))

    x = swish(g.conv("x", 3, 8, 3, 2))
    y = swish(g.conv(swish(g.conv(x, 8, 32, 1)), 32, 32, 5, 1, 32))
    gate = g.op("Sigmoid", g.conv(swish(g.conv(g.op("GlobalAveragePool", y), 32, 4, 1)), 4, 32, 1))
    x = g.op("Add", x, g.conv(g.op("Mul", y, gate), 32, 8, 1))
    x = g.op("Concat", g.op("LeakyRelu", g.conv(x, 8, 8, 1)), g.op("HardSwish", g.conv(x, 8, 8, 3)), axis=1)
    return g.save(g.op("MatMul", *g.dense(g.op("Flatten", g.op("GlobalAveragePool", x)), 16, 10)), path)


NETWORKS = {"mobile": mobile, "residual": residual, "gated": gated}


@pytest.fixture(scope="module")
def floats(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("float")
    return {name: build(folder / f"{name}.onnx") for name, build in NETWORKS.items()}


def check(path: Path, feeds: list[dict[str, Any]], allowed: float) -> set[str]:
    """Asserts that the exported model has no NumPy step and is so near to onnxruntime; gives the operators it runs."""
    report = exporter.export(path, path.with_suffix(".edge"), test_vectors=False)
    oracle = OnnxRuntime(path)
    with load(path.with_suffix(".edge")) as model, load(path.with_suffix(".edge"), threads=3) as team:
        for feed in feeds[:3]:
            (got,), (want,) = model.run(feed).values(), oracle.run(feed).values()
            assert got.shape == want.shape
            assert np.abs(got - want).max() <= allowed
            (shared,) = team.run(feed).values()
            assert got.tobytes() == shared.tobytes()
        assert [s.op for s in model.plan().numpy_steps] == []
    return set(report.ops_after)


def last_step(path: Path) -> float:
    """The scale of the last DequantizeLinear: a step of the result."""
    graph = onnx.load(path).graph
    weights = {w.name: w for w in graph.initializer}
    last = next(n for n in reversed(graph.node) if n.op_type == "DequantizeLinear")
    return float(numpy_helper.to_array(weights[last.input[1]]).reshape(()))


@pytest.mark.parametrize("channels", [False, True], ids=["tensor", "channel"])
@pytest.mark.parametrize("activations", ["u8", "s8"])
@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
@pytest.mark.parametrize("network", NETWORKS)
def test_static(network: str, form: str, activations: str, channels: bool, floats: dict[str, Path], tmp_path: Path) -> None:
    """Integers from the first QuantizeLinear to the last DequantizeLinear, and at most one step off at the end."""
    images, path = Images(), tmp_path / "q.onnx"
    quantize_static(
        floats[network], path, images, quant_format=QuantFormat[form], activation_type=TYPES[activations],
        weight_type=QuantType.QInt8, per_channel=channels,
    )  # fmt: skip
    ops = check(path, images.feeds, 1.001 * last_step(path))
    assert ops <= {
        "QuantizeLinear", "DequantizeLinear", "Transpose", "Reshape", "Squeeze", "Concat", "Softmax", "edge.MaxPool",
        "edge.QConv", "edge.QDepthwiseConv", "edge.QGemm", "edge.QAdd", "edge.QMul", "edge.QMean", "edge.Lookup",
    }  # fmt: skip


@pytest.mark.parametrize("weights", ["u8", "s8"])
@pytest.mark.parametrize("network", NETWORKS)
def test_dynamic(network: str, weights: str, floats: dict[str, Path], tmp_path: Path) -> None:
    """Numbers quantised while the model runs: the differences of float32, and now and then a borderline value's."""
    path = tmp_path / "q.onnx"
    quantize_dynamic(floats[network], path, weight_type=TYPES[weights])
    ops = check(path, Images().feeds, 0.01)
    assert "DynamicQuantizeLinear" in ops
    assert not ops & {"Cast", "MatMulInteger", "ConvInteger"}
