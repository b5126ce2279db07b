"""Ensembles of trees become edge.TreeEnsemble, in the records that a kernel walks."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.ops.classic import POST_TRANSFORMS
from edge_rt.ops.edge_trees import START, TRANSFORMS
from edge_rt.ops.old_trees import base_of, has_one_score, leaf_owners, old_forest, weights_of
from edge_rt.ops.trees import AGGREGATES, forest_of
from edge_rt.types import DType
from exporter.passes._forest import Leaf, NotATree, pack_forest
from exporter.passes._match import is_used, live, prune

Array = np.ndarray[Any, Any]


def pack_trees(graph: Graph) -> int:
    """Replaces the ensembles of ai.onnx.ml:

    1. TreeEnsemble, TreeEnsembleRegressor -> edge.TreeEnsemble.
    2. With a post-transform -> edge.TreeEnsemble, edge.Classify.
    3. TreeEnsembleClassifier -> edge.TreeEnsemble, edge.Classify.

    All modes of nodes become comparisons x <= split, see `_forest`. Averages are sums of divided weights. Not with the
    post-transform PROBIT, for float16, for float64 with a post-transform, where a weight is NaN, or where nodes are no
    trees: reached on two ways, or on none that ends.
    """
    changes = 0
    for node in live(graph):
        rule = RULES.get(node.op.name)
        x = node.inputs[0] if rule else None
        if rule is None or x is None or x.type.dtype not in _DTYPES:
            continue
        try:
            changes += rule(graph, node, x)
        except NotATree:
            continue
    return changes


_DTYPES = frozenset({DType.FLOAT32, DType.FLOAT64, DType.INT32, DType.INT64})


class Ensemble:
    """What edge.TreeEnsemble needs, gathered from either of the older operators."""

    __slots__ = ("average", "base", "forest", "how", "leaves", "targets")

    def __init__(self, forest: Any, leaves: list[Leaf], targets: int, how: str, base: Array | None = None) -> None:
        self.forest, self.leaves, self.targets, self.base = forest, leaves, targets, base
        self.average = how == "AVERAGE"
        self.how = "SUM" if self.average else how

    def add_to(self, graph: Graph, x: Value, node: Node, dtype: DType) -> Value:
        """Raises NotATree."""
        nodes, roots, order = pack_forest(self.forest)
        leaves = [self.leaves[i] for i in order]
        divisor = max(1, len(roots)) if self.average else 1
        attributes: dict[str, Any] = {}
        at = np.flatnonzero(nodes[:, 1] >> 32 == np.arange(len(nodes)))
        if self.targets == 1:
            start = START[self.how]
            weights = np.array([leaf.get(0, start) for leaf in leaves], np.float64) / divisor
            nodes[at, 0] = weights[nodes[at, 0]].view(np.int64)
        else:
            attributes["offsets"] = np.cumsum([0, *map(len, leaves)], dtype=np.int64)
            attributes["pair_targets"] = np.array([t for leaf in leaves for t in leaf], np.int64)
            weights = np.array([w for leaf in leaves for w in leaf.values()], np.float64) / divisor
            attributes["pair_weights"] = weights
        if np.isnan(weights).any():
            raise NotATree
        made: Value = graph.add(
            "edge.TreeEnsemble", x, nodes=nodes, roots=roots, targets=self.targets, aggregate=self.how, base=self.base,
            dtype=dtype, before=node, name=node.name, **attributes,
        )  # fmt: skip
        return made


def _current(graph: Graph, node: Node, x: Value) -> int:
    attrs = node.attrs
    leaves: list[Leaf] = [{t: w} for t, w in zip(attrs.leaf_targetids.tolist(), attrs.leaf_weights.tolist())]
    ensemble = Ensemble(forest_of(attrs), leaves, attrs.n_targets, AGGREGATES[attrs.aggregate_function])
    return _regressor(graph, node, x, ensemble, POST_TRANSFORMS[attrs.post_transform])


def _older(graph: Graph, node: Node, x: Value) -> int:
    attrs = node.attrs
    ensemble = _older_ensemble(attrs, "target", attrs.n_targets, attrs.aggregate_function)
    return _regressor(graph, node, x, ensemble, attrs.post_transform)


def _regressor(graph: Graph, node: Node, x: Value, ensemble: Ensemble, transform: str) -> int:
    dtype = node.output.type.dtype
    if transform == "NONE":
        _replace(graph, node, ensemble.add_to(graph, x, node, dtype))
        return 1
    if dtype is not DType.FLOAT32 or transform not in TRANSFORMS:
        return 0
    scores = ensemble.add_to(graph, x, node, DType.FLOAT64)
    labels = tuple(range(ensemble.targets))
    _, made = graph.add("edge.Classify", scores, labels=labels, transform=transform, before=node)
    _replace(graph, node, made)
    return 1


def _classifier(graph: Graph, node: Node, x: Value) -> int:
    attrs = node.attrs
    labels = attrs.classlabels_int64s
    if attrs.post_transform not in TRANSFORMS:
        return 0
    second, threshold, targets = "", 0.0, len(labels)
    if has_one_score(attrs):
        positive = bool((weights_of(attrs, "class") >= 0).all())
        second, threshold, targets = ("complement", 0.5, 1) if positive else ("negative", 0.0, 1)
    ensemble = _older_ensemble(attrs, "class", targets, "SUM")
    scores = ensemble.add_to(graph, x, node, DType.FLOAT64)
    made = graph.add(
        "edge.Classify", scores, labels=labels, transform=attrs.post_transform, second=second, threshold=threshold,
        before=node,
    )  # fmt: skip
    _replace(graph, node, *made)
    return 1


def _older_ensemble(attrs: Any, prefix: str, targets: int, how: str) -> Ensemble:
    leaves: list[Leaf] = [{} for _ in attrs.nodes_modes]
    ids = getattr(attrs, f"{prefix}_ids").tolist()
    for owner, target, weight in zip(leaf_owners(attrs, prefix).tolist(), ids, weights_of(attrs, prefix).tolist()):
        leaves[owner][target] = leaves[owner].get(target, 0.0) + weight
    base = base_of(attrs)
    return Ensemble(
        old_forest(attrs), leaves, targets, how, None if base is None else np.resize(base, targets)
    )


def _replace(graph: Graph, node: Node, *values: Value) -> None:
    for old, new in zip(node.outputs, values):
        if is_used(graph, old):
            graph.replace(old, new)
    prune(graph, [node])


RULES = {
    "ai.onnx.ml.TreeEnsemble": _current,
    "ai.onnx.ml.TreeEnsembleRegressor": _older,
    "ai.onnx.ml.TreeEnsembleClassifier": _classifier,
}
