"""Saving and loading: what a device gets, what the training side gets back, and state."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import edge_rt
import exporter as ex
from edge_rt.bundle import Bundle, read
from edge_rt.errors import AuthoringError, BundleSchemaError, ImporterError, InputError, SignatureError
from exporter.authoring.loading import restored

ROWS = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)


class Dense(ex.Module):
    def __init__(self, inputs: int, outputs: int, name: str | None = None) -> None:
        super().__init__(name)
        self.w = ex.Variable(ex.random.normal([inputs, outputs]), name="w")
        self.b = ex.Variable(ex.random.normal([outputs]), name="b")

    @ex.function
    def __call__(self, x: Any) -> Any:
        return ex.nn.relu(x @ self.w + self.b)


class Net(ex.Module):
    def __init__(self) -> None:
        super().__init__("net")
        self.layers = (Dense(3, 4, "one"), Dense(4, 2, "two"))
        self.unused = {"k/1": [None, ex.Variable(7, trainable=False, name="unused")]}

    @ex.function
    def __call__(self, x: Any, scale: float = 1.0, *, flip: bool = False) -> Any:
        for layer in self.layers:
            x = layer(x)
        return {"y": -x * scale if flip else x * scale, "largest": ex.reduce_max(x)}


class Counter(ex.Module):
    def __init__(self) -> None:
        super().__init__()
        self.count = ex.Variable(0, name="count")
        self.step = ex.Variable(2, name="step")

    @ex.function(input_signature=[])
    def increment(self) -> None:
        self.count.assign_add(self.step)

    @ex.function(input_signature=[ex.TensorSpec([], "int32")])
    def add(self, n: Any) -> Any:
        self.count.assign_add(n)
        return self.count

    @ex.function(input_signature=[ex.TensorSpec([None])])
    def plus_count(self, x: Any) -> Any:
        return x + ex.cast(self.count, "float32")


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


def saved(obj: Any, folder: Path, **options: Any) -> Path:
    ex.save(obj, folder / "m.edge", **options)
    return folder / "m.edge"


# ---- on the device --------------------------------------------------------------------------------------------------


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


# ---- on the training side -------------------------------------------------------------------------------------------


def test_loaded_objects_have_variables_and_functions_and_go_on(tmp_path: Path) -> None:
    net = Net()
    net.layers[1].b.trainable = False
    expected = [net(ROWS), net(ROWS, 2.0), net(ROWS, scale=2.0, flip=True)]
    net.layers[0](ROWS)
    loaded = ex.load(saved(net, tmp_path))
    assert not isinstance(loaded, Net)
    assert loaded.name == "net"
    assert isinstance(loaded.layers, tuple)
    assert [m.name for m in loaded.submodules] == ["one", "two"]
    assert loaded.unused["k/1"][0] is None
    assert [(v.name, v.trainable, v.numpy().tolist()) for v in loaded.variables] == [
        (v.name, v.trainable, v.numpy().tolist()) for v in net.variables
    ]
    got = [loaded(ROWS), loaded(ROWS, 2.0), loaded(ROWS.tolist(), scale=2.0, flip=True)]
    for a, b in zip(got, expected):
        np.testing.assert_array_equal(a["y"], b["y"])
    np.testing.assert_array_equal(loaded.layers[0](ROWS), net.layers[0](ROWS))
    np.testing.assert_array_equal(loaded.signatures["serving_default_1"](ROWS)["y"], expected[1]["y"])
    with pytest.raises(SignatureError, match=r"(?s)'__call__' has no trace for \(float32\[1, 3\]\).*x: float32\[2, 3\]"):
        loaded(ROWS[:1])
    with pytest.raises(AuthoringError, match="saved without a traced __call__"):
        loaded.layers[1](ROWS)
    with pytest.raises(AttributeError, match="module 'net' has no attribute 'nothing'"):
        print(loaded.nothing)

    for v in loaded.trainable_variables:
        v.assign(v * 2)
    assert (loaded(ROWS)["y"].numpy() != expected[0]["y"].numpy()).any()
    both = ex.function(lambda x: loaded(x)["y"] + loaded.layers[0](x)[:, :2])
    np.testing.assert_allclose(both(ROWS), loaded(ROWS)["y"] + loaded.layers[0](ROWS)[:, :2], rtol=1e-6)
    again = ex.load(saved(loaded, tmp_path))
    np.testing.assert_array_equal(again(ROWS, 2.0)["y"], loaded(ROWS, 2.0)["y"])
    assert list(edge_rt.load(tmp_path / "m.edge").signatures) == [
        "serving_default", "serving_default_1", "serving_default_2",
    ]  # fmt: skip


def test_a_loaded_state_goes_on_where_it_was(tmp_path: Path) -> None:
    counter = Counter()
    counter.increment()
    loaded = ex.load(saved(counter, tmp_path))
    loaded.increment()
    assert loaded.count.numpy() == 4
    assert loaded.add(1).numpy() == 5
    assert loaded.plus_count([1.0]).numpy() == 6
    assert counter.count.numpy() == 2
    assert loaded.add.get_concrete_function().assigned == (loaded.count,)


def test_functions_are_saved_without_a_module(tmp_path: Path) -> None:
    v, w = ex.Variable([1.0, 2.0], name="v"), ex.Variable(3.0, name="v")

    @ex.function(input_signature=[ex.TensorSpec([None, 2], name="x")])
    def shift(x: Any) -> Any:
        return x + v * w

    loaded = ex.load(saved(shift, tmp_path))
    assert loaded([[0, 0]]).numpy().tolist() == [[3, 6]]
    assert {v.name for v in loaded.variables} == {"v:0"}
    assert set(edge_rt.load(tmp_path / "m.edge").variables) == {"v", "v_1"}
    ex.save(shift.get_concrete_function(), tmp_path / "m.edge", metadata={"by": "test"}, assets={"labels": b"a\nb"})
    model = edge_rt.load(tmp_path / "m.edge")
    assert (model.metadata, model.assets["labels"]) == ({"by": "test"}, b"a\nb")
    assert model(np.zeros((1, 2), np.float32)).tolist() == [[3, 6]]


def test_shared_and_cyclic_objects_stay_so(tmp_path: Path) -> None:
    class Node(ex.Module):
        @ex.function(input_signature=[])
        def __call__(self) -> Any:
            return ex.constant(1)

    root, child = Node("root"), Node("child")
    root.children, child.parent = [child, (child, {"again": child})], root
    child.v = root.v = ex.Variable(1.0)
    loaded = ex.load(saved(root, tmp_path))
    assert loaded.children[0].parent is loaded
    assert loaded.children[0] is loaded.children[1][0] is loaded.children[1][1]["again"]
    assert loaded.v is loaded.children[0].v


def test_what_cannot_be_saved_says_why(tmp_path: Path) -> None:
    net = Net()
    with pytest.raises(AuthoringError, match="Net has no traced function to export"):
        ex.save(net, tmp_path / "m.edge")
    with pytest.raises(AuthoringError, match="signature 'f': its function must have one trace, it has 0"):
        ex.save(net, tmp_path / "m.edge", signatures={"f": net.__call__})
    with pytest.raises(AuthoringError, match="signature 'f': expected a function, got int"):
        ex.save(net, tmp_path / "m.edge", signatures={"f": 3})
    with pytest.raises(AuthoringError, match="expected a module or a function, got dict"):
        ex.save({}, tmp_path / "m.edge")
    stray = ex.Variable(1.0, name="stray")
    net.f = ex.function(lambda: stray * 1)
    net.f()
    with pytest.raises(AuthoringError, match="uses the variable 'stray:0', which is no attribute of Net"):
        ex.save(net, tmp_path / "m.edge")
    net.stray = stray
    ex.save(net, tmp_path / "m.edge")
    with pytest.raises(AuthoringError, match=r"was not written by ex\.save"):
        ex.load(exported(net, tmp_path))


def mutated(rng: random.Random, x: Any, depth: int) -> Any:
    """The data with one place changed, removed or doubled, at most so deep."""
    strange = [None, True, -1, 0, 1, 7, 1 << 40, 1.5, "", "x", "__class__", "0:__call__", [], {}, [[]], {"input": 0}]
    if depth == 0 or not isinstance(x, (list, dict)) or not x:
        return rng.choice(strange)
    key = rng.choice(list(x) if isinstance(x, dict) else range(len(x)))
    changed = dict(x) if isinstance(x, dict) else list(x)
    action = rng.randrange(8)
    if action == 0:
        del changed[key]
    elif action == 1 and isinstance(changed, list):
        changed.append(changed[key])
    else:
        changed[key] = mutated(rng, x[key], depth - 1)
    return changed


def test_a_source_section_that_lies_is_refused_and_nothing_else_happens(tmp_path: Path) -> None:
    net = Net()
    net(ROWS, flip=True)
    net.layers[0](ROWS)
    source = read(saved(net, tmp_path)).source
    assert source is not None
    rng, refused = random.Random(5), 0
    for _ in range(1000):
        lie = Bundle(source.signatures, mutated(rng, source.metadata, rng.randrange(1, 9)), variables=source.variables)
        try:
            loaded = restored(lie)
        except BundleSchemaError:
            refused += 1
        else:
            assert all(isinstance(v, ex.Variable) for v in loaded.variables)
            assert all(isinstance(m, ex.Module) for m in loaded.submodules)
    assert 500 < refused < 1000


def test_signatures_keep_their_names_when_a_loaded_object_is_saved_again(tmp_path: Path) -> None:
    net = Net()
    outside = ex.function(lambda rows: net.layers[0](rows), input_signature=[ex.TensorSpec([None, 3])])
    ex.save(net, tmp_path / "a.edge", signatures={"rows": outside})
    ex.save(ex.load(tmp_path / "a.edge"), tmp_path / "b.edge")
    model = edge_rt.load(tmp_path / "b.edge")
    assert list(model.signatures) == ["rows"]
    np.testing.assert_allclose(model(ROWS), outside(ROWS), rtol=1e-5, atol=1e-6)
    report = ex.export(ex.load(tmp_path / "b.edge"), tmp_path / "c.edge", verify=True)
    assert report.differences[0].output == "output_0"


# ---- export ---------------------------------------------------------------------------------------------------------


def exported(obj: Any, folder: Path, **options: Any) -> Path:
    ex.export(obj, folder / "e.edge", **options)
    return folder / "e.edge"


def test_export_compares_every_signature_and_stores_test_vectors(tmp_path: Path) -> None:
    net = Net()
    net(ROWS)
    net.__call__.get_concrete_function(ex.TensorSpec([None, None, 3]), flip=True)
    report = ex.export(net, tmp_path / "e.edge", verify=True, inputs={"x": ROWS})
    assert len(report.differences) == 4
    assert report.oracle == "the NumPy references"
    assert report.numpy_steps == []
    model = edge_rt.load(tmp_path / "e.edge")
    assert [v.signature for v in model.test_vectors] == ["serving_default", "serving_default_1"]
    assert [d.ok for d in edge_rt.verification.replay(model)] == [True] * 4
    np.testing.assert_allclose(model(ROWS)[1], net(ROWS)["y"], rtol=1e-5, atol=1e-6)
    assert model.variables == {}


def test_sizes_of_traces_are_fixed_by_export(tmp_path: Path) -> None:
    f = ex.function(lambda x, y: x @ y, input_signature=[ex.TensorSpec(["n", 3]), ex.TensorSpec([3, "n"])])
    model = edge_rt.load(exported(f, tmp_path, input_shapes={"x": (4, None)}, verify=True))
    assert [i.shape for i in model.inputs] == [(4, 3), (3, 4)]
    with pytest.raises(ImporterError, match="no input is named 'z', there are x, y"):
        exported(f, tmp_path, input_shapes={"z": (1,)})
    with pytest.raises(ImporterError, match=r"input 'x' has shape float32\[n, 3\], which \(4, 4\) does not fit"):
        exported(f, tmp_path, input_shapes={"x": (4, 4)})


# ---- any tree -------------------------------------------------------------------------------------------------------


class Tree(ex.Module):
    @ex.function(input_signature=[])
    def count(self) -> Any:
        return ex.constant(len(self.variables))


ARRAYS = st.builds(
    lambda shape, dtype, seed: np.random.default_rng(seed).integers(0, 2, shape).astype(dtype),
    st.lists(st.integers(0, 3), max_size=3),
    st.sampled_from(["float32", "float64", "int8", "int64", "bool", "uint16", "complex64"]),
    st.integers(0, 9),
)
VARIABLES = st.builds(lambda a, t, n: ex.Variable(a, trainable=t, name=n), ARRAYS, st.booleans(), st.sampled_from("abc"))
NAMES = st.text("abc/~.", min_size=1, max_size=3)


def tree_of(name: str, trainable: bool, attributes: dict[str, Any]) -> Tree:
    tree = Tree(name)
    tree.trainable = trainable
    for attribute, x in attributes.items():
        setattr(tree, attribute, x)
    return tree


THINGS = st.recursive(
    VARIABLES | st.integers() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(NAMES | st.integers(0, 9), inner, max_size=3)
        | st.builds(
            tree_of, st.sampled_from("xyz"), st.booleans(), st.dictionaries(st.sampled_from("pqrs"), inner, max_size=3)
        )
    ),
    max_leaves=12,
)


def described(x: Any, seen: dict[int, int]) -> Any:
    """Everything that saving keeps, as data."""
    if isinstance(x, ex.Variable):
        same = seen.setdefault(id(x), len(seen))
        return (same, x.name, x.trainable, x.dtype.str, x.numpy().tolist())
    if isinstance(x, ex.Module):
        inner = {k: described(v, seen) for k, v in sorted(vars(x).items()) if not k.startswith("_")}
        return (x.name, x.trainable, {k: v for k, v in inner.items() if v is not None})
    if isinstance(x, (list, tuple)):
        items = [described(v, seen) for v in x]
        while items and items[-1] is None:
            items.pop()
        return (type(x).__name__, items) if items else None
    if isinstance(x, dict):
        items = {k: described(v, seen) for k, v in sorted(x.items(), key=lambda item: str(item[0]))}
        return {k: v for k, v in items.items() if v is not None} or None
    return None


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from("tuvw"), THINGS, max_size=4))
def test_any_tree_of_modules_comes_back_equal(attributes: dict[str, Any]) -> None:
    tree = tree_of("root", True, attributes)
    with tempfile.TemporaryDirectory() as folder:
        path = saved(tree, Path(folder))
        loaded = ex.load(path)
        assert described(loaded, {}) == described(tree, {})
        assert loaded.count().numpy() == len(tree.variables)
        assert {p: a.tolist() for p, a in edge_rt.load(path, backend="reference").variables.items()} == {
            p: v.numpy().tolist() for p, v in ex.authoring.paths.variable_paths(tree).items()
        }
        checkpoint = ex.Checkpoint(root=tree)
        checkpoint.write(Path(folder) / "c")
        before = [v.numpy() for v in tree.variables]
        for v in tree.variables:
            v.assign(np.zeros(v.shape, v.dtype))
        checkpoint.restore(Path(folder) / "c").assert_consumed()
        for v, value in zip(tree.variables, before):
            np.testing.assert_array_equal(v.numpy(), value)
