"""`weights=` of an export: what bundles hold then, how they run, and what the report says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

import exporter
from edge_rt.bundle.inspect import summarize
from edge_rt.errors import VerificationError
from edge_rt.model import load
from edge_rt.verification import replay
from exporter import cli
from exporter.verify import compare
from tests.cases._case import normal

NET = """<ir_version: 10, opset_import: ["" : 18]> net (float[batch, 3, 9, 9] x) => (float[batch, 40] y) {
    c = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, w)
    r = Relu(c)
    p = GlobalAveragePool(r)
    f = Flatten(p)
    m = MatMul(f, v)
    s = Mul(m, table)
    y = Softmax(s)
}"""


def net(levels: int = 0) -> Any:
    """A convolutional net whose weights are random, or integers of so many levels times a scale."""

    def weights(*shape: int) -> np.ndarray[Any, Any]:
        random = normal(*shape, scale=0.1)
        return random if not levels else np.rint(random / 0.4 * levels).astype(np.float32) * np.float32(0.4 / levels)

    made = parser.parse_model(NET)
    for name, shape in (("w", (64, 3, 3, 3)), ("v", (64, 40)), ("table", (40,))):
        made.graph.initializer.append(numpy_helper.from_array(weights(*shape), name))
    return made


def encoded_as(path: Path) -> set[str]:
    """The element types of the large tensors of a bundle."""
    return {t["dtype"] for t in summarize(path)["tensors"] if t["use"] == "constant" and t["nbytes"] >= 1024}


def test_auto_keeps_random_weights_and_stores_integers_as_such(tmp_path: Path) -> None:
    sizes = {}
    for name, levels, dtypes in (("random", 0, {"float32"}), ("int8", 100, {"int8"}), ("int4", 6, {"uint8"})):
        path = tmp_path / f"{name}.edge"
        report = exporter.export(net(levels), path, verify=True)
        sizes[name] = report.file_bytes
        assert encoded_as(path) == dtypes
        assert report.differences[0].relative < 1e-5
        assert {(w.kind, w.is_rounded) for w in report.weights} <= {(name, False)}
    assert sizes["int4"] < sizes["int8"] < 0.5 * sizes["random"]
    plain = exporter.export(net(100), tmp_path / "plain.edge", weights="float32")
    assert plain.weights == []
    assert encoded_as(tmp_path / "plain.edge") == {"float32"}


@pytest.mark.parametrize(("weights", "most"), [("float16", 1e-3), ("int8", 0.02), ("int4", 0.4)])
def test_rounded_weights(weights: str, most: float, tmp_path: Path) -> None:
    path = tmp_path / "net.edge"
    report = exporter.export(net(), path, weights=weights, verify=True)
    assert 0 < report.differences[0].relative < most
    assert "since its weights are rounded" in report.test_vector
    assert f"2 tensors as {weights}: " in str(report)
    assert "rounded by up to" in str(report)
    json.dumps(report.as_dict())
    x = normal(2, 3, 9, 9)
    with load(path) as model, load(path, backend="reference") as reference:
        (found,) = replay(model)
        assert found.ok
        np.testing.assert_allclose(model(x), reference(x), rtol=1e-4)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in "ab":
        exporter.export(net(), tmp_path / name, weights="int4", test_vectors=False)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(net(), tmp_path / "net.onnx")
    assert cli.main([str(tmp_path / "net.onnx"), "--weights", "int8"]) == 0
    assert "2 tensors as int8: " in capsys.readouterr().out
    with pytest.raises(SystemExit):
        cli.main([str(tmp_path / "net.onnx"), "--weights", "int2"])


def test_what_is_not_a_number_is_refused_all_the_same() -> None:
    expected = {"y": np.ones(3, np.float32)}
    (found,) = compare(expected, {"y": np.zeros(3, np.float32)}, refuse=False)
    assert found.relative == 1
    with pytest.raises(VerificationError):
        compare(expected, {"y": np.array([1, np.nan, 1], np.float32)}, refuse=False)
