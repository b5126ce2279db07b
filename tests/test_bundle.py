"""Writing and reading bundles: what goes in comes out, in the same bytes, without copies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_rt.bundle import Bundle, read, to_bytes, write
from edge_rt.bundle._attributes import CODECS
from edge_rt.bundle._format import MAX_INLINE
from edge_rt.bundle.inspect import summarize
from edge_rt.dims import symbol
from edge_rt.errors import GraphError
from edge_rt.graph import Graph
from edge_rt.ops import _attrs
from edge_rt.ops._attrs import Attrs, Kind
from edge_rt.ops._spec import TABLE, define
from edge_rt.types import ELEMENT_TYPES, DType, TensorType
from tests import bundles
from tests.bundles import bundle_of, f32, graphs_equal, relu_of

GOLDEN = Path(__file__).parent / "data" / "small.edge"


def assert_same(a: Bundle, b: Bundle) -> None:
    assert a.signatures.keys() == b.signatures.keys()
    for name, graph in a.signatures.items():
        assert graphs_equal(graph, b.signatures[name])
    assert a.metadata == b.metadata
    assert dict(a.assets) == dict(b.assets)
    assert len(a.test_vectors) == len(b.test_vectors)
    for mine, other in zip(a.test_vectors, b.test_vectors):
        assert mine.signature == other.signature
        for left, right in ((mine.inputs, other.inputs), (mine.outputs, other.outputs)):
            assert left.keys() == right.keys()
            for name, array in left.items():
                np.testing.assert_array_equal(array, right[name], strict=True)
    assert (a.source is None) == (b.source is None)
    if a.source is not None and b.source is not None:
        assert_same(a.source, b.source)


def test_the_bytes_of_a_small_bundle_are_pinned() -> None:
    assert to_bytes(bundles.small()) == GOLDEN.read_bytes()


def test_everything_comes_back(tmp_path: Path) -> None:
    bundle = bundles.large()
    path = tmp_path / "m.edge"
    size = write(bundle, path)
    assert size == path.stat().st_size
    back = read(path, verify="all")
    assert_same(bundle, back)
    assert back.requires["Conv"] == TABLE["Conv"].since
    assert to_bytes(back) == path.read_bytes() == to_bytes(bundle)


def test_constants_are_views_on_the_file(tmp_path: Path) -> None:
    path = tmp_path / "m.edge"
    write(bundle_of(relu_of(np.arange(1000, dtype=np.float32))), path)
    data = path.read_bytes()
    sources: list[Any] = [(path, {}), (path, {"mmap": False}), (data, {}), (memoryview(b"x" + data)[1:], {})]
    for source, options in sources:
        (constant,) = read(source, **options).signatures["main"].constants()
        assert constant.data is not None
        assert not constant.data.flags.writeable
        assert not constant.data.flags.owndata
        assert constant.data.ctypes.data % 64 == 0
        np.testing.assert_array_equal(constant.data, np.arange(1000, dtype=np.float32), strict=True)


def test_a_map_of_the_file_is_shared_by_its_tensors(tmp_path: Path) -> None:
    path = tmp_path / "m.edge"
    large = bundles.large()
    write(large, path)
    found = read(path).signatures
    addresses = [v.data.ctypes.data for v in found["net"].constants() if v.data is not None]
    assert max(addresses) - min(addresses) < path.stat().st_size
    # "net" is there twice, once in the source section; its tensors are there once.
    source = read(path).source
    assert source is not None
    without = Bundle(large.signatures, large.metadata, large.assets, large.test_vectors, encodings=large.encodings)
    assert path.stat().st_size < 1.5 * len(to_bytes(without))


def test_signatures_share_a_variable_by_name() -> None:
    back = read(to_bytes(bundles.large()))
    up, down = back.signatures["up"].variables, back.signatures["down"].variables
    assert [v.name for v in up] == [v.name for v in down] == ["count", "untouched"]
    assert up[0].initial is down[0].initial
    assert up[1].update is None


def test_variables_of_one_name_must_start_alike() -> None:
    one, other = bundles.counter(1.0), bundles.counter(1.0)
    other.variables[0].initial = np.ones((1, 2), np.float32)
    with pytest.raises(GraphError, match="variable 'count': must have the same initial value"):
        to_bytes(Bundle({"a": one, "b": other}))


def test_equal_tensors_are_stored_once() -> None:
    graph = Graph()
    rows = [graph.constant(np.arange(10_000, dtype=np.float32), f"c{i}") for i in range(3)]
    graph.output(graph.add("Add", graph.add("Add", rows[0], rows[1]), rows[2]), "y")
    data = to_bytes(bundle_of(graph))
    assert 40_000 < len(data) < 42_000
    assert [v.name for v in read(data).signatures["main"].constants()] == ["c0", "c1", "c2"]


def test_order_of_dicts_does_not_change_the_bytes() -> None:
    net, counter = bundles.convnet(), bundles.counter(1.0)
    a = Bundle({"x": net, "y": counter}, {"p": 1, "q": {"r": 2, "s": 3}}, {"u": b"1", "v": b"2"})
    b = Bundle({"y": counter, "x": net}, {"q": {"s": 3, "r": 2}, "p": 1}, {"v": b"2", "u": b"1"})
    assert to_bytes(a) == to_bytes(b)


@pytest.mark.parametrize("dtype", ELEMENT_TYPES)
def test_every_element_type(dtype: DType) -> None:
    graph = Graph()
    array = np.arange(6).astype(dtype.numpy).reshape(2, 3)
    graph.output(graph.constant(array), "y")
    graph.output(graph.constant(array[0, 0]), "scalar")
    graph.output(graph.constant(array[:0]), "nothing")
    graph.output(graph.constant(array.T), "transposed")
    back = read(to_bytes(bundle_of(graph)), verify="all").signatures["main"]
    assert graphs_equal(graph, back)
    for value, want in zip(back.outputs, (array, array[0, 0], array[:0], array.T)):
        np.testing.assert_array_equal(value.data, want, strict=True)


def test_symbolic_sizes_of_inputs() -> None:
    n, m = symbol("n"), symbol("m")
    graph = Graph()
    for i, shape in enumerate([(n,), (n * 2 + 1, n * m - 3), (n // 2, 5), None, ()]):
        graph.output(graph.add("Relu", graph.input(f"x{i}", TensorType(DType.FLOAT32, shape))), f"y{i}")
    back = read(to_bytes(bundle_of(graph))).signatures["main"]
    assert [v.type for v in back.inputs] == [v.type for v in graph.inputs]
    assert [v.type for v in back.outputs] == [v.type for v in graph.outputs]


class Everything(Attrs):
    an_int = _attrs.Int(1)
    maybe_int = _attrs.OptionalInt()
    a_bool = _attrs.Bool(False)
    a_float = _attrs.Float(0.0)
    maybe_float = _attrs.OptionalFloat()
    a_str = _attrs.Str("a")
    strs = _attrs.Strs(())
    ints = _attrs.Ints(())
    maybe_ints = _attrs.OptionalInts()
    floats = _attrs.Floats(())
    dtype = _attrs.ElementType(DType.FLOAT32)
    maybe_dtype = _attrs.OptionalElementType()
    maybe_array = _attrs.OptionalArray()


define(
    "test.Everything", "x:T -> y:T", attrs=Everything,
    shapes=lambda attrs, types, values: [types[0].shape], reference=lambda attrs, x: x,
)  # fmt: skip
FLOATS = st.floats(allow_nan=False)
INTS = st.integers(-(2**63), 2**63 - 1)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "an_int": INTS,
        "maybe_int": INTS | st.none(),
        "a_bool": st.booleans(),
        "a_float": FLOATS,
        "maybe_float": FLOATS | st.none(),
        "a_str": st.text(max_size=8),
        "strs": st.lists(st.text(max_size=3), max_size=4),
        "ints": st.lists(INTS, max_size=3) | st.integers(MAX_INLINE - 1, MAX_INLINE + 3).map(range),
        "maybe_ints": st.none() | st.lists(INTS, max_size=3),
        "floats": st.lists(FLOATS, max_size=3) | st.just([0.5] * (MAX_INLINE + 1)),
        "dtype": st.sampled_from(ELEMENT_TYPES),
        "maybe_dtype": st.none() | st.sampled_from(ELEMENT_TYPES),
        "maybe_array": st.none() | st.integers(0, 5).map(lambda n: np.arange(n, dtype=np.int32)),
    },
)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Graphs of operators with random attributes, constants, branches and state."""
    graph = Graph(draw(st.text(min_size=1, max_size=5)))
    shape = (draw(st.integers(0, 3)), 2)
    values = [graph.input(f"x{i}", f32("n", *shape)) for i in range(draw(st.integers(1, 3)))]
    if draw(st.booleans()):
        variable = graph.variable("state", np.full(shape, draw(st.integers(0, 3)), np.float32))
        variable.update = graph.add("Neg", variable.value)
        values.append(variable.value)
    for i in range(draw(st.integers(0, 8))):
        x = draw(st.sampled_from(values))
        kind = draw(st.integers(0, 3))
        name = draw(st.sampled_from(["", "same", f"n{i}", "ä/b:0"]))
        if kind == 0:
            values.append(graph.add("test.Everything", x, name=name, **draw(ATTRIBUTES)))
        elif kind == 1:
            values.append(graph.add("Max", *draw(st.lists(st.sampled_from(values), min_size=1, max_size=3)), name=name))
        elif kind == 2:
            constant = graph.constant(np.full(draw(st.sampled_from([(), (2,)])), i, np.float32), "c")
            values.append(graph.add("Add", x, constant, outputs=[name]))
        else:
            branches = {}
            for branch in ("then_branch", "else_branch"):
                inner = Graph(branch)
                inner.output(inner.add(draw(st.sampled_from(["Neg", "Relu"])), inner.input("a", x.type)), "b")
                branches[branch] = inner
            values.append(graph.add("If", graph.constant(np.array(draw(st.booleans()))), x, **branches))
    for i, value in enumerate(draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))):
        graph.output(value, f"y{i}")
    return graph


