from __future__ import annotations

import numpy as np

from exporter.passes import optimize
from exporter.passes._match import replace
from exporter.passes.restore_names import restore_names
from tests.passes._support import Net, fires, stays


def names(g: Net) -> list[str]:
    return [n.name for n in g.nodes]


def replaced(g: Net, times: int) -> None:
    """Puts each node's equal into its place, so often."""
    for _ in range(times):
        for n in list(g.nodes):
            made = g.add(n.op, *n.inputs, attrs=n.attrs, before=n, name=n.name)
            replace(g, n, *(made if isinstance(made, tuple) else (made,)))


def test_a_node_gets_back_the_name_of_what_it_replaced():
    g = Net()
    halves = g.add("Split", g.add("Relu", g.x("n", 4), name="block/act", outputs=["t1"]), num_outputs=2, name="s")
    g.output(g.add("Add", *halves, name="sum_1", outputs=["t2"]), "y")
    replaced(g, 3)
    assert names(g) == ["block/act_1_1_1", "s_1_1_1", "sum_1_1_1_1"]
    fires(restore_names, g)
    assert names(g) == ["block/act", "s", "sum_1"]
    assert [v.name for n in g.nodes for v in n.outputs] == ["block/act", "s:0", "s:1", "sum_1"]
    assert restore_names(g) == 0


def test_names_of_the_source_stay():
    g = Net()
    g.output(g.add("Relu", g.x("n", 4), name="relu", outputs=["tensor"]), "y")
    stays(restore_names, g)
    assert g.nodes[0].output.name == "tensor"


def test_two_live_nodes_keep_a_number():
    g = Net()
    x = g.x("n", 4)
    g.output(g.add("Add", g.add("Relu", x, name="twin"), g.add("Neg", x, name="twin"), name="sum"), "y")
    replaced(g, 2)
    fires(restore_names, g)
    assert names(g) == ["twin", "twin_1", "sum"]
    assert restore_names(g) == 0
    new = g.add("Relu", x, name="twin")
    assert new.producer.name == "twin_2"


def test_inputs_keep_their_names():
    g = Net()
    x = g.x("n", 4, name="relu")
    g.output(g.add("Relu", x, name="relu"), "y")
    replaced(g, 1)
    fires(restore_names, g)
    assert (x.name, names(g)) == ("relu", ["relu"])
    assert g.nodes[0].output.name == "relu_1"


def test_a_constant_follows_what_it_was_made_for():
    g = Net()
    w = g.constant(np.ones(4, np.float32), "w")
    g.output(g.add("Add", g.x("n", 4), g.constant(w.data, w.name), name="fc"), "y")
    replaced(g, 2)
    bias = g.constant(np.ones(4, np.float32), f"{g.nodes[0].name}.bias")
    panels = g.constant(np.ones(4, np.float32), f"{g.nodes[0].inputs[1].name}.panels")
    g.outputs[0] = g.add("Sum", g.outputs[0], bias, panels, name="sum")
    assert (bias.name, panels.name) == ("fc_1_1.bias", "w_1.panels")
    fires(restore_names, g)
    assert [v.name for v in g.constants()] == ["w", "fc.bias", "w.panels"]


def test_a_whole_pipeline():
    g = Net()
    w = g.constant(np.full((8, 4, 1, 1), 0.1, np.float32), "block0/w")
    y = g.add("Conv", g.x("n", 4, 6, 6), w, name="block0/pointwise", outputs=["t"])
    y = g.add("Add", y, g.constant(np.ones((8, 1, 1), np.float32)), name="block0/add")
    g.output(g.add("Relu", y, name="block0/relu"), "y")
    optimize(g)
    (gemm,) = [n for n in g.nodes if n.op.name == "edge.Gemm"]
    assert (gemm.name, gemm.output.name) == ("block0/pointwise", "block0/pointwise")
    assert [v.name for v in gemm.inputs[1:]] == ["block0/pointwise.weight.panels", "block0/pointwise.bias"]
