"""Ensembles of trees, labels and probabilities of scores, norms of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.graph import Graph
from edge_rt.types import DType, TensorType
from exporter.passes.pack_trees import pack_trees
from tests.cases._case import Case, normal
from tests.forests import current, random_trees, rows


def _packed(attributes: dict[str, Any], features: int) -> dict[str, Any]:
    """Attributes of the edge.TreeEnsemble that a TreeEnsemble becomes."""
    graph = Graph()
    x = graph.input("x", TensorType(DType.FLOAT32, (1, features)))
    graph.output(graph.add("ai.onnx.ml.TreeEnsemble", x, **attributes), "y")
    assert pack_trees(graph) == 1
    return dict(graph.nodes[0].attrs)


_ONE = _packed(current(random_trees(21, 5, 7), 1), 7)
_THREE = _packed(current(random_trees(16, 4, 7, targets=3, seed=1), 3), 7)
_SCORES = np.concatenate([normal(40, 5, scale=3.0), np.zeros((2, 5), np.float32), [[0, 0, -50, 0, -60]]]).astype(np.float32)

CASES = [
    *(Case("edge.TreeEnsemble", rows(n, 7, t), **_ONE, native=True, name=f"{t.__name__}-{n}")
      for t in (np.float32, np.float64, np.int32, np.int64) for n in (0, 1, 130)),
    *(Case("edge.TreeEnsemble", rows(60, 7), **{**a, "aggregate": how}, native=True, name=f"{how}-{a['targets']}")
      for a in (_ONE, _THREE) for how in ("SUM", "MIN", "MAX")),
    Case("edge.TreeEnsemble", rows(50, 7), **{**_THREE, "base": np.array([1.0, -2.0, 0.5]), "dtype": DType.FLOAT64},
         native=True, name="base"),
    Case("edge.TreeEnsemble", rows(3, 7), nodes=np.zeros((0, 2), np.int64), roots=np.zeros(0, np.int64), native=True,
         name="no-trees"),
    *(Case("edge.Classify", _SCORES.astype(t), labels=(3, 1, 4, 1, 5), transform=how, native=True,
           name=f"{t.__name__}-{how}")
      for t in (np.float32, np.float64) for how in ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO")),
    *(Case("edge.Classify", _SCORES[:, :1].copy(), labels=(7, -7), transform=how, second=second, threshold=0.5,
           native=True, name=f"one-{second}-{how}")
      for second in ("complement", "negative") for how in ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO")),
    Case("edge.Classify", np.array([[1, np.nan, 2, np.nan], [5, 5, 4, 5]], np.float32), labels=(0, 1, 2, 3),
         native=True, name="nan-and-ties"),
    Case("edge.Classify", normal(3000, 40), labels=tuple(range(40)), transform="SOFTMAX", native=True, name="many"),
    *(Case("ai.onnx.ml.Normalizer", x, norm=norm, native=True, name=f"{norm}-{x.shape[-1]}-{x.ndim}")
      for norm in ("MAX", "L1", "L2")
      for x in (normal(5, 3), normal(70, 700), np.zeros((2, 9), np.float32), normal(33))),
]  # fmt: skip
