"""Calls like the one before take a fast path: whatever is called, the answers are those of a first call."""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
import pytest

import edge_rt
from edge_rt import bundle
from edge_rt.dims import symbol
from edge_rt.errors import ClosedError, DataError, InputError
from edge_rt.graph import Graph
from edge_rt.types import DType, TensorType

F32, I64 = DType.FLOAT32, DType.INT64
IN_PLACE = 5000
"""Numbers of an input that is too large to be copied into the arena."""


def loaded(*graphs: Graph, **options: Any) -> edge_rt.Model:
    return edge_rt.load(bundle.to_bytes(bundle.Bundle(signatures={g.name: g for g in graphs})), **options)


def negate(name: str = "main", dtype: DType = F32) -> Graph:
    """y = -x for x of any length."""
    graph = Graph(name)
    graph.output(graph.add("Neg", graph.input("x", TensorType(dtype, (symbol("n"),)))), "y")
    return graph


def add() -> Graph:
    graph = Graph()
    a, b = (graph.input(n, TensorType(F32, (symbol("n"),))) for n in "ab")
    graph.output(graph.add("Add", a, b), "sum")
    return graph


def repeated(session: Any, inputs: dict[str, Any], times: int = 3, **options: Any) -> dict[str, Any]:
    """The outputs of several calls, which must be equal."""
    first, *others = [session.run(inputs, **options) for _ in range(times)]
    for other in others:
        for name, array in first.items():
            np.testing.assert_array_equal(other[name], array)
    return first


def is_prepared(session: Any) -> bool:
    return session._recent is not None


@pytest.mark.parametrize("n", [3, IN_PLACE])
def test_every_call_gives_fresh_arrays_from_its_own_inputs(n: int) -> None:
    session = loaded(negate()).session()
    made = [session.run({"x": np.full(n, i, np.float32)})["y"] for i in range(4)]
    assert is_prepared(session)
    for i, y in enumerate(made):
        np.testing.assert_array_equal(y, np.full(n, -i, np.float32))


@pytest.mark.parametrize("n", [4, IN_PLACE])
def test_layout_of_inputs_does_not_matter(n: int) -> None:
    session = loaded(add()).session()
    wide = np.arange(2 * n, dtype=np.float32)
    unaligned = np.frombuffer(b"\0" + wide.tobytes(), np.float32, n, offset=1)
    dense = np.ones(n, np.float32)
    repeated(session, {"a": dense, "b": dense})
    frozen = dense.copy()
    frozen.flags.writeable = False
    for x in (wide[::2], wide[::-1][:n], unaligned, frozen):
        np.testing.assert_array_equal(repeated(session, {"a": dense, "b": x})["sum"], x + 1)
        np.testing.assert_array_equal(repeated(session, {"b": dense, "a": x})["sum"], x + 1)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(3), "expected dtype float32, got float64"),
        (np.zeros(3, ">f4"), "expected dtype float32, got >f4"),
        (np.zeros((3, 1), np.float32), r"expected shape \(n\), got \(3, 1\)"),
        ([0.0, 0.0, 0.0], "expected a float32.* array, got list"),
        (None, "expected a float32.* array, got NoneType"),
    ],
)
def test_wrong_inputs_are_refused_after_right_ones(x: Any, message: str) -> None:
    session = loaded(negate()).session()
    repeated(session, {"x": np.zeros(3, np.float32)})
    for _ in range(2):
        with pytest.raises(InputError, match=message):
            session.run({"x": x})
    with pytest.raises(InputError, match="expected the inputs x, got z"):
        session.run({"z": np.zeros(3, np.float32)})
    with pytest.raises(InputError, match="expected the inputs x, got x, z"):
        session.run({"x": np.zeros(3, np.float32), "z": np.zeros(3, np.float32)})


def test_symbols_must_still_agree() -> None:
    session = loaded(add()).session()
    three, four = np.zeros(3, np.float32), np.zeros(4, np.float32)
    repeated(session, {"a": three, "b": three})
    with pytest.raises(InputError, match=r"input 'b': expected shape \(n\) \(where n = 3\), got \(4,\)"):
        session.run({"a": three, "b": four})
    repeated(session, {"a": four, "b": four})


def test_contents_that_decide_shapes_are_looked_at() -> None:
    graph = Graph()
    x = graph.input("x", TensorType(F32, (6,)))
    shape = graph.input("shape", TensorType(I64, (2,)))
    graph.output(graph.add("Neg", graph.add("Reshape", x, shape)), "y")
    session = loaded(graph).session()
    numbers = np.arange(6, dtype=np.float32)
    for sizes in ((2, 3), (3, 2), (2, 3), (6, 1)):
        made = repeated(session, {"x": numbers, "shape": np.array(sizes)})
        assert is_prepared(session)
        np.testing.assert_array_equal(made["y"], -numbers.reshape(sizes))


