"""Weights in fewer bytes: what is found to be without loss, what is rounded, and what stays."""

from __future__ import annotations

import numpy as np
import pytest

from edge_rt.bundle import Bundle, read, to_bytes
from edge_rt.graph import Graph
from edge_rt.interpreter import evaluate
from edge_rt.ops._panels import pack_panels
from edge_rt.types import DType, TensorType
from exporter.compress import Compressor
from tests.cases._case import normal


def f32(*shape):
    return TensorType(DType.FLOAT32, shape)


def gemm(w):
    graph = Graph()
    a = graph.input("a", f32(3, w.shape[0]))
    panels = graph.constant(pack_panels(w), "w.panels")
    graph.output(graph.add("edge.Gemm", a, panels, graph.constant(normal(w.shape[1], seed=7)), n=w.shape[1]), "y")
    return graph


def grid(k, n, top, block=0, zero=False):
    """Weights that are integers times a scale, for each column (and block of k)."""
    rng = np.random.default_rng(0)
    rows = -(-k // block) if block else 1
    scale = np.repeat((rng.random((rows, n)) * 0.01 + 1e-3).astype(np.float32), block or k, axis=0)[:k]
    q = rng.integers(-top, top, (k, n)) - (rng.integers(-top, top, n) if zero else 0)
    return q.astype(np.float32) * scale


def compressed(graph, weights):
    """The compressor, after it ran; the graph's results must be those of before, unless it is lossy."""
    inputs = [np.random.default_rng(1).standard_normal(v.type.static_shape).astype(np.float32) for v in graph.inputs]
    before = evaluate(graph, inputs)
    names = [n.name for n in graph.nodes]
    compressor = Compressor(weights)
    compressor.run(graph)
    graph.verify()
    assert [n.name for n in graph.nodes] == names
    after = evaluate(graph, inputs)
    for x, y in zip(before, after):
        np.testing.assert_allclose(x, y, rtol=0, atol=(0.2 if compressor.is_lossy else 1e-6) * np.abs(x).max())
    bundle = Bundle({"main": graph}, encodings=compressor.encodings)
    again = read(to_bytes(bundle), verify="all").signatures["main"]
    for x, y in zip(after, evaluate(again, inputs)):
        np.testing.assert_array_equal(x, y)
    return compressor


@pytest.mark.parametrize(
    ("w", "kind", "block", "zero"),
    [
        (grid(200, 70, 127), "int8", 0, False),
        (grid(201, 70, 128, zero=True), "int8", 0, True),
        (grid(256, 70, 127, block=32), "int8", 32, False),
        (grid(200, 70, 7), "int4", 0, False),
        (grid(200, 70, 8, zero=True), "int4", 0, True),
        (grid(200, 70, 7, block=32), "int4", 32, False),
        (grid(130, 70, 7, block=64), "int4", 64, False),
        (normal(100, 70).astype(np.float16).astype(np.float32), "float16", 0, False),
    ],
)
def test_without_loss(w, kind, block, zero):
    graph = gemm(w)
    compressor = compressed(graph, "auto")
    (stored,) = compressor.stored
    assert (stored.kind, stored.name, stored.error, stored.at_load) == (kind, "w.panels", 0, False)
    (node,) = graph.nodes
    assert node.attrs.block == block
    assert (len(node.inputs) > 5 and node.inputs[5] is not None) == zero
    assert not compressor.is_lossy


@pytest.mark.parametrize(
    ("weights", "kind", "most"), [("float16", "float16", 5e-4), ("int8", "int8", 0.004), ("int4", "int4", 0.08)]
)
@pytest.mark.parametrize("k", [20, 150])
def test_rounded(weights, kind, most, k):
    compressor = compressed(gemm(normal(k, 80)), weights)
    (stored,) = compressor.stored
    assert stored.kind == kind
    assert 0 < stored.error < most
    assert stored.is_rounded
    assert compressor.is_lossy


def test_the_smaller_one_of_exact_and_rounded():
    (stored,) = compressed(gemm(grid(200, 70, 7)), "int8").stored
    assert (stored.kind, stored.error) == ("int4", 0)
    (stored,) = compressed(gemm(grid(200, 70, 127)), "float16").stored
    assert (stored.kind, stored.error) == ("int8", 0)


def test_convolutions_and_weights_of_several_nodes():
    graph = Graph()
    x = graph.input("x", f32(1, 5, 5, 16))
    panels = graph.constant(pack_panels(np.stack([grid(72, 24, 127), grid(72, 24, 100)])), "w")
    for name in "ab":
        graph.output(graph.add("edge.Conv", x, panels, n=48, kernel=(3, 3), group=2), name)
    compressor = compressed(graph, "auto")
    assert [s.kind for s in compressor.stored] == ["int8"]
    assert graph.nodes[0].inputs[1] is graph.nodes[1].inputs[1]


def test_stays():
    random = normal(100, 70)
    for weights, w in (
        ("float32", grid(200, 70, 7)),
        ("auto", random),
        ("int8", grid(7, 70, 127)),  # small
        ("int8", np.where(np.arange(70) == 9, np.float32(np.inf), random)),
        ("float16", random * np.float32(1e6)),
    ):
        graph = gemm(w)
        compressor = Compressor(weights)
        assert compressor.run(graph) == []
        assert graph.nodes[0].inputs[1].data.dtype == np.float32
        assert not compressor.stored
    with pytest.raises(ValueError, match="weights must be one of auto, float32, float16, int8, int4, got 'int2'"):
        Compressor("int2")


def test_panels_that_need_as_many_scales_as_weights_are_decoded_when_loaded():
    (stored,) = compressed(gemm(np.ones((1, 4096), np.float32) * np.float32(0.3)), "auto").stored
    assert (stored.kind, stored.at_load) == ("int4", True)


def constants():
    """A graph with constants that no kernel reads in another form: multiplied, looked up, of rank 1."""
    graph = Graph()
    x = graph.input("x", f32(64, 70))
    graph.output(graph.add("Mul", x, graph.constant(grid(64, 70, 127).T.copy().T, "lattice")), "a")
    graph.output(graph.add("Mul", x, graph.constant(normal(64, 70), "random")), "b")
    rows = graph.constant(np.array([5, 3]))
    graph.output(graph.add("Gather", graph.constant(normal(80, 70), "table"), rows), "c")
    graph.output(graph.add("Add", graph.input("y", f32(2048)), graph.constant(normal(2048), "vector")), "d")
    return graph


def test_other_constants_are_decoded_when_loaded():
    def kinds(weights):
        return {s.name: (s.kind, s.is_rounded, s.at_load) for s in compressed(constants(), weights).stored}

    assert kinds("auto") == {"lattice": ("int8", False, True)}
    exact, half = ("int8", False, True), ("float16", True, True)
    assert kinds("float16") == {"lattice": exact, "random": half, "table": half}
    for weights in ("int8", "int4"):
        assert kinds(weights) == {"lattice": exact, "random": half, "table": ("int8", True, True)}
    assert kinds("float32") == {}


def test_scales_of_integers_are_not_rounded():
    w = normal(40, 4000)
    (stored,) = compressed(gemm(w), "int8").stored
    assert stored.kind == "int8"
