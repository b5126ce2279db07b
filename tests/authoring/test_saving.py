"""Loading and exporting what was saved: what the training side gets back, and damage."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_rt
import exporter as ex
from edge_rt.bundle import Bundle, read
from edge_rt.errors import AuthoringError, BundleSchemaError, ImporterError, SignatureError
from exporter.authoring.loading import restored
from tests.authoring.saved import ROWS, Counter, Net, saved


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
