"""Constants of an ONNX file: in all forms and fields, sparse, in files beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_rt.errors import ImporterError
from edge_rt.types import ELEMENT_TYPES, DType
from exporter.importers.onnx import import_onnx
from tests.onnx_models import model, run, with_initializer


def test_constants_of_all_forms() -> None:
    made = model(
        """g (float[2] x) => (float[2] a, float[2] b, int64[2] c, float[2] d) {
            f = Constant<value_float = 2.0>()
            fs = Constant<value_floats = [1.0, 2.0]>()
            i = Constant<value_int = 3>()
            is = Constant<value_ints = [1, 2]>()
            t = Constant<value = float[2] {5.0, 6.0}>()
            a = Mul(x, f)
            b = Add(x, fs)
            c = Add(is, i)
            d = Add(x, t)
        }"""
    )
    a, b, c, d = run(import_onnx(made), [1, 2])
    assert a.tolist() == [2, 4]
    assert b.tolist() == [2, 4]
    assert c.tolist() == [4, 5]
    assert c.dtype == np.int64
    assert d.tolist() == [6, 8]


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("dtype", ELEMENT_TYPES)
def test_tensors_in_raw_and_typed_fields(dtype: DType, raw: bool) -> None:
    array = np.array([[7, 100, 0]]).astype(dtype.numpy)
    element = helper.np_dtype_to_tensor_dtype(array.dtype)
    values = array.tobytes() if raw else array.ravel()
    tensor = helper.make_tensor("w", element, array.shape, values, raw=raw)
    made = model("g () => (y) { y = Identity(w) }")
    made.graph.initializer.append(tensor)
    (got,) = run(import_onnx(made))
    np.testing.assert_array_equal(got, array, strict=True)


@pytest.mark.parametrize("indices", [[1, 5], [[0, 1], [1, 2]]])
def test_sparse_initializers_become_dense(indices: Any) -> None:
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("w", TensorProto.FLOAT, [2], [4.0, 5.0]), numpy_helper.from_array(np.array(indices)), [2, 3]
    )
    made = model("g () => (y) { y = Identity(w) }")
    made.graph.sparse_initializer.append(sparse)
    assert run(import_onnx(made))[0].tolist() == [[0, 4, 0], [0, 0, 5]]


def test_initializers_among_the_inputs_are_constants() -> None:
    made = with_initializer(numpy_helper.from_array(np.ones(2, np.float32), "w"))
    made.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, [2]))
    graph = import_onnx(made)
    assert [v.name for v in graph.inputs] == ["x"]
    assert run(graph, [1, 2])[0].tolist() == [2, 3]


def test_external_data(tmp_path: Path) -> None:
    made = with_initializer(numpy_helper.from_array(np.array([3, 4], np.float32), "w"))
    onnx.save(made, tmp_path / "net.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    assert run(import_onnx(tmp_path / "net.onnx"), [1, 2])[0].tolist() == [4, 6]
    with pytest.raises(ImporterError, match=r"initializer 'w': is stored in 'weights.bin' beside the model"):
        import_onnx((tmp_path / "net.onnx").read_bytes())
    (tmp_path / "weights.bin").write_bytes(b"1234")
    with pytest.raises(ImporterError, match=r"'weights.bin' ends before byte 8"):
        import_onnx(tmp_path / "net.onnx")


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "", "."])
def test_external_data_stays_below_the_model(location: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(8))
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / "net.onnx"
    path.write_bytes(with_initializer(tensor).SerializeToString())
    with pytest.raises(ImporterError, match="must lie below the model's folder"):
        import_onnx(path)
