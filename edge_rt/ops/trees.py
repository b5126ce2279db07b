"""Ensembles of decision trees: ai.onnx.ml's TreeEnsemble."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from edge_rt.errors import DataError, GraphError
from edge_rt.ops import _attrs as field
from edge_rt.ops._attrs import Attrs, Int, OptionalArray
from edge_rt.ops._rules import shape_of
from edge_rt.ops._spec import SUMS, Array, Types, Values, define
from edge_rt.ops._windows import check_rank
from edge_rt.ops.classic import POST_TRANSFORMS, post_transform
from edge_rt.types import FLOATS

AGGREGATES = ("AVERAGE", "SUM", "MIN", "MAX")
MODES = ("BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ", "BRANCH_MEMBER")
COMPARISONS = (np.less_equal, np.less, np.greater_equal, np.greater, np.equal, np.not_equal)
MEMBER = 6


class Forest(NamedTuple):
    """Nodes 0..n-1 are inner; a child c >= n is leaf c - n."""

    feature: Array
    mode: Array
    split: Array
    missing: Array
    """Whether a NaN goes the true way."""
    on_true: Array
    on_false: Array
    roots: Array
    members: dict[int, Array]
    """Sets of the nodes that test for membership."""


def leaves(forest: Forest, x: Array) -> Array:
    """i64[n, trees]: the leaf that each row of x: T[n, features] reaches in each tree.

    Raises DataError if a path does not end or a feature does not exist.
    """
    inner = len(forest.feature)
    if inner and not 0 <= forest.feature.min() <= forest.feature.max() < x.shape[1]:
        raise DataError(f"X must have {forest.feature.max() + 1} features, got {x.shape[1]}")
    slot = np.broadcast_to(forest.roots, (len(x), len(forest.roots))).copy()
    row, tree = np.nonzero(slot < inner)
    for _ in range(inner):
        if not len(row):
            break
        node = slot[row, tree]
        value = x[row, forest.feature[node]]
        way = _test(forest, node, value) | (forest.missing[node] & np.isnan(value))
        child = np.where(way, forest.on_true[node], forest.on_false[node])
        slot[row, tree] = child
        deeper = child < inner
        row, tree = row[deeper], tree[deeper]
    if len(row):
        raise DataError("a tree has a cycle")
    return slot - inner


def _test(forest: Forest, node: Array, value: Array) -> Array:
    """Outcome of each node's comparison for the value that met it."""
    result = np.zeros(len(node), bool)
    modes, split = forest.mode[node], forest.split[node]
    for mode in np.unique(modes):
        at = modes == mode
        if mode == MEMBER:
            result[at] = [v in forest.members[n] for n, v in zip(node[at].tolist(), value[at])]
        else:
            result[at] = COMPARISONS[mode](value[at], split[at])
    return result


def aggregate(how: str, weights: Array, has: Array, reached: Array) -> Array:
    """f64[n, targets] from the weights [leaves, targets] of the leaves reached [n, trees]; has: which weights exist."""
    if how in ("SUM", "AVERAGE"):
        total = weights[reached].sum(axis=1)
        return np.asarray(total / max(1, reached.shape[1]) if how == "AVERAGE" else total)
    worst = np.inf if how == "MIN" else -np.inf
    chosen = np.where(has, weights, worst)[reached]
    best = chosen.min(axis=1, initial=np.inf) if how == "MIN" else chosen.max(axis=1, initial=-np.inf)
    return np.where(np.isinf(best), 0, best)


class TreeEnsembleAttrs(Attrs):
    aggregate_function = Int(1)
    leaf_targetids = field.Array()
    leaf_weights = field.Array()
    membership_values = OptionalArray()
    n_targets = Int(1)
    nodes_falseleafs = field.Array()
    nodes_falsenodeids = field.Array()
    nodes_featureids = field.Array()
    nodes_hitrates = OptionalArray()
    nodes_missing_value_tracks_true = OptionalArray()
    nodes_modes = field.Array()
    nodes_splits = field.Array()
    nodes_trueleafs = field.Array()
    nodes_truenodeids = field.Array()
    post_transform = Int(0)
    tree_roots = field.Array()


def check_range(name: str, ids: Array, size: int) -> None:
    if ids.size and not 0 <= ids.min() <= ids.max() < size:
        raise GraphError(f"{name} must lie in [0, {size}), got {ids.min()} to {ids.max()}")


def vector(attrs: Any, name: str, size: int | None = None, kinds: str = "iu") -> Array:
    """An attribute that must be a row of so many numbers of these kinds."""
    array: Array = getattr(attrs, name)
    fits = array.dtype.kind in kinds and array.dtype != np.uint64
    if array.ndim != 1 or (size is not None and len(array) != size) or not fits:
        wanted = f"{'integers' if 'i' in kinds else 'floating-point numbers'}[{'n' if size is None else size}]"
        raise GraphError(f"{name} must be {wanted}, got {array.dtype}{list(array.shape)}")
    return array


