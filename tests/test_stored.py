"""Stored plans: what they give is what a process without them gives, whatever happens to the files."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_rt
import exporter
from edge_rt import bundle, ops, stored, storing
from edge_rt.codegen import build_image
from edge_rt.dims import symbol
from edge_rt.errors import BundleChecksumError, BundleLayoutError, BundleSchemaError, DataError, InputError, SignatureError
from edge_rt.graph import Graph
from edge_rt.native import cpu, host, packs
from edge_rt.native.features import choose_target, cpu_features
from edge_rt.native.image import read_header, write_image
from edge_rt.types import DType, TensorType
from tests.boards.emulator import device_package
from tests.cases._case import Case
from tests.test_bands import LARGE as IMAGE
from tests.test_bands import Layer, chain

ROOT = Path(__file__).parent.parent
TARGET, _ = choose_target(cpu_features())
F32, I64 = DType.FLOAT32, DType.INT64
FAMILIES = (
    "attention", "channels_first", "compact", "copy", "dynamic_lstm", "edge_conv", "edge_pool", "elementwise", "gemm",
    "index", "int8", "integer", "normalize", "quantized_steps", "recurrent", "reduce", "trees",
)  # fmt: skip
LARGE = 5000
"""Numbers of an input that is read where it is, and of a tensor that is no small one in any respect."""


@pytest.fixture(scope="module")
def image() -> bytes:
    return build_image(TARGET)


@pytest.fixture
def plans(image: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An edge-rt that is installed, with a pack and a cache of its own; the folder of its stored plans."""
    folder = tmp_path / "packs"
    folder.mkdir()
    (folder / f"{TARGET.name}.image").write_bytes(image)
    for module in (packs, stored):
        monkeypatch.setattr(module, "PACKS", str(folder))
    monkeypatch.setattr(host, "_process", [packs.find_pack(TARGET, cpu_features())])
    monkeypatch.setattr(stored, "build_of_this", lambda: "a build")
    monkeypatch.setenv("EDGE_RT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("EDGE_RT_CODE", raising=False)
    monkeypatch.delenv(stored.SWITCH, raising=False)
    return tmp_path / "cache" / "plans"


def bytes_of(*graphs: Graph) -> bytes:
    return bundle.to_bytes(bundle.Bundle(signatures={g.name: g for g in graphs}))


def is_stored(model: edge_rt.Model) -> bool:
    """Whether the model has a stored plan, and has read nothing else so far."""
    return model._stored is not None and model._loaded is None


def dense(name: str = "main", size: int = 8) -> Graph:
    """y = x @ w + b for x of any number of rows."""
    rng = np.random.default_rng(0)
    graph = Graph(name)
    x = graph.input("x", TensorType(F32, (symbol("n"), size)))
    made = graph.add("MatMul", x, graph.constant(rng.random((size, 16), np.float32), "w"))
    graph.output(graph.add("Add", made, graph.constant(rng.random(16, np.float32), "b")), "y")
    return graph


def counter() -> Graph:
    """Adds `step` to its state; gives the sum, and the state at an index."""
    graph = Graph()
    step, index = graph.input("step", TensorType(F32, (4,))), graph.input("index", TensorType(I64, (symbol("k"),)))
    total = graph.variable("total", np.arange(4, dtype=np.float32))
    total.update = graph.add("Add", total.value, step)
    graph.output(total.update, "sum")
    graph.output(graph.add("Gather", total.value, index), "picked")
    return graph


def several() -> Graph:
    """Inputs that are copied and one that is read where it is; outputs of several types."""
    graph = Graph()
    a, b = graph.input("a", TensorType(F32, (LARGE,))), graph.input("b", TensorType(F32, (1,)))
    c = graph.input("c", TensorType(I64, (3,)))
    graph.output(graph.add("Mul", graph.add("Exp", a), b), "y")
    graph.output(graph.add("Add", c, c), "z")
    return graph


def shaped() -> Graph:
    """An input whose contents decide a shape."""
    graph = Graph()
    x, shape = graph.input("x", TensorType(F32, (12,))), graph.input("shape", TensorType(I64, (2,)))
    graph.output(graph.add("Transpose", graph.add("Exp", graph.add("Reshape", x, shape)), perm=(1, 0)), "y")
    return graph


def int8() -> Graph:
    """A quantised product, and a table."""
    rng = np.random.default_rng(1)
    graph = Graph()
    x = graph.input("x", TensorType(DType.UINT8, (7, 40)))
    w = graph.constant(rng.integers(-128, 127, (40, 20)).astype(np.int8))
    made = graph.add("MatMulInteger", x, w, graph.constant(np.uint8(3)))
    graph.output(graph.add("Mul", graph.add("Cast", made, to=F32), graph.constant(np.float32(0.01))), "y")
    return graph


def bands() -> Graph:
    """Two steps that are done together."""
    return chain(IMAGE, [Layer("gemm", 32), Layer("depthwise")])


RNG = np.random.default_rng(2)
MODELS: dict[str, tuple[Callable[[], Graph], dict[str, Any]]] = {
    "dense": (dense, {"x": RNG.random((3, 8), np.float32)}),
    "counter": (counter, {"step": np.ones(4, np.float32), "index": np.array([1, 3])}),
    "several": (
        several, {"a": RNG.random(LARGE, np.float32), "b": np.float32([2]), "c": np.array([1, -2, 3])},
    ),
    "shaped": (shaped, {"x": RNG.random(12, np.float32), "shape": np.array([3, 4])}),
    "int8": (int8, {"x": RNG.integers(0, 255, (7, 40)).astype(np.uint8)}),
    "bands": (bands, {"x": RNG.random(IMAGE, np.float32)}),
}  # fmt: skip


def results(model: edge_rt.Model, inputs: dict[str, Any], calls: int = 3) -> list[dict[str, Any]]:
    return [{k: v.tobytes() for k, v in model.run(inputs).items()} for _ in range(calls)]


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_the_same_bits(name: str, threads: int, plans: Path) -> None:
    graph, inputs = MODELS[name]
    data = bytes_of(graph())
    first = edge_rt.load(data, threads=threads)
    assert not is_stored(first)
    expected = results(first, inputs)
    assert len(list(plans.iterdir())) == 1
    later = edge_rt.load(data, threads=threads)
    assert is_stored(later)
    assert results(later, inputs) == expected
    assert is_stored(later), "nothing else was needed"
    assert results(later.session(), inputs) == expected
    assert {k: v.tolist() for k, v in later.state.items()} == {k: v.tolist() for k, v in first.state.items()}
    assert results(edge_rt.load(data, stored_plan=False), inputs) == expected


def test_a_network_in_a_file(plans: Path, tmp_path: Path) -> None:
    exporter.export(ROOT / "examples" / "digits.onnx", tmp_path / "digits.edge")
    x = RNG.random((2, 1, 8, 8), np.float32)
    expected = edge_rt.load(tmp_path / "digits.edge")(x)
    model = edge_rt.load(tmp_path / "digits.edge")
    assert is_stored(model)
    assert model(x).tobytes() == expected.tobytes()
    assert is_stored(model), "the input's name is in the plan"
    assert edge_rt.load((tmp_path / "digits.edge").read_bytes())(x).tobytes() == expected.tobytes()


def test_whatever_else_is_asked_for_is_there(plans: Path) -> None:
    data = bytes_of(dense())
    x = MODELS["dense"][1]["x"]
    first = edge_rt.load(data)
    first(x)
    later = [edge_rt.load(data) for _ in range(8)]
    assert all(map(is_stored, later))
    assert repr(later[0]) == repr(first)
    assert later[1].memory_for({"x": (3, 8)}) == first.memory_for({"x": (3, 8)})
    assert later[2](np.ones((5, 8), np.float32)).tobytes() == first(np.ones((5, 8), np.float32)).tobytes()
    assert later[2](x).tobytes() == first(x).tobytes()
    assert later[3].threads == first.threads
    call = later[4].bind(shapes={"x": (3, 8)})
    call.inputs["x"][...] = x
    call.run()
    assert call.outputs["y"].tobytes() == first(x).tobytes()
    later[5].close()
    for model, message in ((later[6], "expected 1 inputs, got 2"), (later[7], "expected the inputs x, got z")):
        with pytest.raises(InputError, match=message):
            model(x, x) if model is later[6] else model.run({"z": x})


def test_errors_are_those_of_the_full_check(plans: Path) -> None:
    data = bytes_of(counter())
    inputs = MODELS["counter"][1]
    edge_rt.load(data).run(inputs)
    model = edge_rt.load(data)
    with pytest.raises(DataError, match=r"Gather '.*': an index is out of range"):
        model.run({**inputs, "index": np.array([0, 4])})
    assert is_stored(model)
    np.testing.assert_array_equal(model.state["total"], np.arange(4))
    with pytest.raises(InputError, match=r"input 'step': expected shape \(4\), got \(5,\)"):
        model.run({**inputs, "step": np.ones(5, np.float32)})
    np.testing.assert_array_equal(model.run(inputs)["picked"], [1, 3])


def test_signatures_are_picked_as_without(plans: Path) -> None:
    other = Graph("other")
    other.output(other.add("Neg", other.input("i", TensorType(I64, (3,)))), "y")
    data = bytes_of(dense(), other)
    x = MODELS["dense"][1]["x"]
    expected = edge_rt.load(data)(x)
    model = edge_rt.load(data)
    assert is_stored(model)
    assert model.run({"x": x})["y"].tobytes() == expected.tobytes()
    assert is_stored(model)
    np.testing.assert_array_equal(model(np.array([1, 2, 3])), [-1, -2, -3])
    with pytest.raises(SignatureError, match="no signature is named 'third'"):
        edge_rt.load(data).run({"x": x}, signature="third")


def test_a_first_call_of_other_sizes_replaces_the_plan(plans: Path) -> None:
    data = bytes_of(dense())
    few, many = (np.ones((n, 8), np.float32) for n in (2, 50))
    edge_rt.load(data)(few)
    (path,) = plans.iterdir()
    before = path.read_bytes()
    model = edge_rt.load(data)
    model(few)
    model(many)
    assert path.read_bytes() == before, "it was what the first call needed"
    edge_rt.load(data)(many)
    assert path.read_bytes() != before
    model = edge_rt.load(data)
    model(many)
    assert is_stored(model)


# ---- what a plan is for ---------------------------------------------------------------------------------------------


def stored_dense(plans: Path) -> tuple[bytes, Any, bytes]:
    """A bundle with a stored plan, its input and its output."""
    data, x = bytes_of(dense()), MODELS["dense"][1]["x"]
    expected = edge_rt.load(data)(x).tobytes()
    assert is_stored(edge_rt.load(data))
    return data, x, expected


def test_another_bundle_has_another_plan(plans: Path) -> None:
    data, x, expected = stored_dense(plans)
    other = bytes_of(dense("main", 9))
    assert not is_stored(edge_rt.load(other))
    graph = dense()
    graph.nodes[0].inputs[1].data[0, 0] += 1  # type: ignore[index, union-attr]
    changed = bytes_of(graph)
    assert len(changed) == len(data)
    model = edge_rt.load(changed)
    assert not is_stored(model)
    assert model(x).tobytes() != expected


def test_small_tensors_that_changed_behind_the_header(plans: Path) -> None:
    """Nobody may write into a bundle. Who does so gets what the bytes say now, as without a stored plan."""
    data, x, expected = stored_dense(plans)
    bias = dense().nodes[1].inputs[1].data  # type: ignore[union-attr]
    at = data.index(bias.tobytes())
    changed = data[:at] + (bias + 1).tobytes() + data[at + bias.nbytes :]
    model = edge_rt.load(changed)
    assert not is_stored(model)
    got = np.frombuffer(model(x).tobytes(), np.float32)
    np.testing.assert_allclose(got, np.frombuffer(expected, np.float32) + 1, rtol=1e-6)


CASES = [case for family in FAMILIES for case in import_module(f"tests.cases.{family}").CASES]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rules_look_at_no_other_contents(case: Case) -> None:
    """What `storing._spans` relies on: only those of `shape_inputs`, unless the operator's contents are followed."""
    op = ops.get(case.op)
    if op.follows or any(isinstance(value, Graph) for value in case.attributes.values()):
        return
    attrs = op.attrs(**case.attributes)
    types = [None if x is None else TensorType.of(x) for x in case.inputs]
    told = [x if i in op.shape_inputs else None for i, x in enumerate(case.inputs)]
    assert op.infer(attrs, types, told, "")[0] == op.infer(attrs, types, case.inputs, "")[0]


def test_large_tensors_are_read_where_they_are(plans: Path, tmp_path: Path) -> None:
    graph = Graph()
    x = graph.input("x", TensorType(F32, (LARGE,)))
    w = RNG.random(LARGE, np.float32)
    graph.output(graph.add("Mul", x, graph.constant(w)), "y")
    data = bytes_of(graph)
    edge_rt.load(data)(np.ones(LARGE, np.float32))
    at = data.index(w.tobytes())
    model = edge_rt.load(data[:at] + (2 * w).tobytes() + data[at + w.nbytes :])
    assert is_stored(model)
    np.testing.assert_array_equal(model(np.ones(LARGE, np.float32)), 2 * w)


def test_contents_that_decide_shapes_count_however_many_there_are(plans: Path) -> None:
    """A Gather of sizes is followed by inference, so the table of sizes decides what the plan is."""
    graph = Graph()
    x = graph.input("x", TensorType(F32, (12,)))
    sizes = np.arange(1, 201, dtype=np.int64)
    shape = graph.add("Gather", graph.constant(sizes), graph.constant(np.array([1, 5])))
    graph.output(graph.add("Exp", graph.add("Reshape", x, shape)), "y")
    data = bytes_of(graph)
    assert edge_rt.load(data)(np.ones(12, np.float32)).shape == (2, 6)
    assert is_stored(edge_rt.load(data))
    swapped = sizes.copy()
    swapped[[1, 5]] = 3, 4
    at = data.index(sizes.tobytes())
    with pytest.raises(BundleSchemaError, match=r"must be float32\[3, 4\], got float32\[2, 6\]"):
        edge_rt.load(data[:at] + swapped.tobytes() + data[at + sizes.nbytes :])


def test_damaged_bundles_are_refused_as_without(plans: Path) -> None:
    data, _, _ = stored_dense(plans)
    with pytest.raises(BundleChecksumError):
        edge_rt.load(data[:70] + bytes([data[70] ^ 1]) + data[71:])
    with pytest.raises(BundleLayoutError):
        edge_rt.load(data + b"\0")
    length = int.from_bytes(data[16:24], "little")
    padding = 64 + length
    assert padding % 64, "there is padding"
    with pytest.raises(BundleLayoutError, match="padding, must be zero"):
        edge_rt.load(data[:padding] + b"\1" + data[padding + 1 :])


@pytest.mark.parametrize("change", ["build", "cpu", "target", "pack", "no pack"])
def test_another_build_machine_or_pack(change: str, plans: Path, image: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    data, x, expected = stored_dense(plans)
    pack = Path(stored.PACKS) / f"{TARGET.name}.image"
    if change == "build":
        monkeypatch.setattr(stored, "build_of_this", lambda: "another build")
    elif change == "cpu":
        text = cpu.cpu_text()
        monkeypatch.setattr(stored, "cpu_text", lambda: text + " one_more")
    elif change == "target":
        monkeypatch.setenv("EDGE_RT_TARGET", TARGET.name)
    else:
        pack.unlink()
        if change == "pack":
            header = read_header(image, "")
            code = image[header.code_offset :]
            pack.write_bytes(write_image(header.target, header.requires, header.symbols, code, "others"))
    model = edge_rt.load(data)
    assert not is_stored(model)
    assert model(x).tobytes() == expected


@pytest.mark.parametrize(
    "options",
    [{"max_memory": 1 << 20}, {"verify": "all"}, {"backend": "reference"}, {"stored_plan": False}],
    ids=lambda options: next(iter(options)),
)
def test_options_that_need_the_whole_bundle(options: dict[str, Any], plans: Path) -> None:
    data = bytes_of(dense())
    edge_rt.load(data, **options).run(MODELS["dense"][1])
    assert not plans.exists()
    stored_dense(plans)
    assert not is_stored(edge_rt.load(data, **options))


def test_what_cannot_be_stored(plans: Path) -> None:
    """Steps in Python, and sizes that only running tells."""
    graph = Graph()
    graph.output(graph.add("NonZero", graph.input("x", TensorType(F32, (9,)))), "y")
    model = edge_rt.load(bytes_of(graph))
    model(np.float32([0, 1] * 4 + [2]))
    assert not plans.exists()


# ---- what may happen to the files -----------------------------------------------------------------------------------


def test_damaged_plans_are_ignored_and_rewritten(plans: Path) -> None:
    data, x, expected = stored_dense(plans)
    (path,) = plans.iterdir()
    good = path.read_bytes()
    step = max(1, len(good) // 60)
    damaged = [good[:i] + bytes([good[i] ^ 0x55]) + good[i + 1 :] for i in [*range(48), *range(48, len(good), step)]]
    damaged += [good[:i] for i in [0, 7, 8, 40, 41, *range(48, len(good), step)]]
    damaged += [good + b"\0", b"EDGEPLAN", bytes(len(good)), os.urandom(1 << 12), bytes(stored.MAX_BYTES + 1)]
    for content in damaged:
        path.write_bytes(content)
        model = edge_rt.load(data)
        assert not is_stored(model)
        assert model(x).tobytes() == expected
        assert path.read_bytes() == good


def test_the_plan_of_another_bundle_is_not_taken(plans: Path) -> None:
    data, x, expected = stored_dense(plans)
    (path,) = plans.iterdir()
    edge_rt.load(bytes_of(several())).run(MODELS["several"][1])
    (other,) = {*plans.iterdir()} - {path}
    path.write_bytes(other.read_bytes())
    assert not is_stored(edge_rt.load(data))
    assert edge_rt.load(data)(x).tobytes() == expected


@pytest.mark.parametrize("kind", ["for all to write", "link", "folder", "pipe", "of another user"])
def test_files_that_others_may_have_written(kind: str, plans: Path, tmp_path: Path) -> None:
    data, x, expected = stored_dense(plans)
    (path,) = plans.iterdir()
    if kind == "for all to write":
        path.chmod(0o666)
    elif kind == "of another user":
        if os.geteuid():
            pytest.skip("only root can give files away")
        os.chown(path, 12345, -1)
    else:
        path.rename(tmp_path / "plan")
        if kind == "link":
            path.symlink_to(tmp_path / "plan")
        elif kind == "folder":
            path.mkdir()
        else:
            os.mkfifo(path)
    model = edge_rt.load(data)
    assert not is_stored(model)
    assert model(x).tobytes() == expected
    assert is_stored(edge_rt.load(data)) == (kind != "folder")


@pytest.mark.parametrize("where", ["/proc/nowhere", "/dev/null/cache"])
def test_folders_that_cannot_be_written(where: str, plans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RT_CACHE", where)
    for _ in range(2):
        model = edge_rt.load(bytes_of(dense()))
        assert not is_stored(model)
        model.run(MODELS["dense"][1])


def test_a_user_without_a_home(plans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EDGE_RT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    edge_rt.load(bytes_of(dense())).run(MODELS["dense"][1])
    assert stored.plans_folder() is None
    assert not Path("~").exists()


def test_the_switch(plans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, _, _ = stored_dense(plans)
    monkeypatch.setenv(stored.SWITCH, "0")
    assert not is_stored(edge_rt.load(data))
    edge_rt.load(bytes_of(several())).run(MODELS["several"][1])
    assert len(list(plans.iterdir())) == 1


def test_plans_are_private_and_there_are_not_many(plans: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storing, "MAX_PLANS", 3)
    for size in range(1, 8):
        edge_rt.load(bytes_of(dense(size=size)))(np.ones((1, size), np.float32))
        assert len(list(plans.iterdir())) == min(size, 3)
    assert is_stored(edge_rt.load(bytes_of(dense(size=7))))
    assert plans.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in plans.iterdir()} == {0o600}


def test_threads_and_models_at_once(plans: Path) -> None:
    data, x = bytes_of(dense()), MODELS["dense"][1]["x"]
    expected = edge_rt.load(data, stored_plan=False)(x).tobytes()
    problems = []

    def work(number: int) -> None:
        for i in range(20):
            model = edge_rt.load(data)
            if model(x).tobytes() != expected:
                problems.append("bits")
            if (i + number) % 4 == 0 and len(model.signatures) != 1:
                problems.append("signatures")
            if i % 5 == 0:
                for path in plans.iterdir():
                    path.unlink(missing_ok=True)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not problems
    assert not [path for path in plans.iterdir() if path.suffix == ".tmp"]


WORK = """
import random, sys
import numpy, edge_rt
files, seed, rounds = sys.argv[1].split(), int(sys.argv[2]), int(sys.argv[3])
pick = random.Random(seed)
expected = {}
for turn in range(rounds):
    path, rows = pick.choice(files), pick.randint(1, 3)
    model = edge_rt.load(path, threads=1)
    x = numpy.arange(rows * 8, dtype=numpy.float32).reshape(rows, 8) / 7
    print(path, rows, model(x).tobytes().hex(), model._loaded is None)
"""


def test_processes_at_once(image: bytes, tmp_path: Path) -> None:
    """They make, read and replace the plans of the same two bundles, and one removes them: all get what one alone gets."""
    package = device_package(tmp_path / "package", {TARGET.name: image})
    compileall.compile_dir(package, quiet=1)
    files = [tmp_path / f"{name}.edge" for name in "ab"]
    for number, path in enumerate(files):
        graph = dense()
        graph.nodes[0].inputs[1].data[...] += number  # type: ignore[index, union-attr]
        path.write_bytes(bytes_of(graph))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EDGE_RT_")}
    environment |= {"PYTHONPATH": str(package), "EDGE_RT_CACHE": str(tmp_path / "cache")}

    def begin(seed: int, rounds: int, **extra: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORK, " ".join(map(str, files)), str(seed), str(rounds)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env={**environment, **extra}, cwd=package, stdout=pipe, stderr=pipe, text=True)

    alone, errors = begin(0, 60, EDGE_RT_STORED_PLANS="0").communicate()
    assert not errors
    expected = {tuple(line.split()[:2]): line.split()[2] for line in alone.splitlines()}
    assert len(expected) == 6
    plans = tmp_path / "cache" / "plans"
    running = [begin(seed, 60) for seed in range(1, 7)]
    while any(process.poll() is None for process in running):
        for path in plans.glob("[0-9a-f]*"):
            path.unlink(missing_ok=True)
        time.sleep(0.02)
    told = [process.communicate() for process in running]
    lines = [line.split() for out, _ in told for line in out.splitlines()]
    assert [(process.returncode, errors) for process, (_, errors) in zip(running, told)] == [(0, "")] * 6
    assert len(lines) == 6 * 60
    assert all(expected[path, rows] == made for path, rows, made, _ in lines)
    assert {stored_plan for *_, stored_plan in lines} == {"True", "False"}, "some found a plan, some did not"
    begin(0, 60).communicate()
    assert sorted(len(path.name) for path in plans.iterdir()) == [40, 40], "the two plans, and nothing half written"


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_cache_that_takes_nothing(trouble: str, image: bytes, tmp_path: Path) -> None:
    """The model runs as ever, nothing is said, and nothing is left behind."""
    package = device_package(tmp_path / "package", {TARGET.name: image})
    (tmp_path / "a.edge").write_bytes(bytes_of(dense()))
    cache, limit = tmp_path / "cache", ""
    if trouble == "full":
        limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
    else:
        if not os.geteuid():
            pytest.skip("root writes everywhere")
        cache.mkdir(mode=0o500)
    command = [sys.executable, "-B", "-c", limit + WORK, str(tmp_path / "a.edge"), "0", "3"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EDGE_RT_")}
    environment |= {"PYTHONPATH": str(package), "EDGE_RT_CACHE": str(cache)}
    done = subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[3] for line in done.stdout.splitlines()] == ["False"] * 3
    assert [path for path in cache.rglob("*") if path.is_file()] == []


def test_a_checkout_stores_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "edge_rt._start" not in sys.modules
    assert stored.build_of_this() == ""
    assert stored.shelf(memoryview(bytes_of(dense()))) is None
