"""Ensembles of decision trees: ai.onnx.ml's TreeEnsemble, and the older regressor and classifier in terms of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from edge_rt.errors import DataError, GraphError
from edge_rt.ops import _attrs as field
from edge_rt.ops._attrs import Attrs, Floats, Int, Ints, OptionalArray, Str, Strs
from edge_rt.ops._rules import shape_of
from edge_rt.ops._spec import SUMS, Array, Types, Values, define
from edge_rt.ops._windows import check_rank
from edge_rt.ops.classic import NUMBERS, POST_TRANSFORMS, class_labels, post_transform, second_score
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


# ---- TreeEnsemble ---------------------------------------------------------------------------------------------------


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


def _check_range(name: str, ids: Array, size: int) -> None:
    if ids.size and not 0 <= ids.min() <= ids.max() < size:
        raise GraphError(f"{name} must lie in [0, {size}), got {ids.min()} to {ids.max()}")


def _vector(attrs: Any, name: str, size: int | None = None, kinds: str = "iu") -> Array:
    """An attribute that must be a row of so many numbers of these kinds."""
    array: Array = getattr(attrs, name)
    fits = array.dtype.kind in kinds and array.dtype != np.uint64
    if array.ndim != 1 or (size is not None and len(array) != size) or not fits:
        wanted = f"{'integers' if 'i' in kinds else 'floating-point numbers'}[{'n' if size is None else size}]"
        raise GraphError(f"{name} must be {wanted}, got {array.dtype}{list(array.shape)}")
    return array


def _check_tracks(attrs: Any, count: int) -> None:
    if attrs.nodes_missing_value_tracks_true is not None and attrs.nodes_missing_value_tracks_true.size:
        _vector(attrs, "nodes_missing_value_tracks_true", count, "iub")


def _tree_shapes(attrs: Any, types: Types, values: Values) -> Any:
    shape = shape_of(types)
    check_rank("X", shape, 2)
    count, ends = len(_vector(attrs, "nodes_modes")), len(_vector(attrs, "leaf_weights", kinds="f"))
    for name in ("featureids", "truenodeids", "falsenodeids"):
        _vector(attrs, f"nodes_{name}", count)
    for name in ("trueleafs", "falseleafs"):
        _vector(attrs, f"nodes_{name}", count, "iub")
    _vector(attrs, "nodes_splits", count, "f")
    _vector(attrs, "leaf_targetids", ends)
    _vector(attrs, "tree_roots")
    _check_tracks(attrs, count)
    if attrs.membership_values is not None:
        _vector(attrs, "membership_values", kinds="f")
    if attrs.n_targets < 1:
        raise GraphError(f"n_targets must be at least 1, got {attrs.n_targets}")
    _check_range("aggregate_function", np.array(attrs.aggregate_function), len(AGGREGATES))
    _check_range("post_transform", np.array(attrs.post_transform), len(POST_TRANSFORMS))
    _check_range("nodes_modes", attrs.nodes_modes, len(MODES))
    _check_range("leaf_targetids", attrs.leaf_targetids, attrs.n_targets)
    _check_range("tree_roots", attrs.tree_roots, count)
    _check_range("nodes_featureids", attrs.nodes_featureids, shape[1] if isinstance(shape[1], int) else 1 << 62)
    tests = int((attrs.nodes_modes == MEMBER).sum())
    if len(_member_sets(attrs)) < tests:
        raise GraphError(f"membership_values must be {tests} sets, got {len(_member_sets(attrs))}")
    for way in ("true", "false"):
        ids, is_leaf = getattr(attrs, f"nodes_{way}nodeids"), getattr(attrs, f"nodes_{way}leafs") != 0
        _check_range(f"nodes_{way}nodeids", ids[~is_leaf], count)
        _check_range(f"nodes_{way}nodeids of leaves", ids[is_leaf], ends)
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


# ---- TreeEnsembleRegressor, TreeEnsembleClassifier ------------------------------------------------------------------


class OldTreeAttrs(Attrs):
    """Nodes, inner and leaves alike, are named by (tree id, node id)."""

    base_values = Floats(())
    base_values_as_tensor = OptionalArray()
    nodes_falsenodeids = field.Array()
    nodes_featureids = field.Array()
    nodes_hitrates = OptionalArray()
    nodes_hitrates_as_tensor = OptionalArray()
    nodes_missing_value_tracks_true = OptionalArray()
    nodes_modes = Strs()
    nodes_nodeids = field.Array()
    nodes_treeids = field.Array()
    nodes_truenodeids = field.Array()
    nodes_values = OptionalArray()
    nodes_values_as_tensor = OptionalArray()
    post_transform = Str("NONE", choices=POST_TRANSFORMS)


class TreeEnsembleRegressorAttrs(OldTreeAttrs):
    aggregate_function = Str("SUM", choices=AGGREGATES)
    n_targets = Int(1)
    target_ids = field.Array()
    target_nodeids = field.Array()
    target_treeids = field.Array()
    target_weights = OptionalArray()
    target_weights_as_tensor = OptionalArray()


class TreeEnsembleClassifierAttrs(OldTreeAttrs):
    class_ids = field.Array()
    class_nodeids = field.Array()
    class_treeids = field.Array()
    class_weights = OptionalArray()
    class_weights_as_tensor = OptionalArray()
    classlabels_int64s = Ints(())
    classlabels_strings = Strs(())


def _either(numbers: Any, tensor: Any, name: str) -> Array:
    given = tensor if numbers is None or not numbers.size else numbers
    if given is None:
        raise GraphError(f"{name} must be given")
    return np.asarray(given)


def _find(trees: Array, nodes: Array, wanted_trees: Array, wanted_nodes: Array) -> Array:
    """Positions of (tree, node) pairs in the node list. Raises GraphError for a pair that is not there."""
    missing = GraphError("a tree refers to a node that does not exist")
    if wanted_nodes.size and (not nodes.size or not 0 <= wanted_nodes.min() <= wanted_nodes.max() <= nodes.max()):
        raise missing
    span = int(max(nodes.max(initial=0), wanted_nodes.max(initial=0))) + 1
    keys, wanted = trees.astype(np.int64) * span + nodes, wanted_trees.astype(np.int64) * span + wanted_nodes
    order = np.argsort(keys, kind="stable")
    place = np.minimum(np.searchsorted(keys, wanted, sorter=order), max(0, len(keys) - 1))
    found = order[place]
    if (keys[found] != wanted).any():
        raise missing
    return found


def _check_old(attrs: Any, prefix: str, targets: int, features: Any) -> None:
    """Raises GraphError unless the lists fit each other; that children are there, `old_forest` finds."""
    count = len(_vector(attrs, "nodes_nodeids"))
    for name in ("treeids", "featureids", "truenodeids", "falsenodeids"):
        _vector(attrs, f"nodes_{name}", count)
    _check_tracks(attrs, count)
    if count and not 0 <= attrs.nodes_nodeids.min() <= attrs.nodes_nodeids.max() < 1 << 31:
        raise GraphError("nodes_nodeids must lie in [0, 2**31)")
    owners = len(_vector(attrs, f"{prefix}_ids"))
    for name in (f"{prefix}_treeids", f"{prefix}_nodeids"):
        _vector(attrs, name, owners)
    _check_range(f"{prefix}_ids", getattr(attrs, f"{prefix}_ids"), targets)
    _check_range(f"{prefix}_nodeids", getattr(attrs, f"{prefix}_nodeids"), 1 << 31)
    for name in (f"{prefix}_treeids", "nodes_treeids"):
        _check_range(name, getattr(attrs, name), 1 << 31)
    for name, size, array in (
        (f"{prefix}_weights", owners, weights_of(attrs, prefix)), ("nodes_values", count, splits_of(attrs)),
    ):  # fmt: skip
        if array.shape != (size,) or array.dtype.kind not in "fi":
            raise GraphError(f"{name} must be {size} numbers, got {array.dtype}{list(array.shape)}")
    base = base_of(attrs)
    if base is not None and base.shape not in ((1,), (targets,)):
        raise GraphError(f"base_values must be one number or {targets}, got {list(base.shape)}")
    old_forest(attrs)
    leaf_owners(attrs, prefix)
    inner = attrs.nodes_featureids[np.array(attrs.nodes_modes) != "LEAF"]
    _check_range("nodes_featureids", inner, features if isinstance(features, int) else 1 << 62)


def splits_of(attrs: OldTreeAttrs) -> Array:
    return _either(attrs.nodes_values, attrs.nodes_values_as_tensor, "nodes_values")


def old_forest(attrs: OldTreeAttrs) -> Forest:
    """Leaves keep their place in the node list: the leaf of position p has the number p."""
    trees, nodes = attrs.nodes_treeids, attrs.nodes_nodeids
    count = len(nodes)
    unknown = set(attrs.nodes_modes) - {*MODES[:MEMBER], "LEAF"}
    if unknown:
        raise GraphError(f"nodes_modes must be among {', '.join(MODES[:MEMBER])}, LEAF, got {', '.join(unknown)}")
    if len(attrs.nodes_modes) != count:
        raise GraphError(f"nodes_modes must be {count}, got {len(attrs.nodes_modes)}")
    number = {name: i for i, name in enumerate((*MODES, "LEAF"))}
    mode = np.array([number[m] for m in attrs.nodes_modes], np.int64)
    is_leaf = mode == number["LEAF"]
    here = np.arange(count)
    ways = []
    for ids in (attrs.nodes_truenodeids, attrs.nodes_falsenodeids):
        child = _find(trees, nodes, trees, np.where(is_leaf, nodes, ids))
        ways.append(np.where(is_leaf[child], child + count, child))
    inner = here[~is_leaf]
    is_child = np.zeros(count, bool)
    for way in ways:
        is_child[way[inner] % count] = True
    # A root is nobody's child.
    roots = here[~is_child]
    tracks = attrs.nodes_missing_value_tracks_true
    missing = np.zeros(count, bool) if tracks is None or not tracks.size else tracks != 0
    split = splits_of(attrs).astype(np.float64)
    roots = np.where(is_leaf[roots], roots + count, roots)
    return Forest(attrs.nodes_featureids, mode, split, missing, ways[0], ways[1], roots, {})


def leaf_owners(attrs: OldTreeAttrs, prefix: str) -> Array:
    """The leaf that each weight belongs to, by its place in the node list. prefix: "target" or "class"."""
    wanted = getattr(attrs, f"{prefix}_treeids"), getattr(attrs, f"{prefix}_nodeids")
    return _find(attrs.nodes_treeids, attrs.nodes_nodeids, *wanted)


def weights_of(attrs: Any, prefix: str) -> Array:
    return _either(getattr(attrs, f"{prefix}_weights"), getattr(attrs, f"{prefix}_weights_as_tensor"), f"{prefix}_weights")


def base_of(attrs: OldTreeAttrs) -> Array | None:
    """f64[targets] or f64[1], what is added to the scores."""
    base = attrs.base_values or attrs.base_values_as_tensor
    return None if base is None or not np.size(base) else np.asarray(base, np.float64)


def has_one_score(attrs: TreeEnsembleClassifierAttrs) -> bool:
    """Whether one score stands for both classes: it is that of the second."""
    return max(len(attrs.classlabels_int64s), len(attrs.classlabels_strings)) == 2 and not attrs.class_ids.any()


def _old_scores(attrs: OldTreeAttrs, x: Array, prefix: str, targets: int, how: str) -> Array:
    """f64[n, targets] with base values, before the post-transform."""
    forest, owner, ids = old_forest(attrs), leaf_owners(attrs, prefix), getattr(attrs, f"{prefix}_ids")
    table, has = np.zeros((len(forest.feature), targets)), np.zeros((len(forest.feature), targets), bool)
    np.add.at(table, (owner, ids), weights_of(attrs, prefix))
    has[owner, ids] = True
    scores, base = aggregate(how, table, has, leaves(forest, x.astype(np.float64))), base_of(attrs)
    return scores if base is None else scores + base


def _old_regressor_shapes(attrs: Any, types: Types, values: Values) -> Any:
    shape = shape_of(types)
    check_rank("X", shape, 2)
    _check_old(attrs, "target", attrs.n_targets, shape[1])
    return [[shape[0], attrs.n_targets]]


def _old_regressor(attrs: Any, x: Array) -> Array:
    scores = _old_scores(attrs, x, "target", attrs.n_targets, attrs.aggregate_function)
    return post_transform(attrs.post_transform, scores).astype(np.float32)


TREE_ENSEMBLE_REGRESSOR = define(
    "ai.onnx.ml.TreeEnsembleRegressor", "X:T -> Y:float32", since=3, T=NUMBERS, attrs=TreeEnsembleRegressorAttrs,
    shapes=_old_regressor_shapes, reference=_old_regressor, accuracy=SUMS,
)  # fmt: skip


def _old_classifier_shapes(attrs: Any, types: Types, values: Values) -> Any:
    shape = shape_of(types)
    check_rank("X", shape, 2)
    labels = class_labels(attrs.classlabels_int64s, attrs.classlabels_strings)
    _check_old(attrs, "class", len(labels), shape[1])
    return [[shape[0]], [shape[0], len(labels)]]


def _old_classifier(attrs: Any, x: Array) -> tuple[Array, Array]:
    labels = class_labels(attrs.classlabels_int64s, attrs.classlabels_strings)
    scores = _old_scores(attrs, x, "class", len(labels), "SUM")
    if has_one_score(attrs):
        score = scores[:, :1]
        positive = bool((weights_of(attrs, "class") >= 0).all())
        chosen = labels[(score[:, 0] > (0.5 if positive else 0.0)).astype(np.int64)]
        return chosen, second_score(score, attrs.post_transform, symmetric=not positive).astype(np.float32)
    return labels[scores.argmax(axis=1)], post_transform(attrs.post_transform, scores).astype(np.float32)


TREE_ENSEMBLE_CLASSIFIER = define(
    "ai.onnx.ml.TreeEnsembleClassifier", "X:T -> Y:int64 Z:float32", since=3, T=NUMBERS,
    attrs=TreeEnsembleClassifierAttrs, shapes=_old_classifier_shapes, reference=_old_classifier, accuracy=SUMS,
)  # fmt: skip