def test_sizes_that_depend_on_data_take_the_long_way() -> None:
    graph = Graph()
    graph.output(graph.add("NonZero", graph.input("x", TensorType(F32, (symbol("n"),)))), "y")
    session = loaded(graph).session()
    for x in ([1, 0, 1], [0, 0, 0], [1, 1, 1]):
        array = np.array(x, np.float32)
        np.testing.assert_array_equal(repeated(session, {"x": array})["y"], np.array(np.nonzero(array)))
    assert not is_prepared(session)


@pytest.mark.parametrize("n", [3, IN_PLACE])
def test_an_input_may_be_an_output(n: int) -> None:
    graph = Graph()
    x = graph.input("x", TensorType(F32, (n,)))
    graph.output(x, "same")
    graph.output(graph.add("Neg", x), "y")
    session = loaded(graph).session()
    for i in range(3):
        x_i = np.full(n, i, np.float32)
        made = session.run({"x": x_i})
        assert not np.shares_memory(made["same"], x_i)
        np.testing.assert_array_equal(made["same"], x_i)
        np.testing.assert_array_equal(made["y"], -x_i)


def swap() -> Graph:
    """Two variables that change places; `index` picks from the second, and may be out of range."""
    graph = Graph()
    a = graph.variable("a", np.array([1, 2], np.float32))
    b = graph.variable("b", np.array([3, 4], np.float32))
    index = graph.input("index", TensorType(I64, (1,)))
    graph.output(graph.add("Gather", b.value, index), "picked")
    a.update, b.update = b.value, a.value
    return graph


def test_state_is_exchanged_and_kept_on_failure() -> None:
    session = loaded(swap()).session()
    for expected in (3, 1, 3, 1):
        assert session.run({"index": np.array([0])})["picked"] == [expected]
    assert is_prepared(session)
    for _ in range(2):
        with pytest.raises(DataError, match="Gather"):
            session.run({"index": np.array([9])})
        np.testing.assert_array_equal(session.state["a"], [1, 2])
    assert session.run({"index": np.array([0])})["picked"] == [3]
    session.reset_state()
    assert session.run({"index": np.array([1])})["picked"] == [4]


def test_signatures_stay_apart() -> None:
    model = loaded(negate(), negate("integers", I64))
    session = model.session()
    for x in (np.ones(2, np.float32), np.ones(2, np.int64)):
        np.testing.assert_array_equal(repeated(session, {"x": x})["y"], -x)
    with pytest.raises(InputError, match="expected dtype float32, got int64"):
        session.run({"x": np.ones(2, np.int64)}, signature="main")
    made = repeated(session, {"x": np.ones(2, np.int64)}, signature="integers")
    assert made["y"].dtype == np.int64


def test_out_is_filled_by_every_call() -> None:
    session = loaded(negate()).session()
    out = np.empty(2, np.float32)
    for i in range(3):
        made = session.run({"x": np.full(2, i, np.float32)}, out={"y": out})
        assert made["y"] is out
        np.testing.assert_array_equal(out, [-i, -i])
    with pytest.raises(InputError, match=r"out 'y': expected float32\[2\], got float32\[3\]"):
        session.run({"x": np.zeros(2, np.float32)}, out={"y": np.empty(3, np.float32)})


def test_a_closed_model_refuses_what_it_just_did() -> None:
    model = loaded(negate())
    session, inputs = model.session(), {"x": np.zeros(2, np.float32)}
    repeated(session, inputs)
    repeated(model, inputs)
    model.close()
    for runs in (session, model):
        with pytest.raises(ClosedError):
            runs.run(inputs)


def test_a_larger_call_between_moves_the_arena() -> None:
    session = loaded(negate()).session()
    for n in (3, 2000, 3, 4000, 4000, 3):
        x = np.arange(n, dtype=np.float32)
        np.testing.assert_array_equal(repeated(session, {"x": x})["y"], -x)


@pytest.mark.parametrize("names", ["a b", "x"])
def test_threads_share_a_session(names: str) -> None:
    graph, factor = (add(), 2) if names == "a b" else (negate(), -1)
    session = loaded(graph).session()
    wrong: list[str] = []

    def work(seed: int) -> None:
        for i in range(400):
            n = 5 if i % 20 else 5 + seed
            a = np.full(n, 1000 * seed + i, np.float32)
            (made,) = session.run(dict.fromkeys(names.split(), a)).values()
            if not np.array_equal(made, factor * a):
                wrong.append(f"thread {seed}, call {i}")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong
