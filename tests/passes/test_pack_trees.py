"""pack_trees and its step functions: the same outputs as the operators of ai.onnx.ml, by machine code."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

from edge_rt import native, ops
from edge_rt.graph import Graph
from edge_rt.plan import Plan
from edge_rt.runner import Runner
from edge_rt.types import DType, TensorType
from exporter.passes._forest import condition
from exporter.passes.pack_trees import pack_trees
from tests.forests import current, older, random_trees, rows
from tests.passes._support import stays

FEATURES = 6
MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
COMPARE = {
    "BRANCH_LEQ": np.less_equal, "BRANCH_LT": np.less, "BRANCH_GTE": np.greater_equal, "BRANCH_GT": np.greater,
    "BRANCH_EQ": np.equal, "BRANCH_NEQ": np.not_equal,
}  # fmt: skip
ODD = (-math.inf, -1e308, -1.0, -5e-324, -0.0, 0.0, 1.0, math.nextafter(1.0, 2.0), 2.0, math.inf, math.nan)


def graph_of(op: str, dtype: Any = np.float32, **attributes: Any) -> Graph:
    graph = Graph()
    x = graph.input("x", TensorType(DType.of(np.dtype(dtype)), (50, FEATURES)))
    made = graph.add(op, x, **attributes)
    for i, value in enumerate(made if isinstance(made, tuple) else (made,)):
        graph.output(value, f"y{i}")
    return graph


def check(op: str, expected: list[str], dtype: Any = np.float32, **attributes: Any) -> None:
    """The pass fires; machine code by one thread and by three then gives what the reference of `op` does."""
    graph, x = graph_of(op, dtype, **attributes), rows(50, FEATURES, dtype)
    spec = ops.get(op)
    want = [w for w in spec.evaluate(spec.attrs(**attributes), x) if w is not None]
    assert pack_trees(graph) == 1
    graph.retype()
    graph.verify()
    assert [n.op.name for n in graph.nodes] == expected
    library = native.library()
    for threads in (1, 3):
        runner = Runner(Plan(graph), library, native.team(library, threads))
        got = runner.run([x])
        assert all(s.is_native for s in runner.instance_for([x])[0].binding.steps)
        for g, w in zip(got, want, strict=True):
            spec.accuracy.check(g, w)


@pytest.mark.parametrize(("mode", "split"), list(itertools.product(MODES, ODD)))
@pytest.mark.parametrize("missing", [False, True])
def test_step_functions_decide_as_comparisons_do(mode, split, missing):
    members = [split, 0.0, math.nextafter(split, 3)]
    steps = condition(mode, split, members, missing)
    assert steps.bounds == sorted(steps.bounds)
    assert len(steps.outcomes) == len(steps.bounds) + 1
    for x in ODD:
        way = x in [m for m in members if m == m] if mode == "BRANCH_MEMBER" else bool(COMPARE[mode](x, split))
        way = way or (missing and x != x)
        interval = steps.missing if x != x else sum(not x <= b for b in steps.bounds)
        assert steps.outcomes[interval] is way


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_mode(mode, dtype):
    trees = random_trees(11, 5, FEATURES, modes=[mode], seed=2)
    check("ai.onnx.ml.TreeEnsemble", ["edge.TreeEnsemble"], dtype, **current(trees, 1, dtype))


@pytest.mark.parametrize("how", range(4))
@pytest.mark.parametrize("targets", [1, 3])
def test_aggregates(how, targets):
    trees = random_trees(13, 4, FEATURES, targets, MODES, seed=3)
    check("ai.onnx.ml.TreeEnsemble", ["edge.TreeEnsemble"], aggregate_function=how, **current(trees, targets))


@pytest.mark.parametrize("transform", [1, 2, 3])
def test_post_transforms(transform):
    trees = random_trees(9, 4, FEATURES, 3, MODES, seed=4)
    check(
        "ai.onnx.ml.TreeEnsemble", ["edge.TreeEnsemble", "edge.Classify"], post_transform=transform, **current(trees, 3)
    )


@pytest.mark.parametrize("how", ["SUM", "AVERAGE", "MIN", "MAX"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64])
def test_regressor(how, dtype):
    trees = random_trees(10, 4, FEATURES, 2, seed=5)
    check(
        "ai.onnx.ml.TreeEnsembleRegressor", ["edge.TreeEnsemble"], dtype, n_targets=2, aggregate_function=how,
        base_values=(0.5, -1.5), **older(trees, "target"),
    )  # fmt: skip


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"])
@pytest.mark.parametrize("all_targets", [False, True])
def test_classifier(transform, all_targets):
    trees = random_trees(10, 4, FEATURES, 4, seed=6, all_targets=all_targets)
    check(
        "ai.onnx.ml.TreeEnsembleClassifier", ["edge.TreeEnsemble", "edge.Classify"], post_transform=transform,
        classlabels_int64s=(10, 20, 30, 40), **older(trees, "class"),
    )  # fmt: skip


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
@pytest.mark.parametrize("positive", [False, True])
def test_classifier_with_one_score_for_two_classes(transform, positive):
    attributes = older(random_trees(10, 4, FEATURES, 1, seed=7), "class")
    if positive:
        attributes["class_weights"] = np.abs(attributes["class_weights"]) / 10
    check(
        "ai.onnx.ml.TreeEnsembleClassifier", ["edge.TreeEnsemble", "edge.Classify"], post_transform=transform,
        classlabels_int64s=(-1, 1), **attributes,
    )  # fmt: skip


def test_what_stays():
    trees = random_trees(4, 3, FEATURES, seed=8)
    attributes = current(trees, 1)
    stays(pack_trees, graph_of("ai.onnx.ml.TreeEnsemble", post_transform=4, **attributes))
    stays(pack_trees, graph_of("ai.onnx.ml.TreeEnsemble", np.float64, post_transform=2, **attributes))
    stays(pack_trees, graph_of("ai.onnx.ml.TreeEnsemble", np.float16, **attributes))
    weights = np.full_like(attributes["leaf_weights"], np.nan)
    stays(pack_trees, graph_of("ai.onnx.ml.TreeEnsemble", **{**attributes, "leaf_weights": weights}))
    twice = np.array([attributes["tree_roots"][0]] * 2)
    stays(pack_trees, graph_of("ai.onnx.ml.TreeEnsemble", **{**attributes, "tree_roots": twice}))
    cycle = np.zeros_like(attributes["nodes_truenodeids"])
    cyclic = {**attributes, "nodes_truenodeids": cycle, "nodes_trueleafs": cycle}
    stays(pack_trees, graph_of("ai.onnx.ml.TreeEnsemble", **cyclic))
