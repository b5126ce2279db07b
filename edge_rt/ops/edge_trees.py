"""Ensembles of decision trees as a kernel walks them, and what makes labels and probabilities of scores.

A node is two words, i64[2]. Of an inner node: the bits of its split (float64); its column in the upper bits of the second
word, `child << 32 | column`. x <= split goes on to node `child`, all else to the node behind it. Column 2 * f + 1 is feature
f as it is, so that a NaN goes the false way; column 2 * f + 2 is feature f with minus infinity for NaN, which goes the true
way. A leaf is its own child, has column 0, and for its first word the bits of its weight (of one target) or its number.
All children stand behind their parents: every path ends.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.dims import is_known
from edge_rt.errors import GraphError
from edge_rt.ops._attrs import Array as ArrayField
from edge_rt.ops._attrs import Attrs, ElementType, Float, Int, Ints, OptionalArray, Str
from edge_rt.ops._rules import shape_of
from edge_rt.ops._spec import SUMS, Array, Types, Values, define
from edge_rt.ops._windows import check_rank
from edge_rt.ops.classic import NUMBERS, post_transform, second_score
from edge_rt.types import DType

AGGREGATES = ("SUM", "MIN", "MAX")
TRANSFORMS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO")
SECOND = ("", "complement", "negative")
START = {"SUM": 0.0, "MIN": np.inf, "MAX": -np.inf}
"""What an aggregate of nothing is; infinite results become 0."""


class TreeEnsembleAttrs(Attrs):
    nodes = ArrayField()
    """i64[nodes, 2]."""
    roots = ArrayField()
    """i64[trees]."""
    targets = Int(1)
    aggregate = Str("SUM", choices=AGGREGATES)
    base = OptionalArray()
    """f64[targets], added at the end."""
    offsets = OptionalArray()
    """i64[leaves + 1], of several targets: leaf i has the pairs offsets[i] .. offsets[i + 1]."""
    pair_targets = OptionalArray()
    pair_weights = OptionalArray()
    """i64[pairs] and f64[pairs]."""
    dtype = ElementType(DType.FLOAT32)
    """Of the scores."""


def node_columns(nodes: Array) -> tuple[Array, Array]:
    """(column, child) of each node."""
    return nodes[:, 1] & 0xFFFF_FFFF, nodes[:, 1] >> 32


def _check_array(name: str, array: Array | None, dtype: str, *shape: int | None) -> Array:
    if array is None:
        raise GraphError(f"{name} must be given")
    fits = len(array.shape) == len(shape) and all(w is None or w == d for w, d in zip(shape, array.shape))
    if array.dtype != dtype or not fits:
        wanted = ", ".join("n" if d is None else str(d) for d in shape)
        raise GraphError(f"{name} must be {dtype}[{wanted}], got {array.dtype}{list(array.shape)}")
    return array


def _check_within(name: str, numbers: Array, low: int, high: int) -> None:
    if numbers.size and not low <= numbers.min() <= numbers.max() < high:
        raise GraphError(f"{name} must lie in [{low}, {high}), got {numbers.min()} to {numbers.max()}")


def _check_weights(name: str, weights: Array) -> None:
    if np.isnan(weights).any():
        raise GraphError(f"{name} must be numbers, got NaN")


def _shapes(attrs: Any, types: Types, values: Values) -> Any:
    shape = shape_of(types)
    check_rank("x", shape, 2)
    if attrs.dtype not in (DType.FLOAT32, DType.FLOAT64):
        raise GraphError(f"dtype must be float32 or float64, got {attrs.dtype}")
    if not 1 <= attrs.targets < 1 << 20:
        raise GraphError(f"targets must lie in [1, {1 << 20}), got {attrs.targets}")
    nodes = _check_array("nodes", attrs.nodes, "int64", None, 2)
    count = len(nodes)
    _check_within("roots", _check_array("roots", attrs.roots, "int64", None), 0, count)
    column, child = node_columns(nodes)
    own = np.arange(count)
    leaf = child == own
    if not (leaf | ((child > own) & (child < count - 1))).all():
        raise GraphError("each child must stand behind its parent")
    if column[leaf].any() or not column[~leaf].all():
        raise GraphError("leaves, and only leaves, must have column 0")
    if is_known(shape[1]) and column.max(initial=0) > 2 * shape[1]:
        raise GraphError(f"x must have {(int(column.max()) + 1) // 2} features, got {shape[1]}")
    first = nodes[:, 0]
    _check_weights("splits and weights", first.view(np.float64))
    if attrs.base is not None:
        _check_array("base", attrs.base, "float64", attrs.targets)
    if attrs.targets > 1:
        offsets = _check_array("offsets", attrs.offsets, "int64", None)
        targets = _check_array("pair_targets", attrs.pair_targets, "int64", None)
        _check_weights("pair_weights", _check_array("pair_weights", attrs.pair_weights, "float64", len(targets)))
        _check_within("pair_targets", targets, 0, attrs.targets)
        _check_within("offsets", offsets, 0, len(targets) + 1)
        if (np.diff(offsets) < 0).any():
            raise GraphError("offsets must not fall")
        _check_within("leaf numbers", first[leaf], 0, len(offsets) - 1)
    return [[shape[0], attrs.targets]]


def columns_of(x: Array) -> Array:
    """f64[n, 1 + 2 * features]: minus infinity, then each feature as it is and with minus infinity for NaN."""
    wide = x.astype(np.float64)
    made = np.full((len(x), 1 + 2 * x.shape[1]), -np.inf)
    made[:, 1::2] = wide
    made[:, 2::2] = np.where(np.isnan(wide), -np.inf, wide)
    return made


def leaves_of(attrs: TreeEnsembleAttrs, x: Array) -> Array:
    """i64[n, trees]: the node that each row ends at in each tree."""
    column, child = node_columns(attrs.nodes)
    split, columns = attrs.nodes[:, 0].view(np.float64), columns_of(x)
    at = np.broadcast_to(attrs.roots, (len(x), len(attrs.roots)))
    rows = np.arange(len(x))[:, None]
    for _ in range(len(child)):
        following = child[at] + ~(columns[rows, column[at]] <= split[at])
        if (following == at).all():
            break
        at = following
    return at


def _reference(attrs: Any, x: Array) -> Array:
    if x.shape[1] * 2 < node_columns(attrs.nodes)[0].max(initial=0):
        raise GraphError(f"x must have more than {x.shape[1]} features")
    first = attrs.nodes[leaves_of(attrs, x), 0]
    combine = {"SUM": np.add, "MIN": np.minimum, "MAX": np.maximum}[attrs.aggregate]
    scores = np.full((len(x), attrs.targets), START[attrs.aggregate])
    rows = np.arange(len(x))
    for tree in range(first.shape[1]):
        if attrs.targets == 1:
            scores[:, 0] = combine(scores[:, 0], first[:, tree].view(np.float64))
            continue
        begin, end = attrs.offsets[first[:, tree]], attrs.offsets[first[:, tree] + 1]
        for step in range(int((end - begin).max(initial=0))):
            has = begin + step < end
            pair = (begin + step)[has]
            where = rows[has], attrs.pair_targets[pair]
            scores[where] = combine(scores[where], attrs.pair_weights[pair])
    if attrs.aggregate != "SUM":
        scores[np.isinf(scores)] = 0.0
    if attrs.base is not None:
        scores += attrs.base
    return scores.astype(attrs.dtype.numpy)


TREE_ENSEMBLE = define(
    "edge.TreeEnsemble", "x:T -> scores:S", T=NUMBERS, attrs=TreeEnsembleAttrs, shapes=_shapes, reference=_reference,
    dtypes=lambda attrs, given: [attrs.dtype], accuracy=SUMS,
)  # fmt: skip


class ClassifyAttrs(Attrs):
    labels = Ints()
    transform = Str("NONE", choices=TRANSFORMS)
    second = Str("", choices=SECOND)
    """Of one score for two classes: it is the second's, and this says what the first one's is."""
    threshold = Float(0.0)
    """Above which one score is for the second class."""


def _classify_shapes(attrs: Any, types: Types, values: Values) -> Any:
    shape = shape_of(types)
    check_rank("scores", shape, 2)
    classes, wanted = len(attrs.labels), 1 if attrs.second else len(attrs.labels)
    if not classes or (attrs.second and classes != 2):
        raise GraphError(f"labels must be {'2' if attrs.second else '1 or more'}, got {classes}")
    if is_known(shape[1]) and shape[1] != wanted:
        raise GraphError(f"scores must have {wanted} columns, got {shape[1]}")
    return [[shape[0]], [shape[0], classes]]


def _classify(attrs: Any, scores: Array) -> tuple[Array, Array]:
    labels = np.array(attrs.labels, np.int64)
    if attrs.second:
        chosen = labels[(scores[:, 0] > attrs.threshold).astype(np.int64)]
        both = second_score(scores, attrs.transform, symmetric=attrs.second == "negative")
        return chosen, both.astype(np.float32)
    return labels[scores.argmax(axis=1)], post_transform(attrs.transform, scores).astype(np.float32)


CLASSIFY = define(
    "edge.Classify", "scores:T -> label:int64 probabilities:float32",
    T=frozenset({DType.FLOAT32, DType.FLOAT64}), attrs=ClassifyAttrs, shapes=_classify_shapes, reference=_classify,
    accuracy=SUMS,
)  # fmt: skip
