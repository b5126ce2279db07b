"""Whether models fit boards: `exporter.export(device=)`, `check(device=)` and `edge-export --device`."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

import devices
import exporter
from edge_rt import native
from edge_rt.errors import DeviceError, TargetError
from edge_rt.graph import Graph
from edge_rt.interpreter import evaluate
from edge_rt.lowering._spec import RULES, BoundNode
from edge_rt.model import load
from edge_rt.types import DType, TensorType
from exporter import cli
from exporter.fit import RUNTIME_BYTES, fit
from exporter.passes import optimize
from exporter.stages import all_steps
from tests.cases._case import normal
from tests.passes._support import Net

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "examples" / "digits.onnx"
PI4 = devices.load("raspberry-pi-4")
MIB = 1 << 20

NO_KERNEL = """net (float[{batch}, 3, 3] x) => (float[{batch}] y) {{
    m = MatMul(x, w)
    y = Det(m)
}}"""


@pytest.fixture(autouse=True)
def no_machine_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may compile or map code, nor follow what this machine was told to run."""

    def refuse() -> Any:
        raise AssertionError("machine code was asked for")

    monkeypatch.setattr(native, "library", refuse)
    monkeypatch.setenv("EDGE_RT_TARGET", "x86-64-v3")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save(NO_KERNEL.format(batch=2), tmp_path)


def save(text: str, folder: Path) -> Path:
    made = parser.parse_model(f'<ir_version: 10, opset_import: ["" : 18]> {text}')
    made.graph.initializer.append(numpy_helper.from_array(normal(3, 3), "w"))
    onnx.save(made, folder / "net.onnx")
    return folder / "net.onnx"


# ---- reports --------------------------------------------------------------------------------------------------------


def test_a_model_that_fits(tmp_path: Path) -> None:
    report = exporter.export(DEMO, tmp_path / "digits.edge", device="raspberry-pi-zero-2-w")
    found = report.device
    assert found is not None
    assert (found.target, found.numpy_steps, found.problems) == ("armv8-a", [], [])
    assert found.inputs == ["image: float32[1, 1, 8, 8]"]
    assert report.macs == f"{found.macs}*batch"
    assert found.weights == report.weight_bytes
    assert found.arrays == 4 * (64 + 10)
    assert found.total == found.arena + found.weights + found.arrays + RUNTIME_BYTES
    assert found.enough == 512 * MIB
    with load(tmp_path / "digits.edge", backend="reference") as model:
        assert found.arena == model.memory_for({"image": (1, 1, 8, 8)}).arena
    text = str(report)
    for part in ("Raspberry Pi Zero 2 W (raspberry-pi-zero-2-w), code for armv8-a, with image: float32[1, 1, 8, 8]",
                 "every step has a kernel", "memory: 40 MiB (arena ", "multiply-adds a run"):  # fmt: skip
        assert part in text
    assert json.loads(json.dumps(report.as_dict()))["device"]["enough"] == 512 * MIB


def test_without_a_device_there_is_no_such_report(tmp_path: Path) -> None:
    assert exporter.export(DEMO, tmp_path / "digits.edge").device is None
    assert exporter.check(DEMO).device is None


def test_the_given_inputs_decide_sizes(tmp_path: Path) -> None:
    image = np.zeros((16, 1, 8, 8), np.float32)
    large = exporter.export(DEMO, tmp_path / "digits.edge", inputs={"image": image}, device=PI4).device
    checked = exporter.check(DEMO, inputs={"image": image}, device=PI4).device
    assert large is not None
    assert large.inputs == ["image: float32[16, 1, 8, 8]"]
    assert large == checked


def test_an_unknown_device_is_said_before_the_model_is_read() -> None:
    with pytest.raises(DeviceError, match="no board is named 'pi4', there are generic-aarch64, "):
        exporter.check("none.onnx", device="pi4")