def check_tracks(attrs: Any, count: int) -> None:
    if attrs.nodes_missing_value_tracks_true is not None and attrs.nodes_missing_value_tracks_true.size:
        vector(attrs, "nodes_missing_value_tracks_true", count, "iub")


def _tree_shapes(attrs: Any, types: Types, values: Values) -> Any:
    shape = shape_of(types)
    check_rank("X", shape, 2)
    count, ends = len(vector(attrs, "nodes_modes")), len(vector(attrs, "leaf_weights", kinds="f"))
    for name in ("featureids", "truenodeids", "falsenodeids"):
        vector(attrs, f"nodes_{name}", count)
    for name in ("trueleafs", "falseleafs"):
        vector(attrs, f"nodes_{name}", count, "iub")
    vector(attrs, "nodes_splits", count, "f")
    vector(attrs, "leaf_targetids", ends)
    vector(attrs, "tree_roots")
    check_tracks(attrs, count)
    if attrs.membership_values is not None:
        vector(attrs, "membership_values", kinds="f")
    if attrs.n_targets < 1:
        raise GraphError(f"n_targets must be at least 1, got {attrs.n_targets}")
    check_range("aggregate_function", np.array(attrs.aggregate_function), len(AGGREGATES))
    check_range("post_transform", np.array(attrs.post_transform), len(POST_TRANSFORMS))
    check_range("nodes_modes", attrs.nodes_modes, len(MODES))
    check_range("leaf_targetids", attrs.leaf_targetids, attrs.n_targets)
    check_range("tree_roots", attrs.tree_roots, count)
    check_range("nodes_featureids", attrs.nodes_featureids, shape[1] if isinstance(shape[1], int) else 1 << 62)
    tests = int((attrs.nodes_modes == MEMBER).sum())
    if len(_member_sets(attrs)) < tests:
        raise GraphError(f"membership_values must be {tests} sets, got {len(_member_sets(attrs))}")
    for way in ("true", "false"):
        ids, is_leaf = getattr(attrs, f"nodes_{way}nodeids"), getattr(attrs, f"nodes_{way}leafs") != 0
        check_range(f"nodes_{way}nodeids", ids[~is_leaf], count)
        check_range(f"nodes_{way}nodeids of leaves", ids[is_leaf], ends)
    return [[shape[0], attrs.n_targets]]


def forest_of(attrs: TreeEnsembleAttrs) -> Forest:
    """The nodes of a TreeEnsemble."""
    count = len(attrs.nodes_modes)
    tracks = attrs.nodes_missing_value_tracks_true
    return Forest(
        attrs.nodes_featureids,
        attrs.nodes_modes,
        attrs.nodes_splits,
        np.zeros(count, bool) if tracks is None or not tracks.size else tracks != 0,
        attrs.nodes_truenodeids + count * (attrs.nodes_trueleafs != 0),
        attrs.nodes_falsenodeids + count * (attrs.nodes_falseleafs != 0),
        attrs.tree_roots,
        _member_sets(attrs),
    )


def _tree_ensemble(attrs: Any, x: Array) -> Array:
    ends = np.arange(len(attrs.leaf_weights))
    weights, has = np.zeros((len(ends), attrs.n_targets)), np.zeros((len(ends), attrs.n_targets), bool)
    weights[ends, attrs.leaf_targetids], has[ends, attrs.leaf_targetids] = attrs.leaf_weights, True
    scores = aggregate(AGGREGATES[attrs.aggregate_function], weights, has, leaves(forest_of(attrs), x))
    return post_transform(POST_TRANSFORMS[attrs.post_transform], scores).astype(x.dtype)


def _member_sets(attrs: TreeEnsembleAttrs) -> dict[int, Array]:
    """Sets are listed in the order of their nodes, each ended by a NaN."""
    if attrs.membership_values is None:
        return {}
    values = attrs.membership_values
    sets = np.split(values, np.flatnonzero(np.isnan(values)) + 1)
    return dict(zip(np.flatnonzero(attrs.nodes_modes == MEMBER).tolist(), (s[~np.isnan(s)] for s in sets)))


TREE_ENSEMBLE = define(
    "ai.onnx.ml.TreeEnsemble", "X:T -> Y:T", since=5, T=FLOATS, attrs=TreeEnsembleAttrs,
    shapes=_tree_shapes, reference=_tree_ensemble, accuracy=SUMS,
)  # fmt: skip
