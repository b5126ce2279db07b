"""Random ensembles of trees, as attributes of the operators of ai.onnx.ml and of our own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.ops.trees import MODES

Array = np.ndarray[Any, Any]
INNER = MODES[:-1]


class Node:
    """An inner node has two children; a leaf has weights by target."""

    __slots__ = ("children", "feature", "mode", "number", "split", "tracks", "weights")

    def __init__(self, weights: dict[int, float] | None = None) -> None:
        self.weights = weights
        self.children: tuple[Node, ...] = ()
        self.feature, self.mode, self.split, self.tracks, self.number = 0, "LEAF", 0.0, 0, 0


def random_tree(
    rng: np.random.Generator, depth: int, features: int, targets: int, modes: Sequence[str], all_targets: bool = False,
    is_root: bool = True,
) -> Node:  # fmt: skip
    """A tree of at most `depth` levels whose splits are small integers, so that inputs meet them exactly."""
    if depth == 0 or (not is_root and rng.random() < 0.15):
        chosen = range(targets) if all_targets else [int(rng.integers(targets))]
        return Node({t: float(rng.normal()) for t in chosen})
    node = Node()
    node.feature, node.mode = int(rng.integers(features)), str(rng.choice(list(modes)))
    node.split, node.tracks = float(rng.integers(-2, 3)), int(rng.integers(2))
    node.children = tuple(random_tree(rng, depth - 1, features, targets, modes, all_targets, False) for _ in range(2))
    return node


def random_trees(
    trees: int, depth: int, features: int, targets: int = 1, modes: Sequence[str] = INNER, seed: int = 0,
    all_targets: bool = False,
) -> list[Node]:  # fmt: skip
    rng = np.random.default_rng(seed)
    return [random_tree(rng, depth, features, targets, modes, all_targets) for _ in range(trees)]


def _numbered(tree: Node) -> list[Node]:
    nodes = [tree]
    for node in nodes:
        nodes += node.children
    for i, node in enumerate(nodes):
        node.number = i
    return nodes


def older(trees: list[Node], prefix: str) -> dict[str, Any]:
    """Attributes of TreeEnsembleRegressor (prefix "target") or TreeEnsembleClassifier ("class")."""
    rows = [(t, node) for t, tree in enumerate(trees) for node in _numbered(tree)]
    pairs = [(t, n.number, target, w) for t, n in rows if n.weights for target, w in n.weights.items()]
    return {
        "nodes_treeids": np.array([t for t, _ in rows]),
        "nodes_nodeids": np.array([n.number for _, n in rows]),
        "nodes_featureids": np.array([n.feature for _, n in rows]),
        "nodes_modes": [n.mode for _, n in rows],
        "nodes_values": np.array([n.split for _, n in rows], np.float32),
        "nodes_truenodeids": np.array([n.children[0].number if n.children else 0 for _, n in rows]),
        "nodes_falsenodeids": np.array([n.children[1].number if n.children else 0 for _, n in rows]),
        "nodes_missing_value_tracks_true": np.array([n.tracks for _, n in rows]),
        f"{prefix}_treeids": np.array([p[0] for p in pairs]),
        f"{prefix}_nodeids": np.array([p[1] for p in pairs]),
        f"{prefix}_ids": np.array([p[2] for p in pairs]),
        f"{prefix}_weights": np.array([p[3] for p in pairs], np.float32),
    }


def current(trees: list[Node], targets: int, dtype: Any = np.float32) -> dict[str, Any]:
    """Attributes of TreeEnsemble. Members of a set are its split and the split + 2."""
    flat = [node for tree in trees for node in _numbered(tree)]
    inner = [n for n in flat if n.children]
    ends = [n for n in flat if not n.children]
    place = {id(n): i for group in (inner, ends) for i, n in enumerate(group)}
    members = [v for n in inner if n.mode == MODES[-1] for v in (n.split, n.split + 2, np.nan)]
    made: dict[str, Any] = {
        "nodes_featureids": np.array([n.feature for n in inner]),
        "nodes_modes": np.array([MODES.index(n.mode) for n in inner], np.uint8),
        "nodes_splits": np.array([n.split for n in inner], dtype),
        "nodes_missing_value_tracks_true": np.array([n.tracks for n in inner]),
        "leaf_targetids": np.array([next(iter(n.weights or {})) for n in ends]),
        "leaf_weights": np.array([next(iter((n.weights or {}).values())) for n in ends], dtype),
        "tree_roots": np.array([place[id(t)] for t in trees]),
        "membership_values": np.array(members, dtype) if members else None,
        "n_targets": targets,
    }
    for way, side in (("true", 0), ("false", 1)):
        made[f"nodes_{way}nodeids"] = np.array([place[id(n.children[side])] for n in inner])
        made[f"nodes_{way}leafs"] = np.array([int(not n.children[side].children) for n in inner])
    return made


def rows(n: int, features: int, dtype: Any = np.float32, seed: int = 0) -> Array:
    """Small integers, the splits among them; where floating, also NaN, infinities and numbers between."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-3, 4, (n, features)).astype(np.float64)
    if np.dtype(dtype).kind == "f":
        x[rng.random(x.shape) < 0.1] = np.nan
        x[rng.random(x.shape) < 0.05] = np.inf
        x[rng.random(x.shape) < 0.05] = -np.inf
        x += np.where(rng.random(x.shape) < 0.3, rng.normal(size=x.shape), 0)
    return x.astype(dtype)
