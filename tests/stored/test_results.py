"""What stored plans give is what a process without them gives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edge_rt
import exporter
from edge_rt.errors import DataError, InputError, SignatureError
from edge_rt.graph import Graph
from edge_rt.types import TensorType
from tests.boards.emulator import device_package
from tests.stored._models import I64, MODELS, RNG, TARGET, bytes_of, counter, dense, is_stored, leave, results

ROOT = Path(__file__).parent.parent.parent


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
    (expected,) = leave(tmp_path / "digits.edge", {"image": x}).values()
    model = edge_rt.load(tmp_path / "digits.edge")
    assert is_stored(model)
    assert model(x).tobytes() == expected
    assert is_stored(model), "the input's name is in the plan"
    assert edge_rt.load((tmp_path / "digits.edge").read_bytes())(x).tobytes() == expected


def test_whatever_else_is_asked_for_is_there(plans: Path) -> None:
    data = bytes_of(dense())
    x = MODELS["dense"][1]["x"]
    first = edge_rt.load(data)
    results(first, {"x": x})
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
    leave(data, inputs)
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
    expected = leave(data, {"x": x})["y"]
    model = edge_rt.load(data)
    assert is_stored(model)
    assert model.run({"x": x})["y"].tobytes() == expected
    assert is_stored(model)
    np.testing.assert_array_equal(model(np.array([1, 2, 3])), [-1, -2, -3])
    with pytest.raises(SignatureError, match="no signature is named 'third'"):
        edge_rt.load(data).run({"x": x}, signature="third")


def test_a_first_call_of_other_sizes_replaces_the_plan(plans: Path) -> None:
    data = bytes_of(dense())
    few, many = (np.ones((n, 8), np.float32) for n in (2, 50))
    leave(data, {"x": few})
    (path,) = plans.iterdir()
    before = path.read_bytes()
    model = edge_rt.load(data)
    model(few)
    model(many)
    assert path.read_bytes() == before, "it was what the first call needed"
    leave(data, {"x": many})
    assert path.read_bytes() != before
    model = edge_rt.load(data)
    model(many)
    assert is_stored(model)


# ---- when a plan is written -----------------------------------------------------------------------------------------


def test_the_second_call_writes_it(plans: Path) -> None:
    """Whoever waits for the first result does not wait for that."""
    data, inputs = bytes_of(dense()), MODELS["dense"][1]
    model = edge_rt.load(data)
    model.run(inputs)
    assert not plans.exists()
    model.run(inputs)
    (path,) = plans.iterdir()
    path.unlink()
    model.run(inputs)
    assert not path.exists(), "once"


def test_the_second_call_may_be_another(plans: Path) -> None:
    data = bytes_of(dense())
    few, many = ({"x": np.ones((n, 8), np.float32)} for n in (2, 50))
    model = edge_rt.load(data)
    model.run(few)
    model.run(many)
    assert len(list(plans.iterdir())) == 1
    later = edge_rt.load(data)
    later.run(few)
    assert is_stored(later), "of the first call"


@pytest.mark.parametrize("end", ["", "del model; import gc; gc.collect(); import os; os._exit(0)"])
def test_a_model_that_goes_after_one_call_leaves_it(end: str, image: bytes, tmp_path: Path) -> None:
    package = device_package(tmp_path / "package", {TARGET.name: image})
    (tmp_path / "a.edge").write_bytes(bytes_of(dense()))
    script = f"""
import numpy, edge_rt
model = edge_rt.load({str(tmp_path / "a.edge")!r})
model(numpy.ones((3, 8), numpy.float32))
import os
assert not os.path.exists({str(tmp_path / "cache")!r})
{end}
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EDGE_RT_")}
    environment |= {"PYTHONPATH": str(package), "EDGE_RT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", script], cwd=package, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(list((tmp_path / "cache" / "plans").iterdir())) == 1
