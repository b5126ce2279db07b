"""Parts done several at a time, and parts that go on where others have ended, give the same bits in any order."""

from __future__ import annotations

import ctypes
import itertools

import numpy as np
import pytest

from edge_rt import native
from edge_rt.graph import Graph
from edge_rt.lowering._executor import MAX_PARTS, MERGES
from edge_rt.lowering.bands import LEFT_WORDS, RING
from edge_rt.native.program import Program
from edge_rt.native.team import Team
from edge_rt.plan import Plan
from edge_rt.runner import Runner
from edge_rt.types import DType, TensorType
from tests.cases._case import normal
from tests.test_bands import DEEP, POINT, Layer, chain, limits


def always_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(self: Program, start: int, stop: int, team: Team | None, *, brief: bool) -> object:
        return self._prepare(start, stop, team, brief, False)

    monkeypatch.setattr(Program, "call", call)


def transposed(shape: tuple[int, ...]) -> Graph:
    graph = Graph()
    x = graph.input("x", TensorType(DType.FLOAT32, shape))
    graph.output(graph.add("Transpose", x, perm=(0, 2, 1)), "y")
    return graph


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize(
    "graph",
    [
        chain((1, 50, 30, 24), [Layer("gemm", 70), DEEP, Layer("gemm", 40)]),
        chain((1, 7, 7, 160), [Layer("gemm", 960), DEEP, Layer("gemm", 330)]),
        chain((1, 90, 61, 4), [DEEP._replace(stride=2), Layer("gemm", 64), DEEP]),
        transposed((1, 201, 333)),
    ],
)
def test_owners_do_all_parts_of_a_team_that_left(graph: Graph, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own ranges from the front, and those of others from the back, some at a time."""
    arrays = [normal(*v.type.static_shape, seed=i) for i, v in enumerate(graph.inputs)]
    expected = Runner(Plan(graph), native.library(), None).run(arrays)
    always_shared(monkeypatch)
    team = Team(native.library(), threads)
    runner = Runner(Plan(graph), native.library(), team)
    assert team.memory
    team.close()
    for a, b in zip(expected, runner.run(arrays)):
        np.testing.assert_array_equal(a, b)
    assert runner.whole is not None
    words = runner.whole.linked.table[:, 2]
    assert (words[words & MERGES != 0] & MAX_PARTS > 2).any()


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_bands_go_on(order: tuple[int, ...]) -> None:
    """A part behind one that is done goes on with its rings, else it has rings of its own."""
    graph = chain((1, 64, 40, 8), [POINT, DEEP._replace(stride=2), POINT, DEEP])
    arrays = [normal(*v.type.static_shape, seed=i) for i, v in enumerate(graph.inputs)]
    with limits(FAR=1 << 60):
        expected = Runner(Plan(graph), native.library(), None).run(arrays)
    with limits(FAR=1, NEAR=1 << 30, MOST_WORK=1 << 30, BANDS=(4,), PARTS=(4,)):
        runner = Runner(Plan(graph), native.library(), None)
        made = runner.run(arrays)
    assert runner.whole is not None
    instance, binding = runner.whole, runner.whole.binding
    group = binding.steps[0].group
    assert group is not None
    assert group.calls[-1].parts == 4
    (clear, clear_args, _), (entry, args, _) = instance._program._table.tolist()
    call = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    output = instance.view(instance.linked.results[0], ())
    output[...] = np.nan
    call(clear)(clear_args, 0, 1)
    for part in order:
        call(entry)(args, part, 4)
    np.testing.assert_array_equal(output, expected[0])
    np.testing.assert_array_equal(made[0], expected[0])
    left = np.ndarray((4, LEFT_WORDS), np.int64, instance._arena.data, binding.steps[0].scratch[-2].offset)
    for part in range(1, 4):
        goes_on = order.index(part - 1) < order.index(part)
        assert np.array_equal(left[part, RING : RING + 3], left[part - 1, RING : RING + 3]) == goes_on
