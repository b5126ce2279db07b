"""Models with float16 activations: exported, run by kernels, and compared with ONNX Runtime and with the exact results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import numpy_helper, parser

import exporter as ex
from edge_rt.bundle.inspect import summarize
from edge_rt.interpreter import evaluate
from edge_rt.model import load
from exporter.importers.onnx import import_onnx
from tests.cases._case import normal

Array = np.ndarray[Any, Any]
EPS = 2.0**-11
"""The largest relative error of rounding to float16."""

CONV = """(T[1, 3, 17, 17] x) => (T[1, 10] y) {
    c = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]>(x, w, b)
    r = Relu(c)
    d = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1], group = 32>(r, depthwise)
    s = Add(d, r)
    p = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(s)
    e = Conv<kernel_shape = [1, 1]>(p, pointwise)
    n = BatchNormalization(e, gamma, beta, mean, var)
    g = GlobalAveragePool(n)
    f = Flatten(g)
    l = Gemm<transB = 1>(f, dense, dense_bias)
    y = Softmax(l)
}"""
MLP = """(T[n, 40] x) => (T[n, 7] y) {
    a = Gemm<transB = 1>(x, w1, b1)
    h = Tanh(a)
    m = MatMul(h, w2)
    g = Add(m, b2)
    y = Sigmoid(g)
}"""
ATTENTION = """(T[1, s, 32] x) => (T[1, s, 32] y) {
    n = LayerNormalization<axis = -1>(x, gamma, beta)
    q = MatMul(n, wq)
    k = MatMul(n, wk)
    v = MatMul(n, wv)
    heads = Constant<value_ints = [0, 0, 4, 8]>()
    flat = Constant<value_ints = [0, 0, 32]>()
    q4 = Reshape(q, heads)
    k4 = Reshape(k, heads)
    v4 = Reshape(v, heads)
    qt = Transpose<perm = [0, 2, 1, 3]>(q4)
    kt = Transpose<perm = [0, 2, 3, 1]>(k4)
    vt = Transpose<perm = [0, 2, 1, 3]>(v4)
    scores = MatMul(qt, kt)
    scaled = Mul(scores, scale)
    p = Softmax<axis = -1>(scaled)
    mixed = MatMul(p, vt)
    mt = Transpose<perm = [0, 2, 1, 3]>(mixed)
    m = Reshape(mt, flat)
    o = MatMul(m, wo)
    y = Add(o, x)
}"""
LSTM = """(T[9, 2, 12] x) => (T[9, 1, 2, 16] y, T[1, 2, 16] h) {
    y, h, c = LSTM<hidden_size = 16>(x, w, r, b)
}"""
MIXED = """(float[2, 24] x) => (float[2, 24] y) {
    half = Cast<to = 10>(x)
    m = MatMul(half, w)
    wide = Cast<to = 1>(m)
    square = Mul(wide, wide)
    mean = ReduceMean<keepdims = 1>(square, axes)
    root = Sqrt(mean)
    normed = Div(wide, root)
    back = Cast<to = 10>(normed)
    o = MatMul(back, v)
    y = Cast<to = 1>(o)
}"""
WEIGHTS: dict[str, dict[str, tuple[int, ...]]] = {
    CONV: {
        "w": (32, 3, 3, 3), "b": (32,), "depthwise": (32, 1, 3, 3), "pointwise": (64, 32, 1, 1), "gamma": (64,),
        "beta": (64,), "mean": (64,), "var": (64,), "dense": (10, 64), "dense_bias": (10,),
    },
    MLP: {"w1": (64, 40), "b1": (64,), "w2": (64, 7), "b2": (7,)},
    ATTENTION: {"gamma": (32,), "beta": (32,), "scale": (), **dict.fromkeys(("wq", "wk", "wv", "wo"), (32, 32))},
    LSTM: {"w": (1, 64, 12), "r": (1, 64, 16), "b": (1, 128)},
    MIXED: {"w": (24, 24), "v": (24, 24)},
}  # fmt: skip
NETS = {"conv": CONV, "mlp": MLP, "attention": ATTENTION, "lstm": LSTM, "mixed": MIXED}


def net(text: str, dtype: str, scale: float = 0.2) -> Any:
    """The model with its values in a dtype, and weights that are numbers of float16."""
    written = text.replace("T[", f"{dtype}[")
    made = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 18]> net {written}')
    single = dtype == "float"
    for seed, (name, shape) in enumerate(WEIGHTS[text].items()):
        data = np.asarray(normal(*shape, seed=seed, scale=scale)).astype(np.float16)
        data = np.abs(data) + np.float16(0.5) if name in ("var", "gamma", "scale") else data
        made.graph.initializer.append(numpy_helper.from_array(data.astype(np.float32) if single else data, name))
    made.graph.initializer.append(numpy_helper.from_array(np.array([-1], np.int64), "axes"))
    return made


def given(model: Any) -> Array:
    info = model.graph.input[0].type.tensor_type
    shape = [d.dim_value or 5 for d in info.shape.dim]
    data = normal(*shape, seed=50)
    return data.astype(np.float16) if info.elem_type == 10 else data


def off(got: list[Array], exact: list[Array]) -> float:
    """The largest difference, relative to the largest magnitude."""
    return max(float(np.abs(a.astype(np.float64) - b).max() / np.abs(b).max()) for a, b in zip(got, exact, strict=True))


def large_dtypes(path: Path) -> set[str]:
    """The element types of the large tensors of a bundle."""
    return {t["dtype"] for t in summarize(path)["tensors"] if t["use"] == "constant" and t["nbytes"] >= 4096}


@pytest.mark.parametrize("name", NETS)
def test_is_as_near_as_float16_and_agrees_with_onnxruntime(name: str, tmp_path: Path) -> None:
    model = net(NETS[name], "float16")
    x = given(model)
    by_onnxruntime = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    in_float16 = evaluate(import_onnx(model), [x])
    path = tmp_path / "net.edge"
    report = ex.export(model, path, inputs={"x": x}, verify=True)
    assert not report.numpy_steps
    with load(path) as loaded:
        made = loaded.run({"x": x})
    assert [a.dtype for a in made.values()] == [a.dtype for a in by_onnxruntime]
    assert off(list(made.values()), by_onnxruntime) <= 4 * EPS
    if name != "mixed":
        exact = evaluate(import_onnx(net(NETS[name], "float")), [x.astype(np.float32)])
        assert off(list(made.values()), exact) <= max(off(in_float16, exact), EPS)


def test_weights_are_stored_as_float16_also_where_a_scale_was_folded(tmp_path: Path) -> None:
    path = tmp_path / "net.edge"
    report = ex.export(net(CONV, "float16"), path, test_vectors=False)
    assert {w.kind for w in report.weights} == {"float16"}
    assert any(w.is_rounded for w in report.weights)
    assert large_dtypes(path) == {"float16"}


def test_a_bundle_is_as_large_as_the_model(tmp_path: Path) -> None:
    model = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 18]> net (float16[n, 256] x) => (float16[n, 64] y) '
        "{ h = Gemm<transB = 1>(x, w, b) r = Relu(h) y = MatMul(r, v) }"
    )
    for name, shape in (("w", (320, 256)), ("b", (320,)), ("v", (320, 64))):
        model.graph.initializer.append(numpy_helper.from_array(normal(*shape).astype(np.float16), name))
    report = ex.export(model, tmp_path / "net.edge", test_vectors=False)
    assert not any(w.is_rounded for w in report.weights)
    assert report.file_bytes <= 1.02 * model.ByteSize()


def test_weights_of_which_some_are_float32_are_not_rounded(tmp_path: Path) -> None:
    model = net(CONV, "float16")
    single = numpy_helper.from_array(normal(64, 64, seed=9), "single")
    model.graph.initializer.append(single)
    extra = parser.parse_graph("g (float[64, 64] single) => (float[64, 64] z) { z = Exp(single) }")
    model.graph.node.extend(extra.node)
    model.graph.output.extend(extra.output)
    report = ex.export(model, tmp_path / "net.edge", test_vectors=False)
    assert not any(w.is_rounded for w in report.weights)


class HalfDense(ex.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = ex.Variable(normal(64, 96, scale=0.1).astype(np.float16), name="w")
        self.v = ex.Variable(normal(96, 8, scale=0.1).astype(np.float16), name="v")

    @ex.function(input_signature=[ex.TensorSpec([None, 64])])
    def __call__(self, x: Any) -> Any:
        return ex.cast(ex.nn.relu(ex.cast(x, "float16") @ self.w) @ self.v, "float32")


def test_mixed_precision_that_was_written_here(tmp_path: Path) -> None:
    module, x = HalfDense(), normal(3, 64)
    eager = np.asarray(module(x))
    report = ex.export(module, tmp_path / "exported.edge", verify=True)
    assert not report.numpy_steps
    ex.save(module, tmp_path / "saved.edge")
    for name in ("exported.edge", "saved.edge"):
        with load(tmp_path / name) as model:
            (made,) = model.run({"x": x}).values()
        assert np.abs(made - eager).max() <= 8 * EPS * np.abs(eager).max()
        assert large_dtypes(tmp_path / name) == {"float16"}


LOOP = """(float16[4] x, int64 n, bool go) => (float16[4] y, float16[k, 4] all) {
    h = Exp(x)
    y, all = Loop(n, go, h) <body = body (int64 i, bool c, float16[4] a) => (bool c_out, float16[4] d, float16[4] e) {
        c_out = Identity(c)
        q = Mul(a, h)
        d = Tanh(q)
        e = Sqrt(d)
    }>
}"""
IF = """(float16[4] x, bool go) => (float16[4] y) {
    h = Exp(x)
    r = If(go) <then_branch = a () => (float16[4] p) { p = Tanh(h) }, else_branch = b () => (float16[4] q) { q = Sqrt(h) }>
    y = Add(r, h)
}"""
QUANTIZE = "(float16[500] x, float16 scale, uint8 zero) => (uint8[500] y) { y = QuantizeLinear(x, scale, zero) }"
X = np.array([0.1, 0.5, -1, 2], np.float16)
FEEDS: dict[str, list[dict[str, Any]]] = {
    LOOP: [{"x": X, "n": np.array(5), "go": np.array(True)}],
    IF: [{"x": X, "go": np.array(True)}, {"x": X, "go": np.array(False)}],
    QUANTIZE: [
        {"x": normal(500, scale=2).astype(np.float16), "scale": np.array(0.037, np.float16), "zero": np.array(120, np.uint8)}
    ],
}


@pytest.mark.parametrize("text", FEEDS, ids=["Loop", "If", "QuantizeLinear"])
def test_gives_what_onnxruntime_gives(text: str, tmp_path: Path) -> None:
    model = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> net {text}')
    session = onnxruntime.InferenceSession(model.SerializeToString())
    path = tmp_path / "net.edge"
    ex.export(model, path, test_vectors=False)
    with load(path) as loaded:
        for feed in FEEDS[text]:
            for got, want in zip(loaded.run(feed).values(), session.run(None, feed), strict=True):
                assert got.dtype == want.dtype
                np.testing.assert_allclose(got.astype(np.float64), want.astype(np.float64), rtol=2 * EPS)
