from __future__ import annotations

from edge_rt.graph import Value
from exporter.passes.fold_shapes import fold_shapes
from tests.passes._support import Net, fires, ops, stays


def shape_of(g: Net, x: Value, *parts: int | Value) -> Value:
    """A computed shape of numbers and of sizes of tensors."""
    return g.add("Concat", *[g.ints(p) if isinstance(p, int) else p for p in parts], axis=0)


def size(g: Net, x: Value, axis: int) -> Value:
    return g.add("Gather", g.add("Shape", x), g.ints(axis))


def test_a_reshape_copies_sizes_and_leaves_one_open():
    g = Net()
    x = g.x("n", "t", 6)
    g.output(g.add("Reshape", x, shape_of(g, x, size(g, x, 0), size(g, x, 1), 2, 3)), "y")
    fires(fold_shapes, g, times=1, n=2, t=5)
    assert ops(g) == ["Reshape"]
    assert g.nodes[0].inputs[1].data.tolist() == [0, 0, 2, 3]
    assert str(g.outputs[0].type) == "float32[n, t, 2, 3]"


def test_one_size_that_moved_is_left_open():
    g = Net()
    x = g.x("n", 6)
    g.output(g.add("Reshape", x, shape_of(g, x, 2, size(g, x, 0), 3)), "y")
    fires(fold_shapes, g, times=1, n=4)
    assert g.nodes[0].inputs[1].data.tolist() == [2, -1, 3]


def test_an_expand_by_numbers():
    g = Net()
    x = g.x("n", 1)
    g.output(g.add("Expand", x, shape_of(g, x, size(g, x, 0), 7)), "y")
    fires(fold_shapes, g, times=1, n=4)
    assert g.nodes[-1].inputs[1].data.tolist() == [1, 7]


def test_two_sizes_that_moved_stay_computed():
    g = Net()
    x = g.x("n", "t", 6)
    g.output(g.add("Reshape", x, shape_of(g, x, size(g, x, 1), size(g, x, 0), 6)), "y")
    stays(fold_shapes, g)


def test_sizes_from_elsewhere_and_zero_sizes_stay():
    g = Net()
    x, other = g.x("n", 1), g.x("m", 1, name="other")
    g.output(g.add("Expand", x, shape_of(g, x, 1, size(g, other, 0))), "y")
    empty = g.x(0, "k", name="empty")
    g.output(g.add("Reshape", empty, shape_of(g, empty, size(g, empty, 1), 0), allowzero=True), "z")
    stays(fold_shapes, g)


def test_what_zero_and_minus_one_mean_stays():
    g = Net()
    x = g.x("n", "t", 6)
    g.output(g.add("Reshape", x, shape_of(g, x, 0, size(g, x, 1), 2, 3)), "copies")
    g.output(g.add("Reshape", x, shape_of(g, x, size(g, x, 0), -1, 2), allowzero=True), "open")
    fires(fold_shapes, g, times=2)
    assert [n.inputs[1].data.tolist() for n in g.nodes if n.op.name == "Reshape"] == [[0, 0, 2, 3], [0, -1, 2]]
    assert not any(n.attrs.allowzero for n in g.nodes if n.op.name == "Reshape")
