"""The runtime's public API: load, run, sessions, state, memory, plans, errors."""

from __future__ import annotations

import errno
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_rt
from edge_rt import bundle
from edge_rt.dims import symbol
from edge_rt.errors import (
    BundleError,
    ClosedError,
    DataError,
    EdgeError,
    InputError,
    MemoryLimitError,
    ModelError,
    SignatureError,
)
from edge_rt.graph import Graph
from edge_rt.types import DType, TensorType

F32, I64 = DType.FLOAT32, DType.INT64
WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3) / 10


def dense(name: str = "main") -> Graph:
    """y = relu(x @ W), z = x + shift."""
    graph = Graph(name)
    x = graph.input("x", TensorType(F32, (symbol("n"), 4)))
    shift = graph.input("shift", TensorType(F32, ()))
    graph.output(graph.add("Relu", graph.add("MatMul", x, graph.constant(WEIGHTS))), "y")
    graph.output(graph.add("Add", x, shift), "z")
    return graph


def counter() -> Graph:
    """Adds `step` to a total that lives across calls."""
    graph = Graph()
    total = graph.variable("total", np.zeros(2, np.float32))
    step = graph.input("step", TensorType(F32, (2,)))
    total.update = graph.add("Add", total.value, step)
    graph.output(total.update, "total")
    return graph


def loaded(*graphs: Graph, **options: Any) -> edge_rt.Model:
    signatures = {g.name: g for g in graphs}
    return edge_rt.load(bundle.to_bytes(bundle.Bundle(signatures=signatures)), **options)


X = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)


