"""Attention of com.microsoft that keeps keys and values, against ONNX Runtime; and bfloat16."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import edge_rt
import exporter
from edge_rt.errors import UnsupportedError
from exporter.importers.onnx import import_onnx
from tests.test_importer_fused import normal, one_node

HEADS, GROUPS, SIZE = 8, 2, 32
COS, SIN = np.cos(normal(64, SIZE // 2)), np.sin(normal(64, SIZE // 2))
ROTARY = {"do_rotary": 1}


def group_query(
    steps: int, past: int, *, batch: int = 1, room: int = 0, packed: bool = False, angles: Any = (COS, SIN),
    **attributes: Any,
) -> tuple[Any, dict[str, Any]]:
    """A node that sees `past` earlier steps, in a cache of `room` (by default no more than these)."""
    widths = (HEADS * SIZE, GROUPS * SIZE, GROUPS * SIZE)
    parts: list[Any] = [normal(batch, steps, w, seed=i) for i, w in enumerate(widths)]
    if packed:
        parts = [np.concatenate(parts, axis=2), None, None]
    caches = [normal(batch, GROUPS, room or past, SIZE, seed=i) for i in (5, 6)]
    for cache in caches:  # what lies behind a row's end is nobody's; ONNX Runtime clears it
        cache[:, :, past:] = 0
    last, total = np.full(batch, past + steps - 1, np.int32), np.array(past + steps, np.int32)
    rotary = list(angles) if attributes.get("do_rotary") else []
    return one_node(
        "GroupQueryAttention", [*parts, *caches, last, total, *rotary], 3, {7, 8} if rotary else set(), 17,
        num_heads=HEADS, kv_num_heads=GROUPS, **attributes,
    )  # fmt: skip


def attention(past: int, mask: bool = False, **attributes: Any) -> tuple[Any, dict[str, Any]]:
    inputs: list[Any] = [normal(2, 5, 32), normal(32, 96, seed=1), normal(96, seed=2), None, None]
    if mask:
        inputs[3] = np.array([[1] * (past + 4) + [0], [1] * (past + 2) + [0] * 3], np.int32)
    if past:
        inputs[4] = normal(2, 2, 4, past, 8, seed=3)
    return one_node("Attention", inputs, 2, {1, 2}, 17, num_heads=4, **attributes)


CASES = {
    "prompt": lambda: group_query(5, 0),
    "prompt, rotary": lambda: group_query(5, 0, **ROTARY),
    "token": lambda: group_query(1, 6, scale=0.2),
    "token, rotary": lambda: group_query(1, 6, **ROTARY),
    "token, interleaved": lambda: group_query(1, 6, rotary_interleaved=1, **ROTARY),
    "token, part of a head": lambda: group_query(1, 6, angles=(COS[:, :8], SIN[:, :8]), **ROTARY),
    "token, more room": lambda: group_query(1, 6, room=12, **ROTARY),
    "tokens of two rows": lambda: group_query(1, 9, batch=2, **ROTARY),
    "packed": lambda: group_query(1, 9, packed=True, **ROTARY),
    "window": lambda: group_query(1, 9, local_window_size=4),
    "capped": lambda: group_query(1, 9, softcap=5.0),
    "one matrix, no past": lambda: attention(0, unidirectional=1),
    "one matrix, past": lambda: attention(7),
    "one matrix, past, causal": lambda: attention(7, unidirectional=1),
    "one matrix, past, mask": lambda: attention(7, mask=True),
}


@pytest.mark.parametrize("name", CASES)
def test_as_in_onnx_runtime(name: str, tmp_path: Path) -> None:
    made, feeds = CASES[name]()
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, feeds)
    report = exporter.export(made, tmp_path / "m.edge", test_vectors=False)
    assert name.startswith("prompt") or not report.numpy_steps  # the room of a prompt is known in the call only
    result = edge_rt.load(tmp_path / "m.edge").run(feeds)
    assert list(result) == [o.name for o in made.graph.output]
    for got, want in zip(result.values(), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-5)


def test_rows_with_pasts_of_their_own(tmp_path: Path) -> None:
    made, feeds = group_query(1, 9, batch=2, **ROTARY)
    feeds["i5"] = np.array([9, 4], np.int32)
    expected = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)
    exporter.export(made, tmp_path / "m.edge", test_vectors=False)
    got = edge_rt.load(tmp_path / "m.edge").run(feeds)
    np.testing.assert_allclose(got["o0"], expected[0], rtol=1e-4, atol=2e-5)
    for name, want in zip(("o1", "o2"), expected[1:]):
        np.testing.assert_allclose(got[name][0], want[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(got[name][1][:, :5], want[1][:, :5], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["smooth_softmax", "qk_output"])
def test_what_is_left_out_is_named(name: str) -> None:
    made, _ = group_query(1, 6, **{name: 1})
    with pytest.raises(UnsupportedError, match=name):
        import_onnx(made)


@pytest.mark.parametrize("external", [False, True])
def test_bfloat16_is_read_as_float32(external: bool, tmp_path: Path) -> None:
    weights = normal(16, 8)
    halves = weights.view(np.uint32) >> 16
    raw = halves.astype(np.uint16).tobytes()
    tensor = helper.make_tensor("w", TensorProto.BFLOAT16, weights.shape, raw, raw=True)
    if external:
        (tmp_path / "w.bin").write_bytes(raw)
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="w.bin")
    nodes = [
        helper.make_node("Cast", ["x"], ["half"], to=TensorProto.BFLOAT16),
        helper.make_node("MatMul", ["half", "w"], ["product"]),
        helper.make_node("Cast", ["product"], ["y"], to=TensorProto.FLOAT),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 16])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 8])
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y], [tensor]), opset_imports=[helper.make_opsetid("", 17)])
    (tmp_path / "m.onnx").write_bytes(model.SerializeToString())
    report = exporter.export(tmp_path / "m.onnx", tmp_path / "m.edge", test_vectors=False)
    assert any("bfloat16" in note for note in report.notes)
    given = normal(3, 16, seed=1)
    got = edge_rt.load(tmp_path / "m.edge").run({"x": given})["y"]
    np.testing.assert_allclose(got, given @ (halves << 16).view(np.float32), rtol=1e-5, atol=1e-5)
