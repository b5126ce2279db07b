"""The operators before TreeEnsemble: ai.onnx.ml's TreeEnsembleRegressor and TreeEnsembleClassifier, as forests."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.errors import GraphError
from edge_rt.ops import _attrs as field
from edge_rt.ops._attrs import Attrs, Floats, Int, Ints, OptionalArray, Str, Strs
from edge_rt.ops._rules import shape_of
from edge_rt.ops._spec import SUMS, Array, Types, Values, define
from edge_rt.ops._windows import check_rank
from edge_rt.ops.classic import NUMBERS, POST_TRANSFORMS, class_labels, post_transform, second_score
from edge_rt.ops.trees import AGGREGATES, MEMBER, MODES, Forest, aggregate, check_range, check_tracks, leaves, vector


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
    count = len(vector(attrs, "nodes_nodeids"))
    for name in ("treeids", "featureids", "truenodeids", "falsenodeids"):
        vector(attrs, f"nodes_{name}", count)
    check_tracks(attrs, count)
    if count and not 0 <= attrs.nodes_nodeids.min() <= attrs.nodes_nodeids.max() < 1 << 31:
        raise GraphError("nodes_nodeids must lie in [0, 2**31)")
    owners = len(vector(attrs, f"{prefix}_ids"))
    for name in (f"{prefix}_treeids", f"{prefix}_nodeids"):
        vector(attrs, name, owners)
    check_range(f"{prefix}_ids", getattr(attrs, f"{prefix}_ids"), targets)
    check_range(f"{prefix}_nodeids", getattr(attrs, f"{prefix}_nodeids"), 1 << 31)
    for name in (f"{prefix}_treeids", "nodes_treeids"):
        check_range(name, getattr(attrs, name), 1 << 31)
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
    check_range("nodes_featureids", inner, features if isinstance(features, int) else 1 << 62)


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
