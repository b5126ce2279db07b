"""Operators of every opset since 7 mean what onnxruntime says they mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_rt.interpreter import evaluate
from edge_rt.ops import get, is_known, names
from exporter.importers.onnx import import_onnx
from exporter.importers.onnx._build import field_value
from exporter.importers.onnx._functions import schema
from exporter.importers.onnx._proto import read_attribute
from tests.cases._case import normal

Array = np.ndarray[Any, Any]

class Row:
    """One operator at some opsets: inputs that are None are absent, those listed in `constant` are initializers."""

    def __init__(
        self,
        op: str,
        opsets: Sequence[int],
        *inputs: Any,
        constant: Sequence[int] = (),
        outputs: int = 1,
        name: str = "",
        **attributes: Any,
    ) -> None:
        self.op, self.opsets, self.inputs, self.constant = op, opsets, inputs, constant
        self.outputs, self.attributes, self.name = outputs, attributes, name

    def model(self, opset: int) -> Any:
        names = [f"i{n}" if x is not None else "" for n, x in enumerate(self.inputs)]
        outputs = [f"o{n}" for n in range(self.outputs)]
        node = helper.make_node(self.op, names, outputs, name="node", **self.attributes)
        arrays = {n: np.asarray(x) for n, x in zip(names, self.inputs) if n}
        fixed = [names[i] for i in self.constant]
        infos = [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
            for n, a in arrays.items()
            if n not in fixed
        ]
        graph = helper.make_graph(
            [node],
            "g",
            infos,
            [onnx.ValueInfoProto(name=n) for n in outputs],
            [numpy_helper.from_array(arrays[n], n) for n in fixed],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)

    def feeds(self) -> dict[str, Array]:
        pairs = enumerate(self.inputs)
        return {f"i{n}": np.asarray(x) for n, x in pairs if x is not None and n not in self.constant}


def floats(*values: float) -> Array:
    return np.array(values, np.float32)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


ALL = (7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25)
X = normal(2, 3, 4, 5)
IMAGE = normal(1, 2, 4, 6)
CHANNELS = [np.abs(normal(3, seed=s)) + 0.1 for s in range(4)]


def since(first: int, before: int = 100) -> list[int]:
    return [v for v in ALL if first <= v < before]


ROWS = [
    Row("Relu", ALL, X),
    Row("Squeeze", since(7, 13), normal(1, 3, 1, 2), axes=[0, 2]),
    Row("Squeeze", since(13), normal(1, 3, 1, 2), ints(0, 2), constant=[1], name="input"),
    Row("Squeeze", ALL, normal(1, 3, 1, 2), name="all"),
    Row("Unsqueeze", since(7, 13), normal(3, 2), axes=[0, 3]),
    Row("Unsqueeze", since(13), normal(3, 2), ints(0, 3), constant=[1], name="input"),
    Row("ReduceSum", since(7, 13), X, axes=[1, 3], keepdims=0),
    Row("ReduceSum", since(13), X, ints(1, 3), constant=[1], keepdims=0, name="input"),
    *(
        Row(op, since(7, 18), np.abs(X) + 0.5, axes=[1, 2])
        for op in ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin")
    ),
    Row("ReduceProd", since(7, 18), X, axes=[1]),
    Row("ReduceSumSquare", since(7, 18), X, axes=[-1], keepdims=0),
    Row("ReduceMean", ALL, X, keepdims=0, name="all"),
    Row("Slice", since(7, 10), X, starts=[0, 1], ends=[2, -1], axes=[1, 3]),
    Row("Slice", since(7, 10), X, starts=[1, 0], ends=[2, 1000], name="no-axes"),
    Row("Slice", since(10), X, ints(-1), ints(-10), ints(2), ints(-2), constant=[1, 2, 3, 4], name="input"),
    Row("Pad", since(7, 11), IMAGE, pads=[0, 0, 1, 2, 0, 1, 0, 3], value=2.5),
    Row("Pad", since(7, 11), IMAGE, pads=[0, 0, 1, 2, 0, 0, 2, 3], mode="reflect", name="reflect"),
    Row("Pad", since(7, 11), IMAGE, pads=[0, 0, -1, 2, 0, 0, 2, 3], mode="edge", name="edge"),
    Row("Pad", since(11), IMAGE, ints(0, 0, 1, 2, 0, 1, 0, 3), floats(2.5)[0], constant=[1, 2], name="input"),
    Row("Clip", since(7, 11), X, min=-0.5, max=0.25),
    Row("Clip", since(7, 11), X, max=0.25, name="max"),
    Row("Clip", since(11), X, None, floats(0.25)[0], constant=[2], name="input"),
    Row("Dropout", since(7, 12), X, ratio=0.3),
    Row("Dropout", since(12), X, floats(0.3)[0], constant=[1], name="input"),
    Row("Dropout", since(12), X, outputs=2, name="mask"),
    Row("TopK", since(7, 10), X, k=2, axis=1, outputs=2),
    Row("TopK", since(10), X, ints(2), constant=[1], axis=1, outputs=2, name="input"),
    Row("Split", since(7, 13), X, split=[1, 4], axis=3, outputs=2),
    Row("Split", since(7, 18), X, axis=2, outputs=2, name="equal"),
    Row("Split", since(13), X, ints(1, 4), constant=[1], axis=3, outputs=2, name="input"),
    Row("Split", since(18), X, axis=3, num_outputs=2, outputs=2, name="uneven"),
    *(Row(op, ALL, X, name="default") for op in ("Softmax", "LogSoftmax", "Hardmax")),
    *(Row("Softmax", ALL, X, axis=axis, name=f"axis{axis}") for axis in (0, 2, 3)),
    Row("Softmax", since(11), X, axis=-2, name="axis-2"),
    Row("LogSoftmax", ALL, X, axis=2, name="axis2"),
    Row("BatchNormalization", ALL, X, *CHANNELS, epsilon=1e-3),
    Row("Upsample", since(7, 9), IMAGE, scales=[1.0, 1.0, 2.0, 3.0]),
    Row("Upsample", since(7, 9), IMAGE, scales=[1.0, 1.0, 2.0, 3.0], mode="linear", name="linear"),
    Row("Upsample", [9], IMAGE, floats(1, 1, 2, 1.5), constant=[1], name="input"),
    Row("Resize", [10], IMAGE, floats(1, 1, 2, 3), constant=[1], name="up"),
    Row("Resize", [10], IMAGE, floats(1, 1, 0.5, 0.6), constant=[1], name="down"),
    Row("Resize", [10], IMAGE, floats(1, 1, 2, 0.6), constant=[1], name="up-down"),
    Row("Resize", [10], IMAGE, floats(1, 1, 2, 0.5), constant=[1], mode="linear", name="linear10"),
    *(
        Row("Resize", [11, 12, 13, 18, 19], IMAGE, floats(), floats(1, 1, 1.5, 0.5), constant=[1, 2],
            mode=mode, coordinate_transformation_mode=where, name=f"{mode}-{where}")
        for mode in ("nearest", "linear")
        for where in ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
    ),
    Row("Resize", since(11), IMAGE, floats(), floats(), ints(1, 2, 7, 9), constant=[1, 2, 3], mode="cubic",
        name="sizes"),
    Row("Resize", [11, 12], IMAGE, floats(), floats(1, 1, 1.5, 2.5), constant=[1, 2], mode="nearest",
        coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="floor", name="tf"),
    Row("Cast", ALL, X, to=TensorProto.INT32),
    Row("Scatter", [9, 10], X, np.array([[[[1, 0]]]]), normal(1, 1, 1, 2), axis=3),
    Row("ScatterElements", since(11), X, np.array([[[[1, 0]]]]), normal(1, 1, 1, 2), axis=3),
    Row("RoiAlign", since(10, 22), IMAGE, floats(0, 0, 3, 3).reshape(1, 4), ints(0), output_height=2, output_width=2,
        sampling_ratio=2),
    Row("GridSample", since(16), IMAGE, normal(1, 3, 3, 2, scale=0.5)),
    Row("GridSample", [16, 17, 18, 19], IMAGE, normal(1, 3, 3, 2, scale=0.5), mode="bicubic", name="bicubic"),
    Row("DFT", [17, 18, 19], normal(1, 6, 4, 1)),
    Row("DFT", [17, 18, 19], normal(1, 6, 4, 1), axis=2, name="axis2"),
    Row("DFT", since(20), normal(1, 6, 4, 1), None, np.int64(2), constant=[2], name="input"),
    Row("GroupNormalization", [18, 19, 20], normal(2, 4, 3), floats(1, 2), floats(0.5, -1), num_groups=2),
    Row("GroupNormalization", since(21), normal(2, 4, 3), floats(1, 2, 3, 4), floats(1, 0, 0, 1), num_groups=2),
    Row("ArgMax", ALL, X, axis=2, keepdims=0),
    Row("Gemm", ALL, normal(3, 4), normal(5, 4), normal(5), transB=1, alpha=0.5),
    Row("Gemm", since(11), normal(3, 4), normal(4, 5), name="no-c"),
    Row("AveragePool", ALL, IMAGE, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2]),
    Row("MaxPool", ALL, IMAGE, kernel_shape=[2, 2], auto_pad="SAME_UPPER"),
    Row("Flatten", ALL, X, axis=2),
    Row("Max", since(8), X, normal(4, 5)),
    Row("PRelu", ALL, X, normal(3, 1, 1)),
    Row("Reshape", ALL, X, ints(0, -1), constant=[1]),
    Row("LSTM", since(7, 24), normal(3, 2, 4), normal(1, 20, 4), normal(1, 20, 5), outputs=3, hidden_size=5),
    Row("Shape", since(15), X, start=1, end=-1),
    Row("Mod", since(10), ints(5, -5), ints(3, 3)),
    Row("Celu", since(12), X, alpha=0.5),
    Row("MeanVarianceNormalization", since(9), X),
]  # fmt: skip

CASES = [(row, opset) for row in ROWS for opset in row.opsets]
IDS = [f"{row.op}-{row.name}-{opset}" if row.name else f"{row.op}-{opset}" for row, opset in CASES]


@pytest.mark.parametrize(("row", "opset"), CASES, ids=IDS)
def test_opset(row: Row, opset: int) -> None:
    model = row.model(opset)
    expected = _onnxruntime(model, row.feeds())
    graph = import_onnx(model)
    graph.verify()
    feeds = row.feeds()
    got = evaluate(graph, [feeds[v.name] for v in graph.inputs])
    assert [g.dtype for g in got] == [e.dtype for e in expected]
    for g, e in zip(got, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-4, atol=1e-5, strict=True)


def test_rows_name_known_operators() -> None:
    assert {r.op for r in ROWS if not is_known(r.op)} == {"Upsample", "Scatter"}


@pytest.mark.parametrize("op", [n for n in names() if schema(n) is not None])
def test_records_have_the_attributes_of_the_newest_schema(op: str) -> None:
    """What an importer hands over by name alone. Defaults that ONNX stores as float32 count as equal."""
    declared, fields = schema(op).attributes, get(op).attrs.fields
    assert set(declared) <= set(fields)
    for name, attribute in declared.items():
        if attribute.default_value.name and not fields[name].required:
            default = read_attribute(attribute.default_value, None, op)
            if isinstance(default, float):
                assert fields[name].default == pytest.approx(default, rel=1e-6)
            elif not isinstance(default, tuple):
                assert fields[name].default == field_value(fields[name], default)


def test_batch_normalization_per_position() -> None:
    parameters = [np.abs(normal(3, 4, 5, seed=s)) + 0.1 for s in range(4)]
    row = Row("BatchNormalization", [7], X, *parameters, spatial=0)
    graph = import_onnx(row.model(7))
    (got,) = evaluate(graph, list(row.feeds().values()))
    scale, bias, mean, variance = parameters
    np.testing.assert_allclose(got, (X - mean) / np.sqrt(variance + 1e-5) * scale + bias, rtol=1e-5, atol=1e-6)


def _onnxruntime(model: Any, feeds: dict[str, Array]) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        onnx.shape_inference.infer_shapes(model).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return list(session.run(None, feeds))
