from __future__ import annotations

import time

import pytest

from edge_rt.errors import GraphError
from edge_rt.graph import Graph
from edge_rt.interpreter import evaluate
from exporter.passes import optimize
from exporter.passes._driver import MAX_ROUNDS, run_pipeline
from exporter.passes.drop_identities import drop_identities
from exporter.passes.remove_dead_code import remove_dead_code
from tests.passes._support import Net, assert_close, ops, samples


def test_counts_changes_by_pass_until_nothing_changes():
    g = Net()
    y = g.add("Identity", g.add("Identity", g.add("Relu", g.x(2))))
    g.add("Exp", y)
    g.output(y, "y")
    assert run_pipeline(g, [(drop_identities, remove_dead_code)]) == [("drop_identities", 2), ("remove_dead_code", 1)]
    assert ops(g) == ["Relu"]


def test_a_pass_that_breaks_the_graph_is_named():
    def swap_nodes(graph: Graph) -> int:
        graph.nodes.reverse()
        return 1

    g = Net()
    g.output(g.add("Exp", g.add("Relu", g.x(2))), "y")
    with pytest.raises(GraphError, match=r"pass swap_nodes, graph 'test': Exp 'Exp': input .* before it is computed"):
        run_pipeline(g, [(swap_nodes,)])


def test_a_pass_that_changes_an_output_type_is_named():
    def shrink(graph: Graph) -> int:
        graph.outputs[0] = graph.add("ReduceSum", graph.outputs[0])
        return 1

    g = Net()
    g.output(g.add("Relu", g.x(2, 3)), "y")
    with pytest.raises(GraphError, match=r"pass shrink.*output 'y' must stay float32\[2, 3\], got float32\[1, 1\]"):
        run_pipeline(g, [(shrink,)])


def test_endless_changes_end_in_an_error():
    rounds = []

    def restless(graph: Graph) -> int:
        rounds.append(1)
        return 1

    g = Net()
    g.output(g.add("Relu", g.x(2)), "y")
    with pytest.raises(GraphError, match="still change it: restless"):
        run_pipeline(g, [(restless,)])
    assert len(rounds) == MAX_ROUNDS


def test_runs_in_the_graphs_inside():
    def branch(op: str) -> Graph:
        inner = Net()
        inner.output(inner.add(op, inner.add("Identity", inner.add("Abs", inner.x(2)))), "y")
        return inner

    g = Net()
    x, condition = g.x(2), g.input("c", g.constant(True).type)
    taken, other = branch("Relu"), branch("Exp")
    g.output(g.add("If", condition, x, then_branch=taken, else_branch=other), "y")
    assert run_pipeline(g, [(drop_identities,)]) == [("drop_identities", 2)]
    assert ops(taken) == ["Abs", "Relu"]
    assert ops(other) == ["Abs", "Exp"]


def convolutional_net() -> Net:
    """A stem, a depthwise block with a residual, squeeze and excite, a classifier; batch size unknown."""
    g = Net()
    y = g.add("Conv", g.x("n", 3, 12, 12), g.w(8, 3, 3, 3), strides=(2, 2), pads=(1, 1, 1, 1))
    y = g.add("Relu", g.add("BatchNormalization", y, g.w(8), g.w(8), g.w(8), g.w(8, positive=True)))
    z = g.add("Conv", y, g.w(8, 1, 3, 3), group=8, pads=(1, 1, 1, 1))
    z = g.add("Clip", z, g.number(0), g.number(6))
    z = g.add("Relu", g.add("Add", g.add("Conv", z, g.w(8, 8, 1, 1), g.w(8)), y))
    gate = g.add("Sigmoid", g.add("Conv", g.add("GlobalAveragePool", z), g.w(8, 8, 1, 1)))
    z = g.add("Mul", z, gate)
    z = g.add("Flatten", g.add("GlobalAveragePool", z))
    g.output(g.add("Softmax", g.add("Gemm", z, g.w(10, 8), g.w(10), transB=True)), "y")
    return g


def test_a_convolutional_net_has_transposes_at_its_border_only():
    g = convolutional_net()
    inputs = samples(g)
    expected = evaluate(g, inputs)
    optimize(g)
    assert ops(g) == [
        "Transpose", "edge.Conv", "edge.DepthwiseConv", "edge.Gemm", "ReduceMean", "edge.Gemm", "Mul", "ReduceMean",
        "Reshape", "edge.Gemm", "Softmax",
    ]  # fmt: skip
    assert_close(evaluate(g, inputs)[0], expected[0])


def test_the_same_graph_gives_the_same_result():
    first, second = convolutional_net(), convolutional_net()
    assert optimize(first) == optimize(second)
    assert str(first) == str(second)


def test_optimising_twice_changes_nothing_more():
    g = convolutional_net()
    optimize(g)
    before = str(g)
    assert optimize(g) == []
    assert str(g) == before


def test_a_thousand_nodes_take_seconds():
    g = Net()
    y = g.x(1, 8, 6, 6)
    for _ in range(200):
        conv = g.add("Conv", y, g.w(8, 8, 1, 1), g.w(8))
        norm = g.add("BatchNormalization", conv, g.w(8), g.w(8), g.w(8), g.w(8, positive=True))
        y = g.add("Add", g.add("Identity", g.add("Relu", norm)), y)
    g.output(y, "y")
    start = time.perf_counter()
    optimize(g)
    assert time.perf_counter() - start < 20
    assert set(ops(g)) == {"Transpose", "edge.Gemm", "Add"}
