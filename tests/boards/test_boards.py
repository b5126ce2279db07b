"""edge-rt as a device has it, on emulated boards: the op test table, ONNX's node tests, models, the command, an app in one
file, and which code is chosen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn.datasets import load_digits

import exporter
from edge_rt import bundle, ops, verification
from edge_rt.targets import TARGETS
from exporter.importers.onnx import import_onnx
from exporter.importers.onnx._runtime import OnnxRuntime
from exporter.passes import optimize
from tests.boards import emulator
from tests.cases import all_cases
from tests.conformance.cases import all_cases as node_cases
from tests.conformance.expected import FAILURES
from tests.conformance.runs import compare
from tests.corpus import MODELS
from tests.corpus.fetch import Unavailable, fetch
from tests.corpus.inputs import corpus_inputs
from tests.runtimes import graph_of
from tests.test_ops import expected

pytestmark = pytest.mark.boards
Array = np.ndarray[Any, Any]
CASES = {case.name: case for case in all_cases() if case.native}
DIGITS = emulator.ROOT / "examples" / "digits.onnx"
CORPUS = (
    "atspm_funcnet_pair.onnx",
    "blazeface_front_128.onnx",
    "dtln_1.onnx",
    "oww_hey_jarvis_v0.1.onnx",
    "silero_vad_16k_op15.onnx",
)
"""Small models of different kinds: time series, images, two recurrent ones for audio, a wake word."""


class Run(NamedTuple):
    """What a board made of the bundles in a folder: lines it printed, and arrays by bundle and SIGNATURE:OUTPUT."""

    lines: list[str]
    outputs: dict[str, dict[str, Array]]

    def told(self, word: str) -> list[str]:
        return [line for line in self.lines if line.startswith(word)]


def run_bundles(board: str, package: Path, folder: Path) -> Run:
    done = emulator.run(board, package, str(Path(__file__).with_name("run_bundles.py")), str(folder))
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"{board} ended with {done.returncode} after {lines[-1:]}: {done.stderr[-2000:]}"
    outputs = {}
    for path in folder.glob("*.outputs.npz"):
        with np.load(path) as stored:
            outputs[path.name.removesuffix(".outputs.npz")] = {name: stored[name] for name in stored.files}
    return Run(lines, outputs)


def put_inputs(folder: Path, name: str, inputs: Mapping[str, Array], signature: str = "main") -> None:
    np.savez(folder / f"{name}.inputs.npz", **{f"{signature}:{k}": a for k, a in inputs.items()})


@pytest.fixture(scope="module")
def table(board: str, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The op test table: one bundle, in which each case is a signature."""
    folder = tmp_path_factory.mktemp(board)
    graphs, inputs = {}, {}
    for name, case in CASES.items():
        graphs[name], arrays = graph_of(case)
        inputs |= {f"{name}:{v.name}": a for v, a in zip(graphs[name].inputs, arrays)}
    bundle.write(bundle.Bundle(graphs), folder / "cases.edge")
    np.savez(folder / "cases.inputs.npz", **inputs)
    return run_bundles(board, package, folder)


@pytest.mark.filterwarnings("ignore:.*encountered in.*:RuntimeWarning")
def test_all_cases(table: Run) -> None:
    wrong = table.told("failed")
    for name, case in CASES.items():
        for i, want in enumerate(expected(case)):
            got = table.outputs["cases"].get(f"{name}:out{i}")
            if got is None:
                wrong.append(f"{name}: no output {i}")
                continue
            try:
                ops.get(case.op).accuracy.check(got, want, f"{name}: output {i}")
            except AssertionError as error:
                wrong.append(str(error))
    assert not wrong, f"{len(wrong)} wrong:\n" + "\n".join(wrong)


def test_a_team_gives_the_same_bits(table: Run) -> None:
    assert len(table.told("run")) == len(CASES)
    assert table.told("differs") == []


def test_the_pack_that_fits_the_board_is_chosen(board: str, table: Run) -> None:
    assert table.told("target") == [f"target {emulator.TARGET_OF[board]}"]


NODE_TESTS = [case for case in node_cases() if not case.is_random and case.name not in FAILURES][::8]
"""A quick subset of ONNX's node tests."""


def test_node_tests(board: str, package: Path, tmp_path: Path) -> None:
    graphs, given = {}, {}
    for case in NODE_TESTS:
        graph = graphs[case.name] = import_onnx(case.model)
        optimize(graph)
        given |= {f"{case.name}:{v.name}": a for v, a in zip(graph.inputs, case.data_sets[0][0])}
    bundle.write(bundle.Bundle(graphs), tmp_path / "nodes.edge")
    np.savez(tmp_path / "nodes.inputs.npz", **given)
    done = run_bundles(board, package, tmp_path)
    assert done.told("failed") + done.told("differs") == []
    for case in NODE_TESTS:
        outputs = [done.outputs["nodes"][f"{case.name}:{name}"] for name in graphs[case.name].output_names]
        compare(outputs, case.data_sets[0][1], case)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of the demo's model."""
    path = tmp_path_factory.mktemp("digits") / "digits.edge"
    exporter.export(DIGITS, path)
    return path


