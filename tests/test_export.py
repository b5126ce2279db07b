"""Export: the bundle, the report, verification, and the edge-export command."""

from __future__ import annotations

import builtins
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

import exporter
from edge_rt.bundle import read
from edge_rt.errors import ImporterError, InputError, UnsupportedError, VerificationError
from edge_rt.interpreter import evaluate
from edge_rt.model import load
from exporter import cli
from exporter.importers import OracleError, format_of
from exporter.importers.onnx._runtime import OnnxRuntime
from exporter.verify import compare, instability, sample_inputs
from tests.cases._case import normal

NET = """net (float[batch, 3, 8, 8] x) => (float[batch, 5] y) {
    c = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, w)
    r = Relu(c)
    p = GlobalAveragePool(r)
    f = Flatten(p)
    m = MatMul(f, v)
    y = Softmax(m)
}"""


def net(text: str = NET, opset: int = 18) -> Any:
    """A small convolutional net, with weights."""
    made = parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}]> {text}')
    made.graph.initializer.append(numpy_helper.from_array(normal(4, 3, 3, 3), "w"))
    made.graph.initializer.append(numpy_helper.from_array(normal(4, 5), "v"))
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    onnx.save(net(), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


# ---- the function ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["path", "text", "bytes", "object"])
def test_sources(kind: str, path: Path, tmp_path: Path) -> None:
    source = {"path": path, "text": str(path), "bytes": path.read_bytes(), "object": onnx.load(path)}[kind]
    report = exporter.export(source, tmp_path / "net.edge")
    assert report.source == (str(path) if kind in ("path", "text") else "net")
    x = normal(2, 3, 8, 8)
    with load(tmp_path / "net.edge", backend="reference") as model:
        got = model(x)
    np.testing.assert_allclose(got, OnnxRuntime(path).run({"x": x})["y"], rtol=1e-5)


def test_the_same_model_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    exporter.export(path, tmp_path / "a.edge")
    exporter.export(path, tmp_path / "b.edge")
    assert (tmp_path / "a.edge").read_bytes() == (tmp_path / "b.edge").read_bytes()


def test_report(path: Path, tmp_path: Path) -> None:
    report = exporter.export(path, tmp_path / "net.edge", input_shapes={"x": (1, 3, 8, 8)})
    assert report.path == str(tmp_path / "net.edge")
    assert str(report.inputs[0]) == "x: float32[1, 3, 8, 8]"
    assert report.ops_before == dict.fromkeys(
        ("Conv", "Flatten", "GlobalAveragePool", "MatMul", "Relu", "Softmax"), 1
    )
    assert report.parameters == 4 * 3 * 3 * 3 + 4 * 5
    assert report.macs == 8 * 8 * 4 * 3 * 3 * 3 + 4 * 5
    assert report.file_bytes == (tmp_path / "net.edge").stat().st_size
    assert report.passes
    assert report.numpy_steps is not None
    text = str(report)
    for part in (str(path), "x: float32[1, 3, 8, 8]", "128 parameters", "6.93 k multiply-adds", "Conv x1", "vector"):
        assert part in text
    assert json.loads(json.dumps(report.as_dict()))["ops_before"]["Conv"] == 1


def test_multiply_adds_of_unknown_sizes_are_an_expression(path: Path) -> None:
    assert exporter.check(path).macs == "6932*batch"


def test_metadata_and_assets(path: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\n")
    made = onnx.load(path)
    made.metadata_props.add(key="author", value="me")
    exporter.export(
        made, tmp_path / "net.edge", metadata={"version": 3}, assets={"labels": labels, "raw": b"\x00\x01"}
    )
    bundle = read(tmp_path / "net.edge")
    assert bundle.metadata == {"onnx": {"author": "me"}, "version": 3}
    assert dict(bundle.assets) == {"labels": b"cat\ndog\n", "raw": b"\x00\x01"}
    with pytest.raises(ImporterError, match=r"asset 'a': .*missing cannot be read"):
        exporter.export(path, tmp_path / "x.edge", assets={"a": tmp_path / "missing"})
    assert not (tmp_path / "x.edge").exists()


def test_unsupported_models_write_nothing(tmp_path: Path) -> None:
    made = net("net (float[2] x) => (y) { y = StringSplit(x) }", 20)
    with pytest.raises(UnsupportedError, match="net: 1 unsupported op: StringSplit"):
        exporter.export(made, tmp_path / "net.edge")
    assert list(tmp_path.iterdir()) == []


def test_formats() -> None:
    assert format_of("a/B.ONNX").name == "ONNX"
    with pytest.raises(ImporterError, match=r"net\.foo: unknown format '\.foo', known: ONNX \(\.onnx\)"):
        format_of("net.foo")
    with pytest.raises(ImporterError, match=r"must be a path, bytes or an object of ONNX, .*, got dict"):
        format_of({})


# ---- test vectors and verification ----------------------------------------------------------------------------------


def test_the_test_vector_is_what_onnxruntime_gives(path: Path, tmp_path: Path) -> None:
    report = exporter.export(path, tmp_path / "net.edge")
    (vector,) = read(tmp_path / "net.edge").test_vectors
    assert "onnxruntime" in report.test_vector
    assert vector.signature == "main"
    assert vector.inputs["x"].shape == (1, 3, 8, 8)
    np.testing.assert_array_equal(vector.outputs["y"], OnnxRuntime(path).run(dict(vector.inputs))["y"])


def test_given_inputs_make_the_test_vector(path: Path, tmp_path: Path) -> None:
    x = normal(3, 3, 8, 8)
    exporter.export(path, tmp_path / "net.edge", inputs={"x": x})
    (vector,) = read(tmp_path / "net.edge").test_vectors
    np.testing.assert_array_equal(vector.inputs["x"], x)
    with pytest.raises(InputError, match="'x'"):
        exporter.export(path, tmp_path / "net.edge", inputs={"x": x.astype(np.float64)})


def test_no_test_vector(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert exporter.export(path, tmp_path / "net.edge", test_vectors=False).test_vector == "none"
    assert read(tmp_path / "net.edge").test_vectors == []
    monkeypatch.setattr(sys.modules["exporter.export"], "VECTOR_LIMIT", 100)
    report = exporter.export(path, tmp_path / "net.edge")
    assert report.test_vector == "none: inputs and outputs are 788 bytes, more than 100"
    assert read(tmp_path / "net.edge").test_vectors == []


@pytest.fixture
def no_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "onnxruntime":
            raise ModuleNotFoundError("No module named 'onnxruntime'", name=name)
        return plain(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)


@pytest.mark.usefixtures("no_onnxruntime")
def test_without_the_source_runtime(path: Path, tmp_path: Path) -> None:
    report = exporter.export(path, tmp_path / "net.edge")
    assert report.test_vector.startswith("none: input sizes are not known")
    report = exporter.export(path, tmp_path / "net.edge", input_shapes={"x": (1, 3, 8, 8)})
    assert report.test_vector.endswith("outputs by the NumPy references")
    with pytest.raises(VerificationError, match="the source model's runtime is not installed"):
        exporter.export(path, tmp_path / "v.edge", verify=True)
    assert not (tmp_path / "v.edge").exists()


def test_verify(path: Path, tmp_path: Path) -> None:
    steps: list[str] = []
    report = exporter.export(path, tmp_path / "net.edge", verify=True, progress=steps.append)
    assert steps == [
        "reading the model", "running the source model", "optimising", "storing weights", "comparing", "writing",
    ]  # fmt: skip
    assert report.oracle.startswith("onnxruntime")
    assert [d.output for d in report.differences] == ["y"]
    assert report.differences[0].relative < 1e-3
    assert "y: largest difference" in str(report)


def test_verify_refuses_a_bundle_that_differs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OnnxRuntime, "run", lambda self, inputs: {"y": np.full((1, 5), 0.2, np.float32)})
    with pytest.raises(VerificationError, match=r"outputs differ from the source model's: y: largest difference 0\."):
        exporter.export(path, tmp_path / "net.edge", verify=True)
    assert not (tmp_path / "net.edge").exists()


def test_sizes_that_the_source_runtime_accepts_are_found(tmp_path: Path) -> None:
    """A 7 x 7 window does not fit a size of 1, and the Reshape wants a multiple of 64."""
    made = net("net (float[n, t] x) => (y) { s = Constant<value_ints = [-1, 64]>() \n y = Reshape(x, s) }")
    report = exporter.export(made, tmp_path / "net.edge", verify=True)
    (vector,) = read(tmp_path / "net.edge").test_vectors
    assert vector.inputs["x"].shape == (1, 64)
    assert report.differences[0].largest == 0


def test_models_that_the_source_runtime_refuses(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Any, inputs: Any) -> Any:
        raise OracleError("onnxruntime does not run the model: no")

    monkeypatch.setattr(OnnxRuntime, "run", refuse)
    report = exporter.export(path, tmp_path / "net.edge")
    assert report.test_vector == "none: onnxruntime does not run the model: no"
    with pytest.raises(VerificationError, match="does not run the model: no; give it inputs that it accepts"):
        exporter.export(path, tmp_path / "net.edge", verify=True)


def test_compare() -> None:
    a = np.array([1.0, -100.0], np.float32)
    assert compare({"y": a}, {"y": a})[0].largest == 0
    assert compare({"y": a}, {"y": a + np.float32(0.05)})[0].relative == pytest.approx(5e-4, rel=1e-2)
    for got in (a + 1, a.astype(np.float64), a[:1], np.array([1.0, np.nan], np.float32)):
        with pytest.raises(VerificationError, match="outputs differ from the source model's: y: "):
            compare({"y": a}, {"y": got})
    with pytest.raises(VerificationError):
        compare({"y": np.array([3])}, {"y": np.array([4])})


def test_unstable_outputs_are_noted_and_not_stored(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unstable:
        name = "unstable"

        def run(self, inputs: Any) -> Any:
            """Amplifies the last bits of its input."""
            last_bits = float(np.abs(inputs["x"]).sum(dtype=np.float64)) % 1e-4
            return {"y": np.full((1, 5), 0.2 + last_bits * 100, np.float32)}

    monkeypatch.setattr("exporter.importers.onnx.open_oracle", lambda source: Unstable())
    report = exporter.export(path, tmp_path / "net.edge")
    assert report.test_vector == "none: outputs change with the last bits of the inputs"
    assert report.notes[0].startswith("output 'y' of the source model changes by 0.0")
    assert read(tmp_path / "net.edge").test_vectors == []


def test_instability_of_a_stable_model(path: Path) -> None:
    inputs = {"x": normal(1, 3, 8, 8)}
    oracle = OnnxRuntime(path)
    assert instability(oracle, inputs, oracle.run(inputs)) == {}


def test_compare_allows_what_the_source_model_does_by_itself() -> None:
    a = np.array([1.0, -1.0], np.float32)
    assert compare({"y": a}, {"y": a * np.float32(1.01)}, {"y": 0.02})[0].relative == pytest.approx(0.01, rel=1e-3)
    with pytest.raises(VerificationError):
        compare({"y": a}, {"y": a * np.float32(1.03)}, {"y": 0.02})


def test_sample_inputs_fit_every_input(path: Path) -> None:
    text = "net (float[b, 3] x, int64[b, t] i, bool[t] m, uint8[2] u) => (y) { y = Identity(x) }"
    graph = exporter.importers.read(net(text)).graph
    inputs = sample_inputs(graph, 7)
    assert {n: a.shape for n, a in inputs.items()} == {"x": (1, 3), "i": (1, 7), "m": (7,), "u": (2,)}
    assert set(np.unique(inputs["i"])) <= {0, 1}
    np.testing.assert_array_equal(inputs["x"], sample_inputs(graph, 7)["x"])
    evaluate(graph, list(inputs.values()))


# ---- the command ----------------------------------------------------------------------------------------------------


def test_command(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([str(path), "--input", "x=1,3,8,8", "--metadata", "a=b", "--json", "-v"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["path"] == str(tmp_path / "net.edge")
    assert "edge-export: optimising" in err
    assert read(tmp_path / "net.edge").metadata == {"a": "b"}


def test_command_with_own_data(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", normal(2, 3, 8, 8))
    output = tmp_path / "out.edge"
    assert cli.main([str(path), "-o", str(output), "--verify", "--data", f"x={tmp_path / 'x.npy'}"]) == 0
    assert "compared with onnxruntime" in capsys.readouterr().out
    assert read(output).test_vectors[0].inputs["x"].shape == (2, 3, 8, 8)


def test_command_checks(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([str(path), "--check"]) == 0
    assert "6 operators: Conv x1" in capsys.readouterr().out
    assert not (tmp_path / "net.edge").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no.onnx"], "edge-export: no.onnx: cannot be read: No such file or directory\n"),
        (["net.tflite"], "edge-export: net.tflite: unknown format '.tflite', known: ONNX (.onnx)\n"),
        (["NET", "--input", "z=1"], "edge-export: net.onnx: input_shapes: no input 'z', the inputs are: x\n"),
        (["NET", "--data", "x=none.npy"], "edge-export: --data x: none.npy is not a .npy file"),
    ],
)
def test_command_errors_are_one_line(
    arguments: list[str], message: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([str(path) if a == "NET" else a for a in arguments]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [[], ["m.onnx", "--input", "x"], ["m.onnx", "--input", "x=1,-3"], ["m.onnx", "--asset", "a"]]
)
def test_wrong_use_of_the_command(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main(arguments)
    assert stop.value.code == 2
    assert "usage: edge-export" in capsys.readouterr().err


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for option, part in (("--help", "edge-export net.onnx --check"), ("--version", "edge-export 0.")):
        with pytest.raises(SystemExit) as stop:
            cli.main([option])
        assert stop.value.code == 0
        assert part in capsys.readouterr().out
