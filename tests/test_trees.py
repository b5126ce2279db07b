"""Damaged tables of edge.TreeEnsemble: refused before anything walks them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_rt import bundle, ops
from edge_rt.errors import BundleError, EdgeError, GraphError
from edge_rt.graph import Graph
from edge_rt.ops.trees import MODES
from edge_rt.types import DType, TensorType
from tests.cases.trees import _ONE, _THREE
from tests.forests import current, older, random_trees

FEATURES = 7


def build(attributes: dict[str, Any], features: int = FEATURES) -> Graph:
    graph = Graph()
    x = graph.input("x", TensorType(DType.FLOAT32, (2, features)))
    graph.output(graph.add("edge.TreeEnsemble", x, **attributes), "y")
    return graph


def changed(attributes: dict[str, Any], name: str, index: Any, value: Any) -> dict[str, Any]:
    array = attributes[name].copy()
    array[index] = value
    return {**attributes, name: array}


NAN = int(np.array(np.nan).view(np.int64))
LEAF = int(np.flatnonzero(_THREE["nodes"][:, 1] >> 32 == np.arange(len(_THREE["nodes"])))[0])
COUNT = len(_ONE["nodes"])
REFUSED = {
    "a cycle": (changed(_ONE, "nodes", (5, 1), 2 << 32 | 1), "behind its parent"),
    "a child outside": (changed(_ONE, "nodes", (0, 1), COUNT - 1 << 32 | 1), "behind its parent"),
    "a negative child": (changed(_ONE, "nodes", (0, 1), -1 << 32 | 1), "behind its parent"),
    "a root outside": (changed(_ONE, "roots", 0, COUNT), "roots must lie in"),
    "a negative root": (changed(_ONE, "roots", 0, -1), "roots must lie in"),
    "a feature outside": (changed(_ONE, "nodes", (0, 1), 1 << 32 | 15), "must have 8 features, got 7"),
    "an inner node without a feature": (changed(_ONE, "nodes", (0, 1), 1 << 32), "column 0"),
    "a leaf with a feature": (changed(_THREE, "nodes", (LEAF, 1), LEAF << 32 | 3), "column 0"),
    "a split that is NaN": (changed(_ONE, "nodes", (0, 0), NAN), "got NaN"),
    "a weight that is NaN": (changed(_THREE, "pair_weights", 0, np.nan), "got NaN"),
    "a leaf number outside": (changed(_THREE, "nodes", (LEAF, 0), 1 << 40), "leaf numbers"),
    "a target outside": (changed(_THREE, "pair_targets", 0, 3), "pair_targets must lie in"),
    "pairs outside": (changed(_THREE, "offsets", -1, 10_000), "offsets must lie in"),
    "offsets that fall": (changed(_THREE, "offsets", 1, 9), "must not fall"),
    "no pairs": ({**_THREE, "offsets": None}, "offsets must be given"),
    "nodes of one word": ({**_ONE, "nodes": _ONE["nodes"][:, :1]}, r"nodes must be int64\[n, 2\]"),
    "other numbers": ({**_ONE, "roots": _ONE["roots"].astype(np.int32)}, r"roots must be int64\[n\]"),
    "a base of another size": ({**_THREE, "base": np.zeros(2)}, r"base must be float64\[3\]"),
    "no targets": ({**_ONE, "targets": 0}, "targets must lie in"),
    "integer scores": ({**_ONE, "dtype": DType.INT64}, "dtype must be float32 or float64"),
}  # fmt: skip


@pytest.mark.parametrize("damage", REFUSED)
def test_damaged_tables_are_refused(damage):
    attributes, message = REFUSED[damage]
    with pytest.raises(GraphError, match=message):
        build(attributes)


def test_a_bundle_with_a_cycle_is_refused():
    nodes = _ONE["nodes"]
    data = bytearray(bundle.to_bytes(bundle.Bundle(signatures={"main": build(_ONE)})))
    at = bytes(data).index(nodes.tobytes())
    data[at + 24 : at + 32] = (0 << 32 | 1).to_bytes(8, "little")
    with pytest.raises(BundleError, match="behind its parent"):
        bundle.read(bytes(data))


OLDER = {
    "ai.onnx.ml.TreeEnsemble": current(random_trees(4, 3, FEATURES, 2, MODES), 2),
    "ai.onnx.ml.TreeEnsembleRegressor": {"n_targets": 2, **older(random_trees(4, 3, FEATURES, 2), "target")},
    "ai.onnx.ml.TreeEnsembleClassifier": {
        "classlabels_int64s": (1, 2, 3), **older(random_trees(4, 3, FEATURES, 3), "class"),
    },
}  # fmt: skip


@pytest.mark.parametrize("op", OLDER)
def test_damaged_attributes_of_the_older_operators(op):
    """Lists of other lengths, ranks, types and with other numbers: refused, or computed, or a DataError."""
    rng, x = np.random.default_rng(1), np.zeros((2, FEATURES), np.float32)
    spec, outcomes = ops.get(op), []
    for _ in range(1500):
        attributes = dict(OLDER[op])
        name = str(rng.choice([n for n, v in attributes.items() if isinstance(v, np.ndarray)]))
        array = attributes[name].copy()
        kind = rng.integers(8)
        if kind < 4:
            array[rng.integers(len(array))] = int(rng.choice([-1, 0, 1, 2, 5, 100, 2**31, -(2**63), 2**63 - 1])) & (
                0xFF if array.dtype == np.uint8 else -1
            )
        elif kind == 4:
            array = array[: rng.integers(len(array))]
        elif kind == 5:
            array = array.reshape(1, -1)
        elif kind == 6:
            with np.errstate(all="ignore"):
                array = array.astype(rng.choice([np.float64, np.complex64, np.int8, np.bool_]))
        else:
            array = np.array(3)
        attributes[name] = array
        try:
            record = spec.attrs(**attributes)
            spec.infer(record, [TensorType.of(x)], [None], "x")
            spec.evaluate(record, x)
            outcomes.append("computed")
        except EdgeError as error:
            outcomes.append(type(error).__name__)
    assert {"computed", "InferenceError"} <= set(outcomes)


def test_any_changed_word_gives_a_result_or_an_error():
    """Whatever passes validation ends: the reference walks it, as the kernel would."""
    from edge_rt.interpreter import evaluate

    rng, x = np.random.default_rng(0), np.zeros((2, FEATURES), np.float32)
    accepted = 0
    for _ in range(300):
        attributes = dict(_THREE if rng.random() < 0.5 else _ONE)
        name = str(rng.choice([n for n in ("nodes", "roots", "offsets", "pair_targets") if attributes[n] is not None]))
        array = attributes[name].copy()
        array.reshape(-1)[rng.integers(array.size)] ^= 1 << int(rng.integers(63))
        attributes[name] = array
        try:
            graph = build(attributes)
        except EdgeError:
            continue
        accepted += 1
        evaluate(graph, [x])
    assert accepted > 20