@settings(max_examples=60, deadline=None)
@given(graphs(), graphs(), st.binary(max_size=9))
def test_random_graphs_come_back(one: Graph, other: Graph, asset: bytes) -> None:
    starts = [v.initial.tobytes() for g in (one, other) for v in g.variables]
    signatures = {"one": one, "other": other} if len(set(starts)) <= 1 else {"one": one}
    bundle = Bundle(signatures, {"k": [asset.hex(), len(asset)]}, {"a": asset})
    data = to_bytes(bundle)
    back = read(data, verify="all")
    assert_same(bundle, back)
    assert to_bytes(back) == data


def test_every_kind_of_attribute_can_be_stored() -> None:
    assert {kind for kind in vars(_attrs).values() if isinstance(kind, Kind)} == set(CODECS)


def test_summary_for_inspection() -> None:
    data = to_bytes(bundles.large())
    found = summarize(data)
    assert found["bytes"] == len(data)
    assert list(found["signatures"]) == ["down", "net", "up", "weights"]
    net = found["signatures"]["net"]
    assert net["inputs"] == {"image": "float32[n, 3, 16, 16]"}
    assert net["outputs"] == {"scores": "float32[n, 10]", "same image": "float32[n, 3, 16, 16]"}
    assert net["ops"]["Conv"] == 2
    assert net["ops"]["Add"] == 2  # one of them in the loop
    assert found["signatures"]["up"]["state"] == ["count", "untouched"]
    assert found["assets"] == {"empty": 0, "labels": 7}
    assert found["metadata"]["name"] == "zoo"
    assert found["source"] is True
    assert found["requires"]["If"] == TABLE["If"].since
    dense = next(t for t in found["tensors"] if t["name"] == "dense")
    assert dense == {
        "name": "dense", "use": "constant", "dtype": "float32", "shape": [64, 10], "nbytes": 2560, "encoding": "raw",
    }  # fmt: skip
    weights = 8 * 3 * 3 * 3 + 8 + 8 * 8 + 64 * 10
    encoded = sum(array.size for array, _ in bundles.encoded()[1])
    assert weights + encoded < found["parameters"] < weights + encoded + 40
    assert {t["use"] for t in found["tensors"]} == {"constant", "variable", "asset", "encoding", "source"}
    assert summarize(to_bytes(bundles.small()))["test_vectors"] == 1
    json.dumps(found)


def test_a_summary_knows_tensors_of_attributes() -> None:
    graph = Graph()
    graph.output(graph.add("test.Everything", graph.input("x", f32(2)), maybe_array=np.zeros(5, np.int8)), "y")
    (tensor,) = summarize(to_bytes(bundle_of(graph)))["tensors"]
    assert (tensor["use"], tensor["shape"]) == ("attribute", [5])