def test_run_gives_outputs_by_name() -> None:
    made = loaded(dense()).run({"x": X, "shift": 2.0})
    assert list(made) == ["y", "z"]
    np.testing.assert_allclose(made["y"], np.maximum(X @ WEIGHTS, 0), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(made["z"], X + 2)


@pytest.mark.parametrize("backend", ["auto", "cpu", "reference"])
def test_calls_take_inputs_in_order_or_by_name(backend: str) -> None:
    model = loaded(dense(), backend=backend)
    y, z = model(X, 0.5)
    again = model(X, shift=0.5)
    np.testing.assert_array_equal(y, again[0])
    np.testing.assert_array_equal(z, again[1])


def test_describes_itself() -> None:
    model = loaded(dense())
    assert [(i.name, i.dtype, i.shape) for i in model.inputs] == [("x", np.float32, ("n", 4)), ("shift", np.float32, ())]
    assert [(o.name, o.shape) for o in model.outputs] == [("y", ("n", 3)), ("z", ("n", 4))]
    assert repr(model) == "Model(main(x: float32[n, 4], shift: float32[]) -> (y: float32[n, 3], z: float32[n, 4]))"


def test_outputs_are_fresh_arrays() -> None:
    model = loaded(dense())
    first = model.run({"x": X, "shift": 1.0})
    kept = first["y"].copy()
    model.run({"x": X * 100, "shift": 1.0})
    np.testing.assert_array_equal(first["y"], kept)
    assert first["z"].flags.owndata


def test_inputs_need_not_be_contiguous() -> None:
    model = loaded(dense())
    wide = np.zeros((2, 8), np.float32)
    wide[:, ::2] = X
    for x in (wide[:, ::2], np.asfortranarray(X), X[::-1][::-1]):
        np.testing.assert_array_equal(model(x, 0.0)[1], X)


def test_sizes_may_change_from_call_to_call() -> None:
    model = loaded(dense())
    for n in (1, 7, 0, 300, 7):
        x = np.ones((n, 4), np.float32)
        np.testing.assert_array_equal(model(x, 1.0)[1], x + 1)


def test_large_inputs_are_read_in_place_and_left_alone() -> None:
    model = loaded(dense())
    x = np.random.default_rng(0).standard_normal((20000, 4)).astype(np.float32)
    before = x.copy()
    np.testing.assert_array_equal(model(x, 3.0)[1], x + np.float32(3))
    np.testing.assert_array_equal(x, before)


def test_out_receives_outputs() -> None:
    model = loaded(dense())
    z = np.empty((2, 4), np.float32)
    made = model.run({"x": X, "shift": 1.0}, out={"z": z})
    assert made["z"] is z
    np.testing.assert_array_equal(z, X + 1)
    with pytest.raises(InputError, match=r"out 'z': expected float32\[n, 4\], got float64\[2, 4\]"):
        model.run({"x": X, "shift": 1.0}, out={"z": z.astype(np.float64)})
    with pytest.raises(InputError, match=r"out 'z': expected float32\[2, 4\], got float32\[3, 4\]"):
        model.run({"x": X, "shift": 1.0}, out={"z": np.empty((3, 4), np.float32)})
    with pytest.raises(InputError, match="out: no output is named 'w'"):
        model.run({"x": X, "shift": 1.0}, out={"w": z})


def test_an_output_array_of_a_wrong_type_leaves_the_state_alone() -> None:
    model = loaded(counter())
    for wrong in (np.zeros(2), np.zeros(3, np.float32)):
        with pytest.raises(InputError, match="out 'total': expected float32"):
            model.run({"step": np.ones(2, np.float32)}, out={"total": wrong})
    np.testing.assert_array_equal(model.state["total"], [0, 0])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"x": X}, "signature 'main': expected the inputs x, shift, got x"),
        ({"x": X, "shift": 1.0, "more": X}, "expected the inputs x, shift, got x, shift, more"),
        ({"x": X.astype(np.float64), "shift": 1.0}, "input 'x': expected dtype float32, got float64"),
        ({"x": X[0], "shift": 1.0}, r"input 'x': expected shape \(n, 4\), got \(4,\)"),
        ({"x": X[:, :3], "shift": 1.0}, r"input 'x': expected shape \(n, 4\).*, got \(2, 3\)"),
        ({"x": X.tolist(), "shift": 1.0}, r"input 'x': expected a float32\[n, 4\] array, got list"),
        ({"x": X, "shift": 0.1}, "input 'shift': float32 does not represent 0.1 exactly"),
        ({"x": X, "shift": 2**40 + 1}, "float32 does not represent 1099511627777 exactly"),
        ({"x": X, "shift": True}, "input 'shift': expected dtype float32, got True"),
        ({"x": X, "shift": "a"}, "input 'shift': expected a float32.* array, got str"),
    ],
)
def test_wrong_inputs_are_refused_by_name(inputs: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        loaded(dense()).run(inputs)


@pytest.mark.parametrize("scalar", [2, 2.0, np.float64(2), np.int8(2), np.float32(2), np.array(2, np.float32)])
def test_scalars_that_the_dtype_represents_are_taken(scalar: Any) -> None:
    np.testing.assert_array_equal(loaded(dense())(X, scalar)[1], X + 2)


def test_state_lives_across_calls_and_only_in_its_session() -> None:
    model = loaded(counter())
    one = np.ones(2, np.float32)
    assert [float(model(one)[0]) for _ in range(3)] == [1, 2, 3]
    other = model.session()
    assert float(other(one)[0]) == 1
    model.reset_state()
    assert float(model(one)[0]) == 1
    other.set_state({"total": np.array([5, 6], np.float32)})
    np.testing.assert_array_equal(other(one), [6, 7])
    np.testing.assert_array_equal(model.state["total"], [1, 1])
    with pytest.raises(InputError, match=r"state 'total': expected float32\[2\], got float32\[3\]"):
        other.set_state({"total": np.zeros(3, np.float32)})


def gather() -> Graph:
    """State that changes, and an index that may be out of range."""
    graph = counter()
    index = graph.input("index", TensorType(I64, (symbol("k"),)))
    graph.output(graph.add("Gather", graph.variables[0].value, index), "picked")
    return graph


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_state_is_committed_only_on_success(backend: str) -> None:
    model = loaded(gather(), backend=backend)
    one = np.ones(2, np.float32)
    model.run({"step": one, "index": np.array([1])})
    with pytest.raises(DataError, match="Gather"):
        model.run({"step": one, "index": np.array([2])})
    np.testing.assert_array_equal(model.state["total"], [1, 1])
    np.testing.assert_array_equal(model.run({"step": one, "index": np.array([0])})["picked"], [1])


def test_signatures_are_picked_by_inputs() -> None:
    other = Graph("other")
    other.output(other.add("Neg", other.input("x", TensorType(I64, (3,)))), "y")
    model = loaded(dense(), other)
    np.testing.assert_array_equal(model.run({"x": np.arange(3)})["y"], [0, -1, -2])
    np.testing.assert_array_equal(model(np.arange(3)), [0, -1, -2])
    assert set(model.run({"x": X, "shift": 1.0})) == {"y", "z"}
    with pytest.raises(SignatureError, match=r"no signature accepts the inputs \(x: float64\[1\]\):\n  main.*\n  other"):
        model.run({"x": np.zeros(1)})
    with pytest.raises(SignatureError, match="no signature is named 'third', there are main, other"):
        model.run({"x": X}, signature="third")


def test_memory_is_told_before_the_first_run() -> None:
    assert loaded(dense()).memory.arena is None
    memory = loaded(dense()).memory_for({"x": (100, 4)})
    assert memory.weights >= WEIGHTS.nbytes
    assert memory.arena is not None
    assert memory.arena >= 100 * 4 * 4
    assert loaded(counter()).memory.state == 8


def test_max_memory_refuses() -> None:
    with pytest.raises(MemoryLimitError, match="max_memory is 10 bytes"):
        loaded(counter(), max_memory=10)
    model = loaded(dense(), max_memory=20000)
    model(X, 1.0)
    with pytest.raises(MemoryLimitError, match="the arena needs"):
        model(np.zeros((50000, 4), np.float32), 1.0)
    model(X, 1.0)


def test_the_plan_prints() -> None:
    text = str(loaded(dense()).plan({"x": (5, 4)}))
    assert "MatMul" in text
    assert "float32[5, 3]" in text
    with pytest.raises(InputError, match="input 'x': its sizes are needed"):
        loaded(dense()).plan()


def test_bind_gives_views() -> None:
    call = loaded(dense()).bind(shapes={"x": (2, 4)})
    for scale in (1, 2, 3):
        call.inputs["x"][...] = X * scale
        call.inputs["shift"][...] = 1
        call.run()
        np.testing.assert_array_equal(call.inputs["x"], X * scale)
        np.testing.assert_array_equal(call.outputs["z"], X * np.float32(scale) + 1)


def test_a_closed_model_refuses() -> None:
    with loaded(dense()) as model:
        model(X, 1.0)
    with pytest.raises(ClosedError):
        model(X, 1.0)


def test_pickles(tmp_path: Path) -> None:
    path = tmp_path / "m.edge"
    bundle.write(bundle.Bundle(signatures={"main": dense()}), path)
    for model in (edge_rt.load(path, threads=1), loaded(dense(), threads=1)):
        again = pickle.loads(pickle.dumps(model))
        np.testing.assert_array_equal(again(X, 1.0)[0], model(X, 1.0)[0])
        assert again.threads == 1


def test_one_model_from_many_threads() -> None:
    model = loaded(dense())
    failures: list[str] = []

    def work(seed: int) -> None:
        random = np.random.default_rng(seed)
        session = model.session() if seed % 2 else model
        for _ in range(50):
            x = random.standard_normal((random.integers(1, 40), 4)).astype(np.float32)
            y, z = session(x, 1.0)
            if not (np.allclose(y, np.maximum(x @ WEIGHTS, 0), atol=1e-5) and np.array_equal(z, x + np.float32(1))):
                failures.append(f"thread {seed}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "gpu"}, "backend must be one of auto, cpu, reference, got 'gpu'"),
        ({"threads": 0}, "threads must be an integer from 1 to 1024 or None, got 0"),
        ({"verify": "some"}, "verify must be .*'some'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ModelError, EdgeError, ValueError), match=message):
        loaded(dense(), **options)


def test_not_a_bundle(tmp_path: Path) -> None:
    path = tmp_path / "m.edge"
    path.write_bytes(b"hello")
    with pytest.raises(BundleError):
        edge_rt.load(path)
    with pytest.raises(FileNotFoundError):
        edge_rt.load(tmp_path / "none.edge")


@pytest.mark.parametrize("mmap", [True, False])
def test_bundles_from_a_pipe(mmap: bool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    data = bundle.to_bytes(bundle.Bundle(signatures={"main": dense()}))
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(data,))
    writer.start()
    model = edge_rt.load(tmp_path / "pipe", mmap=mmap)
    writer.join()
    np.testing.assert_array_equal(model.run({"x": X, "shift": np.float32(1)})["z"], X + 1)


def test_a_file_that_is_not_mapped_may_be_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "m.edge"
    path.write_bytes(bundle.to_bytes(bundle.Bundle(signatures={"main": dense()})))
    model = edge_rt.load(path, mmap=False)
    os.truncate(path, 0)
    np.testing.assert_array_equal(model.run({"x": X, "shift": np.float32(1)})["z"], X + 1)


def test_a_file_that_cannot_be_mapped_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.edge"
    path.write_bytes(bytes(64))

    def refuse(*arguments: object) -> int:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

    monkeypatch.setattr("edge_rt.mapped.map_descriptor", refuse)
    with pytest.raises(OSError, match=r"Cannot allocate memory: '.*m\.edge'"):
        edge_rt.load(path)
