"""Operators that ONNX Runtime's optimiser and quantisers write, against ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import edge_rt
import exporter
from edge_rt.errors import UnsupportedError
from exporter.importers.onnx import import_onnx
from exporter.importers.onnx._nibbles import decode_blocks
from tests.onnx_models import run

MS = "com.microsoft"
Array = np.ndarray[Any, Any]


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(np.float32)


def one_node(op: str, inputs: list[Array | None], outputs: int, constants: set[int], opset: int, **attributes: Any) -> Any:
    """(model of one node, its feeds by name). constants: positions of inputs that are initializers."""
    names = [f"i{i}" if x is not None else "" for i, x in enumerate(inputs)]
    domain = "" if op == "SimplifiedLayerNormalization" else MS
    node = helper.make_node(op, names, [f"o{i}" for i in range(outputs)], "node", domain=domain, **attributes)
    given = {n: x for n, x in zip(names, inputs) if x is not None}
    fixed = {names[i] for i in constants}
    graph = helper.make_graph(
        [node],
        "g",
        [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for n, x in given.items() if n not in fixed
        ],
        [onnx.ValueInfoProto(name=name) for name in node.output],
        [numpy_helper.from_array(x, n) for n, x in given.items() if n in fixed],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), helper.make_opsetid(MS, 1)], ir_version=8)
    return made, {n: x for n, x in given.items() if n not in fixed}


X, HALF = normal(2, 5, 16), normal(2, 5, 8)
IDS = np.array([[1, 4, 2], [0, 3, 3]], np.int32)
MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 0]], np.int32)
EMBEDDINGS = [normal(6, 16, seed=1), normal(8, 16, seed=2), normal(2, 16, seed=3), normal(16, seed=4), normal(16, seed=5)]
ANGLES = normal(9, 2, seed=6)
CASES: dict[str, tuple[str, list[Array | None], int, set[int], dict[str, Any]]] = {
    "bias gelu": ("BiasGelu", [X, normal(16)], 1, {1}, {}),
    "fast gelu": ("FastGelu", [X], 1, set(), {}),
    "fast gelu with bias": ("FastGelu", [X, normal(16)], 1, {1}, {}),
    "quick gelu": ("QuickGelu", [X], 1, set(), {"alpha": 1.5}),
    "simplified": ("SimplifiedLayerNormalization", [X, normal(16)], 1, {1}, {"axis": -1, "epsilon": 1e-6}),
    "skip": ("SkipLayerNormalization", [X, X[::-1].copy(), normal(16), normal(16, seed=1)], 1, {2, 3}, {"epsilon": 1e-5}),
    "skip, all": (
        "SkipLayerNormalization", [X, X[::-1].copy(), normal(16), normal(16, seed=1), normal(16, seed=2)], 4, {2, 3, 4}, {}
    ),
    "skip, simplified": ("SkipSimplifiedLayerNormalization", [X, X[::-1].copy(), normal(16)], 1, {2}, {"epsilon": 1e-5}),
    "embeddings": (
        "EmbedLayerNormalization", [IDS, IDS % 2, *EMBEDDINGS, np.array([[1, 1, 0], [1, 1, 1]], np.int32)], 2,
        {2, 3, 4, 5, 6}, {},
    ),
    "embeddings, few": (
        "EmbedLayerNormalization", [IDS, None, *EMBEDDINGS[:2], None, *EMBEDDINGS[3:]], 2, {2, 3, 5, 6}, {"epsilon": 1e-5}
    ),
    "attention": ("Attention", [X, normal(16, 48), normal(48)], 1, {1, 2}, {"num_heads": 4}),
    "attention, mask": (
        "Attention", [X, normal(16, 48), normal(48), MASK], 1, {1, 2}, {"num_heads": 2, "unidirectional": 1}
    ),
    "attention, lengths": (
        "Attention", [X, normal(16, 48), normal(48), np.array([3, 5], np.int32)], 1, {1, 2}, {"num_heads": 2}
    ),
    "attention, bias of scores": (
        "Attention", [X, normal(16, 48), normal(48), None, None, normal(1, 2, 5, 5)], 1, {1, 2},
        {"num_heads": 2, "scale": 0.3},
    ),
    "heads": ("MultiHeadAttention", [X, normal(2, 7, 16), normal(2, 7, 16, seed=1)], 1, set(), {"num_heads": 2}),
    "heads, bias and mask": (
        "MultiHeadAttention", [X, X[::-1].copy(), X * 2, normal(48), MASK], 1, {3}, {"num_heads": 4, "scale": 0.2}
    ),
    "heads, past": (
        "MultiHeadAttention",
        [X, X[::-1].copy(), X * 2, None, None, None, normal(2, 4, 3, 4), normal(2, 4, 3, 4, seed=1)], 3, set(),
        {"num_heads": 4},
    ),
    "rotary": (
        "RotaryEmbedding", [normal(2, 2, 5, 4), np.arange(10).reshape(2, 5) % 9, ANGLES, ANGLES[::-1].copy()], 1, {2, 3},
        {"interleaved": 1},
    ),
    "rotary from a place on": (
        "RotaryEmbedding", [HALF, np.array([3]), ANGLES, ANGLES[::-1].copy()], 1, {2, 3}, {"num_heads": 2}
    ),
    "16 bits": ("QuantizeLinear", [X, np.asarray(0.001, np.float32), np.asarray(30000, np.uint16)], 1, {1, 2}, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_as_in_onnx_runtime(name: str, tmp_path: Path) -> None:
    op, inputs, outputs, constants, attributes = CASES[name]
    made, feeds = one_node(op, inputs, outputs, constants, 17, **attributes)
    if name == "skip, all":  # mean and deviation are left out
        made.graph.node[0].output[1] = made.graph.node[0].output[2] = ""
        del made.graph.output[1:3]
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, feeds)
    exporter.export(made, tmp_path / "m.edge", test_vectors=False)
    result = edge_rt.load(tmp_path / "m.edge").run(feeds)
    assert list(result) == [o.name for o in made.graph.output]
    for got, want in zip(result.values(), expected):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "says"),
    [
        ("SkipLayerNormalization", [X, X, normal(16)], {}, "output 1 is not supported"),
        (
            "Attention",
            [X, normal(16, 48), None, None, normal(2, 2, 4, 3, 4), None, np.array(3, np.int32)],
            {"num_heads": 4, "past_present_share_buffer": 1},
            "input 'past_sequence_length'",
        ),
        ("MultiHeadAttention", [normal(2, 5, 4, 3, 4), None, None], {"num_heads": 4}, "packed or of rank 4"),
        ("RotaryEmbedding", [HALF, np.array([3]), ANGLES, ANGLES], {"num_heads": 2, "scale": 0.5}, "'scale'"),
    ],
)
def test_what_is_left_out_is_named(op: str, inputs: list[Any], attributes: dict[str, Any], says: str) -> None:
    made, _ = one_node(op, inputs, 2 if op == "SkipLayerNormalization" else 1, set(), 17, **attributes)
    with pytest.raises(UnsupportedError, match=rf"com\.microsoft\.{op} \('node': .*{says}"):
        import_onnx(made)


# ---- weights of few bits --------------------------------------------------------------------------------------------


def packed(q: Array, bits: int) -> Array:
    """Numbers as bytes, the lowest bits first, along the last axis."""
    each = 8 // bits
    padded = np.pad(q, [(0, 0)] * (q.ndim - 1) + [(0, -q.shape[-1] % each)]).reshape(*q.shape[:-1], -1, each)
    return np.asarray((padded << (np.arange(each) * bits)).sum(-1), np.uint8)


@pytest.mark.parametrize(("bits", "block", "k", "zeros"), [
    (4, 16, 40, "none"), (4, 32, 64, "packed"), (4, 16, 48, "numbers"), (8, 32, 64, "packed"), (4, 64, 200, "packed"),
])  # fmt: skip
def test_products_with_weights_of_few_bits(bits: int, block: int, k: int, zeros: str, tmp_path: Path) -> None:
    rng, n, blocks = np.random.default_rng(k), 24, -(-k // block)
    q = rng.integers(0, 1 << bits, (n, blocks, block))
    scales = rng.uniform(0.01, 0.1, (n, blocks)).astype(np.float32)
    points = rng.integers(0, 1 << bits, (n, blocks))
    zero = {"none": None, "packed": packed(points, bits), "numbers": points.astype(np.float32)}[zeros]
    x, bias = normal(3, k), normal(n)
    inputs = [x, packed(q, bits), scales, zero, None, bias]
    made, feeds = one_node("MatMulNBits", inputs, 1, {1, 2, 3, 5} if zero is not None else {1, 2, 5}, 17,
                           N=n, K=k, bits=bits, block_size=block)  # fmt: skip
    real = (q - (1 << (bits - 1) if zero is None else points[:, :, None])) * scales[:, :, None].astype(np.float64)
    want = x @ real.reshape(n, -1)[:, :k].T + bias
    report = exporter.export(made, tmp_path / "m.edge", test_vectors=False)
    np.testing.assert_allclose(edge_rt.load(tmp_path / "m.edge").run(feeds)["o0"], want, rtol=1e-4, atol=1e-4)
    if k % block == 0 and zeros != "numbers":
        assert report.weight_bytes < 0.5 * 4 * n * k
    if bits == 4 and zeros != "numbers":
        session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
        np.testing.assert_allclose(session.run(None, feeds)[0], want, rtol=1e-3, atol=1e-3)


def test_what_does_not_fit_is_refused() -> None:
    for broken in ({"bits": 3}, {"block_size": 0}, {"N": 7}, {"K": 4000}):
        inputs: list[Array | None] = [normal(1, 32), np.zeros((4, 2, 8), np.uint8), np.ones((4, 2), np.float32)]
        attributes = {"N": 4, "K": 32, "bits": 4, "block_size": 16, **broken}
        made, _ = one_node("MatMulNBits", inputs, 1, {1, 2}, 17, **attributes)
        with pytest.raises(UnsupportedError, match=r"MatMulNBits \('node': weights"):
            import_onnx(made)


def test_two_bits() -> None:
    q = np.arange(32).reshape(2, 1, 16) % 4
    made = decode_blocks(packed(q, 2), np.full((2, 1), 0.5, np.float32), None, 2, 16, 2, 16)
    np.testing.assert_array_equal(made, (q[:, 0] - 2) * 0.5)


@pytest.mark.parametrize("kind", [TensorProto.INT4, TensorProto.UINT4])
@pytest.mark.parametrize("is_external", [False, True])
def test_constants_of_4_bits(kind: int, is_external: bool, tmp_path: Path) -> None:
    low = -8 if kind == TensorProto.INT4 else 0
    q = np.random.default_rng(kind).integers(low, low + 16, (5, 6))
    zero, scale = q[:, :2] // 2, np.full((5, 2), 0.25, np.float32)
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["f"], block_size=3, axis=1),
        helper.make_node("MatMul", ["x", "f"], ["y"]),
    ]
    weights = helper.make_tensor("w", kind, q.shape, q.ravel().tolist())
    raw = packed(q.reshape(1, -1) & 15, 4).tobytes()
    if is_external:
        (tmp_path / "w.bin").write_bytes(b"....." + raw)
        weights = onnx.TensorProto(name="w", data_type=kind, dims=q.shape, data_location=TensorProto.EXTERNAL)
        entries = {"location": "w.bin", "offset": "5", "length": str(len(raw))}
        weights.external_data.extend(onnx.StringStringEntryProto(key=k, value=v) for k, v in entries.items())
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 5])], [onnx.ValueInfoProto(name="y")],
        [weights, numpy_helper.from_array(scale, "s"), helper.make_tensor("z", kind, zero.shape, zero.ravel().tolist())],
    )  # fmt: skip
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    x = normal(2, 5)
    want = x @ ((q - zero.repeat(3, axis=1)) * 0.25)
    np.testing.assert_allclose(run(import_onnx(tmp_path / "m.onnx"), x)[0], want, rtol=1e-5, atol=1e-5)
    made.graph.node.append(helper.make_node("Identity", ["w"], ["q"]))
    with pytest.raises(UnsupportedError, match=r"unsupported type: u?int4"):
        import_onnx(made)