def test_open_sizes_must_be_given() -> None:
    net = Net()
    net.output(net.add("Relu", net.x("batch", "tokens")), "y")
    with pytest.raises(DeviceError, match=r"needs the sizes of the inputs x: float32\[batch, tokens\]; give input shapes"):
        fit(net, PI4, None, 0, False)
    assert fit(net, PI4, {"x": np.zeros((2, 3), np.float32)}, 0, False).inputs == ["x: float32[2, 3]"]


def test_a_cpu_without_code_is_refused() -> None:
    net = Net()
    net.output(net.add("Relu", net.x(2)), "y")
    with pytest.raises(TargetError, match="edge-rt needs armv8-a; this CPU lacks asimd"):
        fit(net, PI4._replace(features=frozenset({"fp"})), None, 0, False)


def test_lowering_is_asked_for_the_architecture_of_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def relu(node: BoundNode) -> None:
        asked.append(node.arch)

    import_module("edge_rt.lowering.elementwise")
    assert "Relu" in RULES
    monkeypatch.setitem(RULES, "Relu", relu)
    net = Net()
    net.output(net.add("Relu", net.x(2)), "y")
    for name in ("raspberry-pi-5", "generic-x86-64"):
        fit(net, devices.load(name), None, 0, True)
    assert asked == ["aarch64", "x86_64"]


def test_boards_of_two_architectures_take_other_steps() -> None:
    net = Net()
    weights = net.constant(np.arange(128, dtype=np.int8).reshape(8, 16))
    net.output(net.add("MatMulInteger", net.x(4, 8, dtype=DType.INT8), weights), "y")
    optimize(net)
    arrays = [np.zeros((4, 8), np.int8)]
    (arm,), (x86,) = (all_steps(net, arrays, arch).steps for arch in ("aarch64", "x86_64"))
    assert arm.kernels == ("gemm_int8",)
    assert x86.kernels == ("windows_int8", "gemm_int8")  # which multiplies uint8 by int8, and flips the sign first


# ---- kernels --------------------------------------------------------------------------------------------------------


def test_a_step_without_a_kernel_is_an_error(path: Path, tmp_path: Path) -> None:
    message = r"net\.onnx does not fit raspberry-pi-4: 1 step has no kernel: Det '.+'"
    with pytest.raises(DeviceError, match=message):
        exporter.export(path, tmp_path / "net.edge", device="raspberry-pi-4")
    assert not (tmp_path / "net.edge").exists()
    report = exporter.export(path, tmp_path / "net.edge", device="raspberry-pi-4", allow_numpy=True)
    assert report.device is not None
    assert report.device.problems == []
    assert report.device.numpy_steps == report.numpy_steps
    assert "steps in NumPy: Det" in str(report)
    assert (tmp_path / "net.edge").exists()


def loop_body(step: Callable[[Graph, Any], Any]) -> Graph:
    """(iteration, condition, carried f32[2, 3, 3]) -> (condition, step(carried))."""
    body = Graph("body")
    body.input("i", TensorType(DType.INT64, ()))
    condition = body.input("c", TensorType(DType.BOOL, ()))
    carried = body.input("x", TensorType(DType.FLOAT32, (2, 3, 3)))
    body.output(body.add("Identity", condition), "c_out")
    body.output(step(body, carried), "x_out")
    return body


def loop(step: Callable[[Graph, Any], Any]) -> Net:
    net = Net()
    trips, condition = net.constant(np.int64(3)), net.constant(np.bool_(True))
    made = net.add("Loop", trips, condition, net.x(2, 3, 3), body=loop_body(step), carried=1, name="repeat")
    net.output(made[0] if isinstance(made, tuple) else made, "y")
    return net


def scaled_by_det(body: Graph, x: Any) -> Any:
    axes = body.constant(np.array([1, 2], np.int64))
    return body.add("Mul", x, body.add("Unsqueeze", body.add("Det", x, name="inner"), axes))


def test_bodies_of_loops_are_looked_into() -> None:
    found = fit(loop(lambda body, x: body.add("MatMul", x, x)), PI4, None, 0, False)
    assert found.loops == ["Loop 'repeat'"]
    assert (found.numpy_steps, found.problems) == ([], [])
    assert found.macs == 2 * 3 * 3 * 3
    assert "iterated in Python: Loop 'repeat'" in str(found)
    found = fit(loop(scaled_by_det), PI4, None, 0, False)
    assert found.numpy_steps == ["Det 'inner'"]
    assert found.problems == ["1 step has no kernel: Det 'inner'"]


def test_steps_behind_a_cut_are_found() -> None:
    net = Net()
    x = net.x(4, 3, 3)
    where = net.add("NonZero", net.add("ReduceMax", x, net.ints(1, 2), keepdims=0), name="where")
    rows = net.add("Gather", x, net.add("Squeeze", where, net.ints(0)))
    net.output(net.add("Det", net.add("Relu", rows), name="behind"), "y")
    steps = all_steps(net, [np.ones((4, 3, 3), np.float32)]).steps
    assert [s.op for s in steps][-2:] == ["Relu", "Det"]
    found = fit(net, PI4, None, 0, False)
    assert "Det 'behind'" in found.numpy_steps


def test_steps_are_those_of_the_branch_taken() -> None:
    net = Net()
    branches = []
    for op in ("Det", "ReduceSum"):
        branch = Graph(op)
        x = branch.input("x", TensorType(DType.FLOAT32, (2, 3, 3)))
        axes = branch.constant(np.array([1, 2], np.int64))
        branch.output(branch.add(op, x) if op == "Det" else branch.add(op, x, axes, keepdims=0), "y")
        branches.append(branch)
    flag = net.x(dtype=DType.BOOL, name="flag")
    net.output(net.add("If", flag, net.x(2, 3, 3), then_branch=branches[0], else_branch=branches[1]), "y")
    x = np.ones((2, 3, 3), np.float32)
    for value, op in ((True, "Det"), (False, "ReduceSum")):
        assert [s.op for s in all_steps(net, [np.array(value), x]).steps] == [op]
    taken = fit(net, PI4, {"flag": np.array(True), "x": x}, 0, False)
    assert taken.notes == ["the steps depend on the contents of flag ([ True])"]
    assert fit(net, PI4, None, 0, False).notes[0].endswith("), which are made up")


def test_contents_that_the_model_does_not_accept() -> None:
    net = Net()
    index = net.x(1, dtype=DType.INT64, name="index")
    rows = net.add("Gather", net.x(1, 4), net.add("Add", index, net.ints(5)))
    net.output(net.add("NonZero", rows), "y")
    net.output(net.add("Relu", net.add("Cast", net.outputs[0], to=DType.FLOAT32)), "z")
    with pytest.raises(DeviceError, match=r"raspberry-pi-4: .* Gather '.*give inputs that it accepts"):
        fit(net, PI4, None, 0, False)


def test_the_walk_computes_what_the_interpreter_does() -> None:
    """Stages follow each other on the right arrays: a size that depends on data decides the last step's."""
    net = Net()
    where = net.add("NonZero", net.x(5))
    count = net.add("Slice", net.add("Shape", where), net.ints(1), net.ints(2))
    net.output(net.add("Relu", net.add("Expand", net.x(1, name="y"), count)), "z")
    x = np.array([0, 1, 0, 2, 3], np.float32)
    arrays = [x, np.ones(1, np.float32)]
    assert evaluate(net, arrays)[0].shape == (3,)
    assert all_steps(net, arrays).steps[-1].outputs == ("float32[3]",)


# ---- memory ---------------------------------------------------------------------------------------------------------


def wide(size: int) -> Net:
    """Two f32 vectors of this many MiB each in the arena or outside, and one as a weight."""
    net = Net()
    count = size * MIB // 4
    weight = net.constant(np.zeros(count, np.float32))
    net.output(net.add("Sigmoid", net.add("Add", net.x(count), weight)), "y")
    return net


def test_memory_is_counted_and_compared() -> None:
    net = wide(32)
    optimize(net)
    found = fit(net, PI4, None, 32 * MIB, False)
    assert found.arrays == 64 * MIB
    assert 32 * MIB <= found.arena <= 65 * MIB
    assert found.total == found.arena + 96 * MIB + RUNTIME_BYTES
    assert found.enough == PI4.memory[0]
    board = PI4._replace(memory=(found.total, 2 * found.total, 4 * found.total))
    found = fit(net, board, None, 32 * MIB, False)
    assert found.enough == 2 * found.total
    assert found.problems == []
    assert "needs the board with " in str(found)
    found = fit(net, PI4._replace(memory=(2 * found.total - 1,)), None, 32 * MIB, False)
    assert found.enough is None
    assert len(found.problems) == 1
    assert found.problems[0].startswith("it needs ")
    assert f"does not fit: {found.problems[0]}" in str(found)


def test_state_counts() -> None:
    net = Net()
    state = net.variable("sum", np.zeros(256, np.float32))
    state.update = net.add("Add", state.value, net.x(256))
    net.output(state.update, "y")
    assert fit(net, PI4, None, 0, False).state == 1024


def test_unknown_memory_is_said_and_not_judged() -> None:
    found = fit(wide(1), devices.load("generic-aarch64"), None, MIB, False)
    assert (found.enough, found.problems) == (None, [])
    assert "note: the memory of this device is not known, so it was not checked" in str(found)


def test_a_system_with_an_old_python_is_noted() -> None:
    found = fit(wide(1), devices.load("jetson-nano"), None, MIB, False)
    assert found.problems == []
    assert "edge-rt needs Python 3.10, JetPack 4.6 (Ubuntu 18.04) has 3.6" in found.notes[0]


# ---- the command ----------------------------------------------------------------------------------------------------


def test_command_exports_for_a_device(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "m.edge"
    assert cli.main([str(DEMO), "-o", str(output), "--device", "raspberry-pi-5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["device"]["target"] == "armv8.2-a-dotprod"
    assert output.exists()


def test_command_refuses_what_does_not_fit(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "m.edge"
    assert cli.main([str(path), "-o", str(output), "--device", "jetson-nano"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"edge-export: {path} does not fit jetson-nano: 1 step has no kernel: Det ")
    assert err.count("\n") == 1
    assert not output.exists()
    assert cli.main([str(path), "-o", str(output), "--device", "jetson-nano", "--allow-numpy"]) == 0
    assert output.exists()


def test_command_checks_without_writing(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([str(path), "--check", "--device", "raspberry-pi-4"]) == 1
    assert "does not fit: 1 step has no kernel: Det " in capsys.readouterr().out
    assert cli.main([str(path), "--check", "--device", "raspberry-pi-4", "--allow-numpy"]) == 0
    assert "steps in NumPy: Det " in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]


def test_command_checks_with_own_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "image.npy", np.zeros((3, 1, 8, 8), np.float32))
    data = f"image={tmp_path / 'image.npy'}"
    assert cli.main([str(DEMO), "--check", "--device", "raspberry-pi-4", "--data", data]) == 0
    assert "image: float32[3, 1, 8, 8]" in capsys.readouterr().out


def test_allow_numpy_goes_with_a_device(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        cli.main([str(DEMO), "--allow-numpy"])
    assert stop.value.code == 2
    assert "--allow-numpy goes with --device" in capsys.readouterr().err


def test_a_check_maps_no_code_and_imports_no_compiler() -> None:
    code = (
        "import sys, exporter; exporter.check(sys.argv[1], device='jetson-orin-nano');"
        "print(*sorted({m.partition('.')[0] for m in sys.modules}));"
        "print(any('.image' in line for line in open('/proc/self/maps')))"
    )
    command = [sys.executable, "-c", code, str(DEMO)]
    modules, mapped = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()
    assert not {"numba", "llvmlite"} & set(modules.split())
    assert mapped == "False"
