"""remove_dead_code, merge_common_subexpressions, merge_reshapes, merge_transposes, reshape_transposes."""

from __future__ import annotations

import numpy as np

from exporter.passes.merge_common_subexpressions import merge_common_subexpressions
from exporter.passes.merge_reshapes import merge_reshapes
from exporter.passes.merge_transposes import merge_transposes
from exporter.passes.remove_dead_code import remove_dead_code
from exporter.passes.reshape_transposes import reshape_transposes
from tests.passes._support import Net, fires, node, ops, stays


def test_dead_code_goes_with_its_producers():
    g = Net()
    x = g.x(2)
    g.add("Exp", g.add("Log", g.add("Abs", x)))
    g.output(g.add("Relu", x), "y")
    fires(remove_dead_code, g, times=3)
    assert ops(g) == ["Relu"]


def test_a_node_with_one_used_output_lives():
    g = Net()
    _, second = g.add("Split", g.x(4), num_outputs=2)
    g.output(second, "y")
    stays(remove_dead_code, g)


def test_equal_nodes_become_one():
    g = Net()
    x = g.x("n", 4)
    first = g.add("LeakyRelu", g.add("Add", x, g.constant(np.float32(3))), alpha=0.5)
    second = g.add("LeakyRelu", g.add("Add", x, g.constant(np.float32(3))), alpha=0.5)
    g.output(g.add("Mul", first, second), "y")
    fires(merge_common_subexpressions, g, times=2)
    assert ops(g) == ["Add", "LeakyRelu", "Mul"]


def test_equal_outputs_keep_their_names():
    g = Net()
    x = g.x(4)
    g.output(g.add("Exp", x), "a")
    g.output(g.add("Exp", x), "b")
    fires(merge_common_subexpressions, g, times=1)
    assert g.output_names == ["a", "b"]


def test_what_differs_stays_apart():
    g = Net()
    x = g.x(4)
    g.output(g.add("LeakyRelu", x, alpha=0.5), "a")
    g.output(g.add("LeakyRelu", x, alpha=0.25), "b")
    g.output(g.add("Sub", x, g.number(1)), "c")
    g.output(g.add("Sub", g.number(1), x), "d")
    g.output(g.add("Add", x, g.number(0.0)), "e")
    g.output(g.add("Add", x, g.number(-0.0)), "f")
    g.output(g.add("RandomUniformLike", x), "g")
    g.output(g.add("RandomUniformLike", x), "h")
    stays(merge_common_subexpressions, g)


def test_reshapes_there_and_back_go():
    g = Net()
    x = g.add("Relu", g.x("n", 4, 1, 6))
    y = g.add("Unsqueeze", g.add("Squeeze", x, g.ints(2)), g.ints(-2))
    g.output(g.add("Exp", y), "y")
    fires(merge_reshapes, g, times=1)
    assert ops(g) == ["Relu", "Exp"]


def test_two_reshapes_become_one():
    g = Net()
    x = g.x("n", 4, 6)
    y = g.add("Flatten", g.add("Reshape", x, g.ints(0, 2, 2, 6)))
    g.output(y, "y")
    fires(merge_reshapes, g, times=1)
    assert ops(g) == ["Reshape"]
    assert g.nodes[0].inputs[1].data.tolist() == [0, 24]


def test_reshapes_that_cannot_be_written_down_stay():
    g = Net()
    x = g.x("n", "t", 6)
    y = g.add("Squeeze", g.add("Reshape", x, g.ints(0, 0, 1, 6)), g.ints(2))
    moved = g.add("Unsqueeze", g.add("Unsqueeze", x, g.ints(0)), g.ints(0))
    g.output(g.add("Unsqueeze", g.add("Relu", y), g.ints(0)), "y")
    g.output(moved, "z")
    fires(merge_reshapes, g, times=1)  # The first pair only: the second would need two sizes by -1.
    assert ops(g) == ["Unsqueeze", "Unsqueeze", "Relu", "Unsqueeze"]


def test_a_reshape_with_other_users_stays_for_them():
    g = Net()
    flat = g.add("Flatten", g.x(2, 3, 4))
    g.output(g.add("Exp", flat), "a")
    g.output(g.add("Reshape", flat, g.ints(4, 6)), "b")
    fires(merge_reshapes, g, times=1)
    assert ops(g) == ["Flatten", "Exp", "Reshape"]
    assert node(g, "Reshape").inputs[0] is g.inputs[0]


def test_transposes_there_and_back_go():
    g = Net()
    x = g.add("Relu", g.x("n", 3, "h", "w"))
    y = g.add("Transpose", g.add("Transpose", x, perm=(0, 2, 3, 1)), perm=(0, 3, 1, 2))
    g.output(g.add("Exp", y), "y")
    fires(merge_transposes, g, times=1)
    assert ops(g) == ["Relu", "Exp"]


def test_two_transposes_become_one():
    g = Net()
    first = g.add("Transpose", g.x(2, 3, 4))
    g.output(g.add("Transpose", first, perm=(1, 0, 2)), "y")
    g.output(first, "first")
    fires(merge_transposes, g, times=1)
    assert [n.inputs[0] is g.inputs[0] for n in g.nodes] == [True, True]
    assert g.nodes[1].attrs.perm == (1, 2, 0)


def test_transposes_that_cancel_between_input_and_output_stay():
    g = Net()
    g.output(g.add("Transpose", g.add("Transpose", g.x(2, 3))), "y")
    stays(merge_transposes, g)


def test_a_transpose_of_axes_of_size_1_is_a_reshape():
    g = Net()
    g.output(g.add("Transpose", g.x("n", 5, 1, 1), perm=(0, 2, 3, 1)), "y")
    fires(reshape_transposes, g, times=1)
    assert ops(g) == ["Reshape"]
    assert str(g.outputs[0].type) == "float32[n, 1, 1, 5]"


def test_a_transpose_that_moves_elements_stays():
    g = Net()
    g.output(g.add("Transpose", g.x("n", 5, "h", 1), perm=(0, 2, 3, 1)), "y")
    g.output(g.add("Transpose", g.x(2, 2, name="z")), "z")
    stays(reshape_transposes, g)
