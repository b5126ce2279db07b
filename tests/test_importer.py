"""Inputs, outputs and metadata of an ONNX file."""

from __future__ import annotations

from typing import Any

import pytest
from onnx import helper

from edge_rt.dims import symbol
from edge_rt.errors import ImporterError
from edge_rt.types import DType, TensorType
from exporter.importers import read
from exporter.importers.onnx import import_onnx
from tests.onnx_models import model


def test_symbolic_sizes() -> None:
    graph = import_onnx(model("g (float[batch, 3, ?, ?] x, float[batch, N] y) => (z) { z = Identity(x) }"))
    batch = symbol("batch")
    assert graph.inputs[0].type == TensorType(DType.FLOAT32, (batch, 3, symbol("x.2"), symbol("x.3")))
    assert graph.inputs[1].type == TensorType(DType.FLOAT32, (batch, symbol("N")))


def test_question_marks_are_not_one_size() -> None:
    made = model("g (float[a, b] x) => (y) { y = Identity(x) }")
    for dim in made.graph.input[0].type.tensor_type.shape.dim:
        dim.dim_param = "?"
    first, second = import_onnx(made).inputs[0].type.shape or ()
    assert first != second


def test_input_shapes_fix_sizes_everywhere() -> None:
    made = model("g (float[batch, 3, h] x, float[batch, N] y) => (z) { z = Identity(x) }")
    graph = import_onnx(made, input_shapes={"x": (2, 3, None)})
    assert graph.inputs[0].type.shape == (2, 3, symbol("h"))
    assert graph.inputs[1].type.shape == (2, symbol("N"))
    assert import_onnx(made, input_shapes={"y": ("rows", 7)}).inputs[1].type.shape == (symbol("rows"), 7)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"x": (2, 4, 1)}, "input 'x': axis 1 must be 3, got 4"),
        ({"x": (2, 3)}, "input 'x': expected 3 sizes"),
        ({"x": (-2, 3, 1)}, "input 'x': axis 0 must not be negative"),
        ({"w": (2, 3)}, "input_shapes: no input 'w', the inputs are: x, y"),
        ({"x": (2, 3, 1), "y": (4, 5)}, "input_shapes: size 'batch' must be one number, got 2 and 4"),
    ],
)
def test_input_shapes_that_do_not_fit(shapes: Any, message: str) -> None:
    made = model("net (float[batch, 3, h] x, float[batch, N] y) => (z) { z = Identity(x) }")
    with pytest.raises(ImporterError, match=f"^net: {message}"):
        import_onnx(made, input_shapes=shapes)


def test_outputs_keep_their_names() -> None:
    graph = import_onnx(model("g (float[2] x) => (y, x, w) { y = Relu(x) \n w = Identity(x) }"))
    assert graph.output_names == ["y", "x", "w"]
    assert graph.outputs[1] is graph.inputs[0]


def test_zip_map_gives_out_the_probabilities() -> None:
    made = model("g (float[3, 2] x) => (y) { p = Softmax(x) }")
    made.graph.node.append(
        helper.make_node("ZipMap", ["p"], ["y"], "zip", domain="ai.onnx.ml", classlabels_int64s=[4, 5])
    )
    made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
    imported = read(made)
    assert imported.graph.outputs[0].type == TensorType(DType.FLOAT32, (3, 2))
    assert imported.notes == ["ZipMap 'zip' dropped: its output is the tensor of probabilities for (4, 5)"]


def test_metadata_of_the_model() -> None:
    made = model("g (float[2] x) => (y) { y = Relu(x) }")
    made.metadata_props.add(key="names", value="cat,dog")
    assert read(made).metadata == {"onnx": {"names": "cat,dog"}}
