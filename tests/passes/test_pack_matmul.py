from __future__ import annotations

import pytest

from edge_rt.types import DType
from exporter.passes.pack_matmul import pack_matmul
from tests.passes._support import Net, fires, node, ops, stays


@pytest.mark.parametrize("rows", [(5,), ("n", 5), (2, "n", 5), (2, 1, 3, 5)])
def test_constant_weights(rows):
    g = Net()
    g.output(g.add("MatMul", g.x(*rows), g.w(5, 20)), "y")
    fires(pack_matmul, g, times=1)
    assert ops(g) == ["edge.PackPanels", "edge.Gemm"]


def test_batches_of_two_activations():
    g = Net()
    g.output(g.add("MatMul", g.x(2, 1, 3, 5), g.x(4, 5, 20, name="b")), "y")
    g.output(g.add("MatMul", g.x("n", 5, name="c"), g.x(4, 5, 3, name="d")), "z")
    fires(pack_matmul, g, times=2)
    assert str(g.outputs[0].type) == "float32[2, 4, 3, 20]"


def test_swapped_axes_are_packed_from_the_original():
    g = Net()
    keys = g.add("Transpose", g.x(2, 7, 5, name="keys"), perm=(0, 2, 1))
    g.output(g.add("MatMul", g.x(2, 3, 5), keys), "y")
    fires(pack_matmul, g, times=1)
    assert ops(g) == ["edge.PackPanels", "edge.Gemm"]
    assert node(g, "edge.PackPanels").attrs.transposed


def test_another_permutation_stays_a_transpose():
    g = Net()
    keys = g.add("Transpose", g.x(7, 2, 5, name="keys"), perm=(1, 2, 0))
    g.output(g.add("MatMul", g.x(2, 3, 5), keys), "y")
    fires(pack_matmul, g, times=1)
    assert ops(g) == ["Transpose", "edge.PackPanels", "edge.Gemm"]


@pytest.mark.parametrize("rows", [(5,), (2, 3, 5)])
def test_a_vector_is_one_column(rows):
    g = Net()
    g.output(g.add("MatMul", g.x(*rows), g.x(5, name="b")), "y")
    fires(pack_matmul, g, times=1)
    assert ops(g) == ["Unsqueeze", "edge.PackPanels", "edge.Gemm", "Squeeze"]


def test_unknown_columns_doubles_and_a_vector_by_batches_stay():
    g = Net()
    g.output(g.add("MatMul", g.x(2, 3, 5), g.x(2, 5, "n", name="b")), "a")
    double = g.x(3, 3, name="double", dtype=DType.FLOAT64)
    g.output(g.add("MatMul", double, double), "b")
    g.output(g.add("MatMul", g.x(5, name="vector"), g.x(2, 5, 3, name="matrices")), "c")
    stays(pack_matmul, g)
