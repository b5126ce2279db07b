"""Support vector machines and encoders of ai.onnx.ml, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper

import edge_rt
import exporter
from edge_rt.errors import DataError, UnsupportedError
from exporter.importers.onnx import import_onnx

ML = "ai.onnx.ml"
Array = np.ndarray[Any, Any]


def normal(*shape: int, seed: int = 0, mean: float = 0.0) -> Array:
    return (np.random.default_rng([seed, *shape]).standard_normal(shape) + mean).astype(np.float32)


def one_node(op: str, x: Array, outputs: int, **attributes: Any) -> Any:
    node = helper.make_node(op, ["x"], [f"y{i}" for i in range(outputs)], "node", domain=ML, **attributes)
    inputs = [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), ["n", *x.shape[1:]])]
    graph = helper.make_graph([node], "g", inputs, [onnx.ValueInfoProto(name=name) for name in node.output])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(ML, 4 if op == "LabelEncoder" else 3)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def both(model: Any, x: Array, folder: Path) -> tuple[list[Array], list[Array]]:
    """Outputs of edge-rt and of ONNX Runtime."""
    exporter.export(model, folder / "m.edge", test_vectors=False)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    device = edge_rt.load(folder / "m.edge")
    assert all(kernel != "numpy" for step in device.plan({"x": x.shape}).steps for kernel in step.kernels)
    return list(device.run({"x": x}).values()), list(session.run(None, {"x": x}))


KERNELS = {
    "linear": ("LINEAR", [0.0, 0.0, 0.0], 0.0),
    "rbf": ("RBF", [0.3, 0.0, 0.0], 0.0),
    "rbf, far from zero": ("RBF", [0.3, 0.0, 0.0], 300.0),
    "squares": ("POLY", [0.2, 0.5, 2.0], 0.0),
    "cubes": ("POLY", [0.2, -0.5, 3.0], 0.0),
    "sigmoid": ("SIGMOID", [0.1, 0.2, 0.0], 0.0),
}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("one_class", [0, 1])
def test_regressors(kernel: str, one_class: int, tmp_path: Path) -> None:
    kind, parameters, mean = KERNELS[kernel]
    x, vectors = normal(40, 5, mean=mean), normal(7, 5, seed=1, mean=mean)
    model = one_node(
        "SVMRegressor", x, 1, kernel_type=kind, kernel_params=parameters, n_supports=7, one_class=one_class,
        support_vectors=vectors.ravel().tolist(), coefficients=normal(7, seed=2).tolist(), rho=[0.25],
    )  # fmt: skip
    (got,), (want,) = both(model, x, tmp_path)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * np.abs(want).max(), strict=True)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_linear_regressor(dtype: Any, tmp_path: Path) -> None:
    x = normal(4, 5).astype(dtype)
    model = one_node(
        "SVMRegressor", x, 1, coefficients=[1.0, 2.0, 3.0, 4.0, 5.0], rho=[0.5], kernel_params=[0.0, 0.0, 0.0]
    )
    if dtype is np.float32:
        (got,), (want,) = both(model, x, tmp_path)
    else:  # ONNX Runtime takes float32 only
        exporter.export(model, tmp_path / "m.edge", test_vectors=False)
        got, want = edge_rt.load(tmp_path / "m.edge")(x), (x @ np.arange(1, 6) + 0.5).astype(np.float32)[:, None]
    np.testing.assert_allclose(got, want, rtol=1e-6, strict=True)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("sizes", [[3, 4], [2, 3, 2], [1, 2, 3, 1]])
def test_classifiers(kernel: str, sizes: list[int], tmp_path: Path) -> None:
    kind, parameters, mean = KERNELS[kernel]
    classes, count = len(sizes), sum(sizes)
    x, vectors = normal(60, 5, mean=mean), normal(count, 5, seed=1, mean=mean)
    model = one_node(
        "SVMClassifier", x, 2, kernel_type=kind, kernel_params=parameters, vectors_per_class=sizes,
        support_vectors=vectors.ravel().tolist(), coefficients=normal((classes - 1) * count, seed=2).tolist(),
        rho=(0.01 * normal(classes * (classes - 1) // 2, seed=3)).tolist(), classlabels_ints=list(range(5, 5 + classes)),
    )  # fmt: skip
    got, want = both(model, x, tmp_path)
    assert len(set(want[0].tolist())) > 1
    np.testing.assert_array_equal(got[0], want[0], strict=True)
    np.testing.assert_allclose(got[1], want[1], rtol=0, atol=1e-5 * np.abs(want[1]).max(), strict=True)


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"prob_a": [0.1], "prob_b": [0.1]}, "attribute 'prob_a': probabilities"),
        ({"post_transform": "SOFTMAX"}, "attribute 'post_transform'"),
        ({"classlabels_ints": None, "classlabels_strings": ["a", "b"]}, "class labels that are strings"),
        ({"vectors_per_class": None}, "without 'vectors_per_class'"),
    ],
)
def test_classifiers_that_are_refused(attributes: dict[str, Any], says: str) -> None:
    given = {
        "kernel_params": [0.0] * 3, "vectors_per_class": [1, 1], "support_vectors": [1.0] * 6, "coefficients": [1.0] * 2,
        "rho": [0.0], "classlabels_ints": [0, 1], **attributes,
    }  # fmt: skip
    with pytest.raises(UnsupportedError, match=says):
        import_onnx(one_node("SVMClassifier", normal(2, 3), 2, **{k: v for k, v in given.items() if v is not None}))


PLACES = np.array([[3, 9, -2], [4, 3, 100]])


@pytest.mark.parametrize(
    ("dtype", "attributes"),
    [
        (np.int64, {"keys_int64s": [9, 3, -2], "values_int64s": [1, 2, 2], "default_int64": 77}),
        (np.int64, {"keys_int64s": [9, 3, -2], "values_floats": [0.5, 1.5, 2.5]}),
        (np.float32, {"keys_floats": [9.0, 3.0], "values_int64s": [7, 8]}),
        (np.float32, {"keys_floats": [9.0, 3.0], "values_floats": [0.5, 1.5], "default_float": -3.0}),
    ],
)
def test_label_encoders(dtype: Any, attributes: dict[str, Any], tmp_path: Path) -> None:
    x = PLACES.astype(dtype)
    (got,), (want,) = both(one_node("LabelEncoder", x, 1, **attributes), x, tmp_path)
    np.testing.assert_array_equal(got, want, strict=True)


@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_one_hot_encoders(dtype: Any, tmp_path: Path) -> None:
    x = PLACES.astype(dtype)
    (got,), (want,) = both(one_node("OneHotEncoder", x, 1, cats_int64s=[9, 3, -2, 5], zeros=1), x, tmp_path)
    np.testing.assert_array_equal(got, want, strict=True)


def test_a_number_that_is_no_category(tmp_path: Path) -> None:
    encoder = one_node("OneHotEncoder", PLACES, 1, cats_int64s=[3, 4], zeros=0)
    exporter.export(encoder, tmp_path / "m.edge", test_vectors=False)
    model = edge_rt.load(tmp_path / "m.edge")
    np.testing.assert_array_equal(model(np.array([[3, 4, 3]])), [[[1, 0], [0, 1], [1, 0]]])
    with pytest.raises(DataError, match="node"):
        model(PLACES)


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"keys_strings": ["a"], "values_int64s": [1]}, "attribute 'keys': only numbers"),
        ({"keys_int64s": [1], "values_strings": ["a"]}, "attribute 'values': only numbers"),
        ({"keys_int64s": [1, 1], "values_int64s": [1, 2]}, "keys that are not different numbers"),
        ({"keys_floats": [1.0, np.nan], "values_int64s": [1, 2]}, "keys that are not different numbers"),
    ],
)
def test_encoders_that_are_refused(attributes: dict[str, Any], says: str) -> None:
    with pytest.raises(UnsupportedError, match=says):
        import_onnx(one_node("LabelEncoder", PLACES, 1, **attributes))
