"""References against onnxruntime, where ONNX's node tests are thin: windows, recurrences, trees, quantised ones."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edge_rt import ops
from edge_rt.ops import _rational
from edge_rt.types import TensorType
from exporter.importers.onnx._runtime import EXACT_SUMS
from tests.cases._case import integers, normal

onnxruntime = pytest.importorskip("onnxruntime")

Array = np.ndarray[Any, Any]
QUIET = 3


class Case(NamedTuple):
    op: str
    inputs: tuple[Array | None, ...]
    outputs: int
    attributes: dict[str, Any]
    name: str = ""


def case(op: str, *inputs: Array | None, outputs: int = 1, **attributes: Any) -> Case:
    return Case(op, inputs, outputs, attributes)


LENGTHS = np.array([6, 2, 4], np.int32)
X = normal(6, 3, 4)


def recurrent(op: str, gates: int, outputs: int, dirs: int = 2, **attributes: Any) -> Case:
    states = [normal(dirs, 3, 5, seed=i) for i in range(outputs - 1)]
    weights = [normal(dirs, gates * 5, 4, seed=5), normal(dirs, gates * 5, 5, seed=6), normal(dirs, gates * 10, seed=7)]
    return case(op, X, *weights, LENGTHS, *states, outputs=outputs, hidden_size=5, **attributes)


def quantised_lstm(batch: int, direction: str) -> Case:
    dirs = 2 if direction == "bidirectional" else 1
    w, r = (integers(dirs, n, 64, low=-127, high=128, dtype=np.int8, seed=n) for n in (24, 16))
    zero = np.zeros(dirs, np.int8)
    scales = (np.full(dirs, 0.004, np.float32), zero, np.full(dirs, 0.003, np.float32), zero)
    states = (normal(dirs, batch, 16, seed=2), normal(dirs, batch, 16, seed=3))
    x, bias = normal(7, batch, 24, seed=4), normal(dirs, 128, seed=1)
    name = "com.microsoft.DynamicQuantizeLSTM"
    return case(name, x, w, r, bias, None, *states, None, *scales, outputs=3, direction=direction, hidden_size=16)


def trees(prefix: str, ids: list[int], weights: list[float], **attributes: Any) -> dict[str, Any]:
    """Two trees; a NaN in feature 0 goes the true way."""
    modes = ["BRANCH_LEQ", "BRANCH_LT", "LEAF", "LEAF", "LEAF", "BRANCH_GT", "LEAF", "LEAF"]
    return {
        "nodes_treeids": [0] * 5 + [1] * 3,
        "nodes_nodeids": [0, 1, 2, 3, 4, 0, 1, 2],
        "nodes_featureids": [0, 1, 0, 0, 0, 2, 0, 0],
        "nodes_modes": modes,
        "nodes_values": [0.1, -0.2, 0.0, 0.0, 0.0, 0.3, 0.0, 0.0],
        "nodes_truenodeids": [1, 3, 0, 0, 0, 1, 0, 0],
        "nodes_falsenodeids": [2, 4, 0, 0, 0, 2, 0, 0],
        "nodes_missing_value_tracks_true": [1, 0, 0, 0, 0, 0, 0, 0],
        f"{prefix}_treeids": [0, 0, 0, 1, 1],
        f"{prefix}_nodeids": [2, 3, 4, 1, 2],
        f"{prefix}_ids": ids,
        f"{prefix}_weights": weights,
        **attributes,
    }


FEATURES = normal(40, 3)
FEATURES[::7, 0] = np.nan
BYTES = integers(3, 16, high=256, dtype=np.uint8)
WEIGHTS = integers(16, 5, low=-120, high=120, dtype=np.int8)
IMAGE = normal(2, 6, 11, 9)
ML = "ai.onnx.ml."

CASES = [
    case("Conv", IMAGE, normal(4, 3, 3, 2), normal(4), group=2, strides=[2, 1], pads=[1, 0, 2, 1], dilations=[2, 1]),
    case("Conv", IMAGE, normal(6, 1, 3, 3), group=6, auto_pad="SAME_LOWER", strides=[2, 2]),
    case("Conv", normal(1, 3, 20), normal(5, 3, 4), auto_pad="VALID"),
    case("Conv", normal(1, 2, 5, 6, 7), normal(3, 2, 2, 3, 2), pads=[1] * 6),
    case("ConvTranspose", IMAGE, normal(6, 2, 3, 2), normal(4), group=2, strides=[2, 3], pads=[1, 0, 2, 1],
         output_padding=[1, 2], dilations=[2, 1]),
    case("ConvTranspose", IMAGE, normal(6, 2, 3, 3), strides=[2, 2], output_shape=[23, 18], auto_pad="SAME_UPPER"),
    case("MaxPool", IMAGE, outputs=2, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 1, 1, 0], dilations=[1, 2]),
    case("MaxPool", IMAGE, kernel_shape=[4, 3], strides=[3, 2], ceil_mode=1),
    case("AveragePool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1,
         ceil_mode=1),
    case("AveragePool", IMAGE, kernel_shape=[3, 2], auto_pad="SAME_UPPER"),
    case("LpPool", IMAGE, kernel_shape=[3, 2], p=1, strides=[2, 1]),
    case("GlobalLpPool", IMAGE, p=3),
    case("MaxRoiPool", normal(2, 3, 12, 10), np.array([[0, 1, 2, 7, 9], [1, 0, 0, 20, 5.5]], np.float32),
         pooled_shape=[3, 2], spatial_scale=0.6),
    *(recurrent("LSTM", 4, 3, direction="bidirectional", clip=c, input_forget=f) for c in (50.0, 0.5) for f in (0, 1)),
    *(recurrent("GRU", 3, 2, direction="bidirectional", clip=c, linear_before_reset=f)
      for c in (50.0, 0.5) for f in (0, 1)),
    recurrent("RNN", 1, 2, 1, direction="reverse", activations=["Relu"], clip=0.5),
    case("LSTM", X, normal(1, 20, 4), normal(1, 20, 5), outputs=3, hidden_size=5,
         activations=["HardSigmoid", "LeakyRelu", "Softsign"], activation_alpha=[0.3, 0.1], activation_beta=[0.4]),
    case("LSTM", X, normal(1, 20, 4), normal(1, 20, 5), None, None, None, None, normal(1, 15), outputs=3, hidden_size=5,
         activations=["Sigmoid", "ScaledTanh", "Elu"], activation_alpha=[0.3, 0.1], activation_beta=[0.2]),
    *(quantised_lstm(batch, direction) for batch in (1, 3) for direction in ("forward", "bidirectional")),
    case("com.microsoft.FusedConv", IMAGE, normal(4, 6, 3, 3), normal(4), activation="LeakyRelu",
         activation_params=[0.3]),
    case("com.microsoft.DynamicQuantizeMatMul", normal(3, 16), WEIGHTS, np.float32([0.01]), np.int8([7]),
         normal(5)),
    case("com.microsoft.MatMulIntegerToFloat", BYTES, WEIGHTS, np.float32([0.1]), np.abs(normal(5)), np.uint8([7]),
         None, normal(5)),
    *(case(ML + "LinearClassifier", normal(5, 3), outputs=2, coefficients=[1.0, -2.0, 0.5], intercepts=[0.1],
           classlabels_ints=[4, 7], post_transform=p) for p in ("NONE", "LOGISTIC")),
    *(case(ML + "LinearClassifier", normal(5, 3, scale=0.1), outputs=2, coefficients=[0.1, -0.2, 0.05] * 3,
           intercepts=[0.4, 0.5, 0.6], classlabels_ints=[4, 7, 9], post_transform=p)
      for p in ("NONE", "SOFTMAX", "SOFTMAX_ZERO", "LOGISTIC", "PROBIT")),
    case(ML + "LinearRegressor", normal(5, 3), coefficients=[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], intercepts=[1.0, 2.0],
         targets=2),
    *(case(ML + "Normalizer", normal(5, 3), norm=n) for n in ("MAX", "L1", "L2")),
    case(ML + "Scaler", normal(5, 3), offset=[1.0, 2.0, 3.0], scale=[0.5, 0.1, 2.0]),
    case(ML + "Imputer", FEATURES, imputed_value_floats=[1.0, 2.0, 3.0], replaced_value_float=float("nan")),
    case(ML + "Binarizer", normal(5, 3), threshold=0.2),
    case(ML + "ArrayFeatureExtractor", normal(5, 3), np.array([[2, 0]])),
    case(ML + "ArrayFeatureExtractor", normal(5, 3), np.array(1)),
    *(case(ML + "TreeEnsembleRegressor", FEATURES,
           **trees("target", [0, 0, 0, 0, 0], [0.5, -1.0, 2.0, 3.0, -0.3], aggregate_function=a, n_targets=1,
                   base_values=[0.1]))
      for a in ("SUM", "AVERAGE", "MIN", "MAX")),
    *(case(ML + "TreeEnsembleClassifier", FEATURES, outputs=2,
           **trees("class", [0] * 5, w, classlabels_int64s=[3, 5], post_transform=p))
      for w in ([0.5, -1.0, 2.0, 3.0, -0.3], [0.1, 0.1, 0.2, 0.3, 0.3]) for p in ("NONE", "LOGISTIC")),
    *(case(ML + "TreeEnsembleClassifier", FEATURES, outputs=2,
           **trees("class", [0, 1, 2, 1, 0], [0.5, 1.0, 2.0, 3.0, 0.3], classlabels_int64s=[3, 5, 8],
                   post_transform=p))
      for p in ("NONE", "SOFTMAX")),
]  # fmt: skip


def test_rational_approximations_round_as_those_of_onnxruntime() -> None:
    x = np.linspace(-20, 20, 100001, dtype=np.float32)
    for op, function in (("Tanh", _rational.tanh), ("Sigmoid", _rational.logistic)):
        (wanted,) = by_onnxruntime(case(op, x))
        np.testing.assert_allclose(function(x), wanted, rtol=2e-7, strict=True)


def by_onnxruntime(c: Case) -> list[Array]:
    """One thread: with several, onnxruntime quantises the state of an LSTM in other groups. 8-bit weights are constants:
    only then it can make sums exact."""
    domain, _, op = c.op.rpartition(".")
    names = [f"i{k}" if x is not None else "" for k, x in enumerate(c.inputs)]
    outputs = [f"o{k}" for k in range(c.outputs)]
    given = {n: np.asarray(x) for n, x in zip(names, c.inputs) if n}
    types = {n: helper.np_dtype_to_tensor_dtype(x.dtype) for n, x in given.items()}
    weights = {n for n, x in given.items() if x.dtype == np.int8 and n != "i0"}
    infos = [helper.make_tensor_value_info(n, types[n], x.shape) for n, x in given.items() if n not in weights]
    constants = [numpy_helper.from_array(given.pop(n), n) for n in sorted(weights)]
    node = helper.make_node(op, names, outputs, domain=domain, **c.attributes)
    graph = helper.make_graph([node], "g", infos, [onnx.ValueInfoProto(name=o) for o in outputs], constants)
    opsets = [helper.make_opsetid(*o) for o in (("", 21), ("ai.onnx.ml", 3), ("com.microsoft", 1))]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, QUIET
    options.add_session_config_entry(EXACT_SUMS, "1")
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, given))


@pytest.mark.parametrize("c", CASES, ids=lambda c: c.op)
def test_reference_equals_onnxruntime(c: Case) -> None:
    spec = ops.get(c.op)
    attrs = spec.attrs(**c.attributes)
    with np.errstate(all="ignore"):
        made = spec.evaluate(attrs, *c.inputs)
    types, _ = spec.infer(attrs, [None if x is None else TensorType.of(x) for x in c.inputs], c.inputs, "node")
    for got, want, type_ in zip(made, by_onnxruntime(c), types):
        assert got is not None
        assert TensorType.of(got) == type_
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(want).max()), strict=True)
