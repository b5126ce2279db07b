"""What a device gets of what was saved: traces as signatures, arguments by position, state."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_rt
import exporter as ex
from edge_rt.bundle import read
from edge_rt.errors import InputError, SignatureError
from tests.authoring.saved import ROWS, Counter, Net, saved


class StreamingGru(ex.Module):
    """One step of a GRU in each call."""

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.w = ex.Variable(ex.random.normal([inputs, 3 * units], stddev=0.5))
        self.u = ex.Variable(ex.random.normal([units, 3 * units], stddev=0.5))
        self.h = ex.Variable(ex.zeros([1, units]), trainable=False, name="h")

    @ex.function
    def __call__(self, x: Any) -> Any:
        wz, wr, wh = ex.split(x @ self.w, 3, -1)
        uz, ur, uh = ex.split(self.h @ self.u, 3, -1)
        z = ex.sigmoid(wz + uz)
        self.h.assign(z * self.h + (1 - z) * ex.tanh(wh + ex.sigmoid(wr + ur) * uh))
        return self.h


def test_a_device_gets_all_traces_in_order_and_picks_the_one_that_accepts_the_inputs(tmp_path: Path) -> None:
    net = Net()
    eager = [net(ROWS), net(ROWS[None], flip=True)]
    model = edge_rt.load(saved(net, tmp_path))
    assert not isinstance(model, Net)
    assert list(model.signatures) == ["serving_default", "serving_default_1"]
    assert repr(model.signatures["serving_default"]) == (
        "serving_default(x: float32[2, 3]) -> (largest: float32[], y: float32[2, 2])"
    )
    for x, expected in zip((ROWS, ROWS[None]), eager):
        got = model.run({"x": x})
        for name in ("y", "largest"):
            np.testing.assert_allclose(got[name], expected[name], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(model(x)[1], got["y"])
    with pytest.raises(SignatureError, match=r"(?s)no signature accepts.*float32\[2\].*default\(x: .*default_1\(x: "):
        model(np.ones(2, np.float32))
    with pytest.raises(SignatureError, match=r"(?s)2, not 1.*serving_default_1"):
        model(ROWS, ROWS)
    names = {"layers/0/w", "layers/0/b", "layers/1/w", "layers/1/b", "unused/k~11/1"}
    assert set(model.variables) == names
    np.testing.assert_array_equal(model.variables["layers/0/w"], net.layers[0].w.numpy())
    assert model.state == {}


def test_signatures_of_other_names_and_one_that_is_ambiguous(tmp_path: Path) -> None:
    net = Net()
    spec = ex.TensorSpec(["n", 3])
    chosen = {
        "plain": net.__call__.get_concrete_function(spec),
        "flipped": net.__call__.get_concrete_function(spec, flip=True),
        "one": ex.function(lambda rows: net.layers[0](rows), input_signature=[spec]),
    }
    model = edge_rt.load(saved(net, tmp_path, signatures=chosen))
    assert set(model.signatures) == set(chosen)
    assert model.signatures["plain"].inputs[0].shape == ("n", 3)
    np.testing.assert_array_equal(
        model.run({"x": ROWS}, signature="plain")["y"], -model.run({"x": ROWS}, signature="flipped")["y"]
    )
    assert model.run({"rows": ROWS})["output_0"].shape == (2, 4)
    with pytest.raises(SignatureError, match="2 signatures accept the inputs"):
        model.run({"x": ROWS})
    with pytest.raises(SignatureError, match=r"3 signatures accept the inputs \(float32\[2, 3\]\)"):
        model(ROWS)
    single = edge_rt.load(saved(net, tmp_path, signatures=chosen["one"]))
    assert list(single.signatures) == ["serving_default"]
    with pytest.raises(InputError, match="expected shape"):
        single(ROWS[:, :2])


def test_arguments_in_order_belong_to_the_signature_that_accepts_them(tmp_path: Path) -> None:
    class Two(ex.Module):
        @ex.function
        def __call__(self, a: Any) -> Any:
            return a + 1

        @ex.function
        def other(self, b: Any) -> Any:
            return b + 2

    two = Two()
    two(ex.ones([2]))
    two.other(ex.ones([3]))
    model = edge_rt.load(saved(two, tmp_path))
    assert model(np.ones(2, np.float32)).tolist() == [2, 2]
    assert model(np.ones(3, np.float32)).tolist() == [3, 3, 3]
    with pytest.raises(SignatureError, match=r"(?s)no signature accepts the inputs \(float32\[4\]\).*a: .*b: "):
        model(np.ones(4, np.float32))


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_what_a_function_assigns_is_state_and_what_it_reads_is_constant(tmp_path: Path, backend: str) -> None:
    counter = Counter()
    path = saved(counter, tmp_path, signatures={n: getattr(counter, n) for n in ("increment", "add", "plus_count")})
    model = edge_rt.load(path, backend=backend)
    assert model.run({}, signature="increment") == {}
    assert model.run({"n": 5}, signature="add")["output_0"] == 7
    assert model.run({"x": np.zeros(2, np.float32)}, signature="plus_count")["output_0"].tolist() == [7, 7]
    assert model.state == {"count": 7}
    kept = model.state
    model.reset_state()
    assert model.state == {"count": 0}
    model.set_state(kept)
    model.run({}, signature="increment")
    assert model.state == {"count": 9}
    assert model.session().state == {"count": 0}
    assert counter.count.numpy() == 0
    assert {s.name for g in read(path).signatures.values() for s in g.variables} == {"count"}
    with pytest.raises(SignatureError):
        model.run({"m": 5})


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_a_streaming_gru_keeps_its_state_across_calls(tmp_path: Path, backend: str) -> None:
    ex.random.seed(3)
    cell = StreamingGru(4, 6)
    frames = np.random.default_rng(1).normal(size=(5, 1, 4)).astype(np.float32)
    cell.__call__.get_concrete_function(ex.TensorSpec([1, 4]))
    model = edge_rt.load(saved(cell, tmp_path), backend=backend)
    eager = [cell(f).numpy() for f in frames]
    for frame, expected in zip(frames, eager):
        np.testing.assert_allclose(model(frame), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.state["h"], eager[-1], rtol=1e-5, atol=1e-6)
    model.reset_state()
    np.testing.assert_allclose(model(frames[0]), eager[0], rtol=1e-5, atol=1e-6)


def test_state_assigned_in_branches_and_loops(tmp_path: Path) -> None:
    class Machine(ex.Module):
        def __init__(self) -> None:
            super().__init__()
            self.total = ex.Variable(0.0)

        @ex.function
        def __call__(self, x: Any, n: Any) -> Any:
            def body(i: Any) -> Any:
                ex.cond(i % 2 == 0, lambda: self.total.assign_add(x), lambda: self.total.assign(self.total * 2))
                return i + 1

            ex.while_loop(lambda i: i < n, body, [ex.constant(0) * n])
            return self.total

    machine = Machine()
    machine.__call__.get_concrete_function(ex.TensorSpec([]), ex.TensorSpec([], "int32"))
    model = edge_rt.load(saved(machine, tmp_path))
    for n in (3, 0, 4):
        expected = machine(np.float32(1.5), np.int32(n)).numpy()
        assert model(np.float32(1.5), np.int32(n)) == expected
    assert model.state["total"] == expected != 0