def test_the_demos_model(board: str, package: Path, digits: Path) -> None:
    images = (load_digits().images[-8:, None] / 16).astype(np.float32)
    put_inputs(digits.parent, "digits", {"image": images})
    (want,) = OnnxRuntime(DIGITS).run({"image": images}).values()
    (got,) = run_bundles(board, package, digits.parent).outputs["digits"].values()
    assert verification.compare(got, want)[2]
    assert np.array_equal(got.argmax(1), want.argmax(1))


TWICE = """\
import sys
import numpy as np
import edge_rt
model = edge_rt.load(sys.argv[1], threads=int(sys.argv[3]))
print(model(np.load(sys.argv[2])).tobytes().hex(), model._loaded is None)
"""


def test_a_second_start_takes_the_stored_plan(board: str, package: Path, digits: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", (load_digits().images[:2, None] / 16).astype(np.float32))
    told = []
    for threads in ("1", "1", "2"):
        arguments = ["-c", TWICE, str(digits), str(tmp_path / "x.npy"), threads]
        done = emulator.run(board, package, *arguments, EDGE_RT_CACHE=str(tmp_path / "cache"))
        assert (done.returncode, done.stderr) == (0, "")
        told.append(done.stdout.split())
    (bits, _), *_ = told
    assert told == [[bits, "False"], [bits, "True"], [bits, "True"]]


def test_corpus_models(board: str, package: Path, tmp_path: Path) -> None:
    wanted = {}
    for name in CORPUS:
        try:
            source = fetch(name, timeout=60)
        except Unavailable:
            continue
        oracle = OnnxRuntime(source)
        graph = exporter.importers.read(source).graph
        inputs = corpus_inputs(name, MODELS[name].shapes, {v.name: v.type.dtype.numpy for v in graph.inputs})
        exporter.export(source, tmp_path / f"{name}.edge", test_vectors=False)
        put_inputs(tmp_path, name, inputs)
        wanted[name] = oracle.run(inputs)
    if not wanted:
        pytest.skip("no corpus model can be had")
    done = run_bundles(board, package, tmp_path)
    assert done.told("failed") + done.told("differs") == []
    for name, outputs in wanted.items():
        for output, want in outputs.items():
            largest, relative, is_equal = verification.compare(done.outputs[name][f"main:{output}"], want)
            assert is_equal, f"{name}: {output} differs by {largest:.3g}, {relative:.3g} of its largest magnitude"


APP = """\
import io
import platform
import numpy as np
import edge_rt
image = np.load(io.BytesIO(edge_rt.resource("image.npy")))
model = edge_rt.load(edge_rt.resource("digits.edge"))
digits = [int(model(one[None]).argmax()) for one in image]
is_planned = model._stored is not None and model._loaded is None
print(edge_rt.native.library().target, digits, is_planned)
print(*platform.python_version_tuple()[:2], *np.__version__.split(".")[:2])
"""


@pytest.fixture(scope="module")
def app(package: Path, digits: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an app in one file, packaged by the installed wheel."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "app.py").write_text(APP)
    np.save(folder / "image.npy", (load_digits().images[:2, None] / 16).astype(np.float32))
    files = [str(digits), *(str(folder / name) for name in ("app.py", "image.npy"))]
    targets = [word for target in emulator.TARGET_OF.values() for word in ("--target", target)]
    command = [sys.executable, "-c", emulator.COMMAND, "package", *files, "-o", str(folder / "app.pyz"), *targets]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(package)})
    return folder


@pytest.mark.parametrize(("suite", "versions"), [("bookworm", "3 11 1 24"), ("trixie", "3 13 2 2")])
def test_an_app_in_one_file_on_the_distributions_own_numpy(board: str, app: Path, suite: str, versions: str) -> None:
    done = emulator.run(board, app, "app.pyz", suite=suite, debian=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{emulator.TARGET_OF[board]} [0, 1] True\n{versions}\n"


def test_edge_rt_doctor(board: str, package: Path) -> None:
    done = emulator.run(board, package, "-c", emulator.COMMAND, "doctor", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    target = TARGETS[emulator.TARGET_OF[board]]
    assert (report["architecture"], report["target"], report["problem"]) == ("aarch64", target.name, None)
    assert target.requires <= set(report["features"])
    assert report["numba"] is None
    assert report["code"] == str(package / "edge_rt" / "packs" / f"{target.name}.image")


def test_edge_rt_verify(board: str, package: Path, digits: Path) -> None:
    done = emulator.run(board, package, "-c", emulator.COMMAND, "verify", str(digits), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["ok"]
    assert [d["ok"] for d in report["outputs"]] == [True]


def test_a_pack_for_a_better_cpu_is_refused(package: Path) -> None:
    script = "from edge_rt import native; native.library()"
    done = emulator.run("pi4", package, "-c", script, EDGE_RT_TARGET="armv8.2-a-dotprod")
    assert done.returncode == 1
    assert "TargetError" in done.stderr
    assert "needs a CPU with asimddp, asimdhp, fphp, which this one lacks" in done.stderr
