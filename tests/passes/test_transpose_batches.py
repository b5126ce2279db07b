from __future__ import annotations

import pytest

from exporter.passes.transpose_batches import transpose_batches
from tests.passes._support import Net, fires, node, ops, stays


def chain(shape: tuple[int | str, ...], joined: tuple[int, ...], perm: tuple[int, ...], split: tuple[int, ...]) -> Net:
    g = Net()
    batch = g.add("Reshape", g.x(*shape), g.ints(*joined))
    g.output(g.add("Reshape", g.add("Transpose", batch, perm=perm), g.ints(*split)), "y")
    return g


@pytest.mark.parametrize(
    ("shape", "joined", "perm", "split", "expected"),
    [
        ((2, 4, 3, 5), (8, 3, 5), (0, 2, 1), (2, 4, 5, 3), (0, 1, 3, 2)),
        ((2, 4, 3, 5, 6), (24, 5, 6), (0, 2, 1), (2, 4, 3, 6, 5), (0, 1, 2, 4, 3)),
        ((2, 4, 3, 5, 6), (8, 3, 5, 6), (0, 3, 1, 2), (2, 4, 6, 3, 5), (0, 1, 4, 2, 3)),
    ],
)
def test_axes_in_front_are_joined_and_split_again(shape, joined, perm, split, expected):
    g = chain(shape, joined, perm, split)
    fires(transpose_batches, g, times=1)
    assert ops(g) == ["Transpose"]
    assert node(g, "Transpose").attrs.perm == expected


def test_symbolic_sizes_that_are_equal():
    g = Net()
    x = g.x("n", 4, "s", 5)
    batch = g.add("Reshape", x, g.add("Concat", g.ints(-1), g.add("Shape", x, start=2), axis=0))
    sizes = g.add("Shape", x)
    shape = g.add("Concat", *(g.add("Gather", sizes, g.ints(i)) for i in (0, 1, 3, 2)), axis=0)
    g.output(g.add("Reshape", g.add("Transpose", batch, perm=(0, 2, 1)), shape), "y")
    fires(transpose_batches, g, times=1, n=2, s=3)
    assert "Reshape" not in ops(g)


@pytest.mark.parametrize(
    ("shape", "joined", "perm", "split"),
    [
        ((2, 4, 3, 5), (8, 3, 5), (2, 0, 1), (5, 2, 4, 3)),
        ((2, 4, 3, 5), (8, 3, 5), (0, 2, 1), (4, 2, 5, 3)),
        ((2, 4, 3, 5), (2, 12, 5), (0, 2, 1), (2, 5, 4, 3)),
        ((2, 4, 3, 5), (8, 5, 3), (0, 2, 1), (2, 4, 3, 5)),
        ((2, 4, 3, 5), (8, 3, 5), (0, 2, 1), (8, 5, 3, 1)),
        ((8, 3, 5), (8, 5, 3), (0, 2, 1), (8, 3, 5)),
    ],
)
def test_what_is_not_a_batch_stays(shape, joined, perm, split):
    stays(transpose_batches, chain(shape, joined, perm, split))


def test_nodes_that_others_use_stay():
    g = chain((2, 4, 3, 5), (8, 3, 5), (0, 2, 1), (2, 4, 5, 3))
    g.output(g.add("Relu", node(g, "Transpose").output), "z")
    fires(transpose_batches, g, times=1)
    assert ops(g) == ["Reshape", "Transpose", "Transpose", "Relu"]
