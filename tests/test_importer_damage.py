"""ONNX files that are hostile or damaged: an error of ours, never another one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_rt.errors import ImporterError
from exporter.importers.onnx import import_onnx
from tests.onnx_models import model, with_initializer


@pytest.mark.parametrize("raw", [b"", b"\x00" * 64, b"not a model", b"\xff" * 1000, b"PK\x03\x04" + bytes(100)])
def test_files_that_are_no_model(raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(raw)
    with pytest.raises(ImporterError, match=r"^net\.onnx: not an ONNX model"):
        import_onnx(path)


def test_truncated_files(tmp_path: Path) -> None:
    made = with_initializer(numpy_helper.from_array(np.ones(2, np.float32), "w"))
    del made.opset_import[1]
    whole = made.SerializeToString()
    path = tmp_path / "net.onnx"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ImporterError, match=r"net\.onnx: "):
            import_onnx(path)


def test_flipped_bytes_never_escape_as_other_errors(tmp_path: Path) -> None:
    """A flipped byte may still give a model; else an ImporterError."""
    whole = bytearray(with_initializer(numpy_helper.from_array(np.ones(2, np.float32), "w")).SerializeToString())
    refused = 0
    for position in range(len(whole)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(whole)
            damaged[position] ^= flip
            try:
                import_onnx(bytes(damaged))
            except ImporterError:
                refused += 1
    assert refused > len(whole)


def test_missing_files() -> None:
    with pytest.raises(ImporterError, match=r"no/such\.onnx: cannot be read: No such file"):
        import_onnx("no/such.onnx")


@pytest.mark.parametrize("opset", [1, 6])
def test_opsets_that_are_too_old(opset: int) -> None:
    with pytest.raises(ImporterError, match=f"net: opset {opset} is older than 7"):
        import_onnx(model("net (float[2] x) => (y) { y = Add(x, x) }", opset))


def test_an_old_opset_whose_operators_did_not_change() -> None:
    graph = import_onnx(model("net (float[2] x) => (y) { y = Relu(x) }", 6))
    assert [n.op.name for n in graph.nodes] == ["Relu"]


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (TensorProto(name="w", data_type=1, dims=[2], raw_data=b"123"), "initializer 'w': damaged tensor"),
        (TensorProto(name="w", data_type=1, dims=[1 << 40], raw_data=bytes(8)), "initializer 'w': damaged tensor"),
        (TensorProto(name="w", data_type=1, dims=[-2], raw_data=bytes(8)), "sizes must not be negative"),
        (TensorProto(name="w", data_type=1, dims=[2], float_data=[1.0]), "initializer 'w': damaged tensor"),
    ],
)
def test_damaged_tensors(tensor: Any, message: str) -> None:
    with pytest.raises(ImporterError, match=message):
        import_onnx(with_initializer(tensor))


def test_sparse_tensors_with_indices_outside() -> None:
    made = model("net () => (y) { y = Identity(w) }")
    for indices in ([7], [[0, 3]], [-1]):
        made.graph.sparse_initializer.clear()
        values = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
        array = numpy_helper.from_array(np.array(indices))
        made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, array, [2, 3]))
        with pytest.raises(ImporterError, match="sparse initializer 'w': damaged sparse tensor"):
            import_onnx(made)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("net (float[2] x) => (y) { y = Relu(z) \n z = Relu(x) }", "Relu 'y': input 'z' is not computed before it"),
        ("net (float[2] x) => (y) { y = Relu(x) \n y = Neg(x) }", "Neg 'y': there is a 'y' already"),
        ("net (float[2] x) => (z) { y = Relu(x) }", "output 'z': input 'z' is not computed"),
        ("net (float[2] x) => () { y = Relu(x) }", "net: the model has no outputs"),
        ("net (float[2] x, float[3] z) => (y) { y = Add(x, z) }", "net: Add 'y': "),
        ("net (float[2] x) => (y) { y = Constant() }", "Constant 'y': must have one value"),
        ("net (bool c) => (y) { y = If(c) <then_branch = 3, else_branch = 4> }", "'then_branch' must be a graph"),
    ],
)
def test_graphs_that_are_not_sound(text: str, message: str) -> None:
    with pytest.raises(ImporterError, match=message):
        import_onnx(model(text))
