"""Linear models become a matrix product and what makes labels and probabilities of scores."""

from __future__ import annotations

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.ops.edge_trees import TRANSFORMS
from edge_rt.types import DType
from exporter.passes._match import is_used, live, prune


def expand_linear_models(graph: Graph) -> int:
    """Replaces, with W the coefficients as a matrix:

    1. LinearRegressor(x) -> MatMul(x, W) + intercepts.
    2. With a post-transform -> the same, then edge.Classify.
    3. LinearClassifier(x) -> the same, then edge.Classify.

    Integer x through Cast. Not with the post-transform PROBIT, or for float64.
    """
    changes = 0
    for node in live(graph):
        if node.op.name not in ("ai.onnx.ml.LinearRegressor", "ai.onnx.ml.LinearClassifier"):
            continue
        x, attrs = node.inputs[0], node.attrs
        if x is None or x.type.dtype is DType.FLOAT64 or attrs.post_transform not in TRANSFORMS or not x.type.rank:
            continue
        if node.op.name == "ai.onnx.ml.LinearRegressor":
            scores = _scores(graph, node, x, attrs.targets)
            if attrs.post_transform != "NONE":
                labels = tuple(range(attrs.targets))
                _, scores = graph.add(
                    "edge.Classify", scores, labels=labels, transform=attrs.post_transform, before=node
                )
            _replace(graph, node, scores)
        else:
            labels = attrs.classlabels_ints
            rows = len(attrs.intercepts) or len(labels)
            made = graph.add(
                "edge.Classify", _scores(graph, node, x, rows), labels=labels, transform=attrs.post_transform,
                second="complement" if rows == 1 and len(labels) == 2 else "", before=node,
            )  # fmt: skip
            _replace(graph, node, *made)
        changes += 1
    return changes


def _scores(graph: Graph, node: Node, x: Value, rows: int) -> Value:
    """f32[n, rows]"""
    attrs = node.attrs
    if x.type.rank == 1:
        x = graph.add("Unsqueeze", x, graph.constant(np.array([0])), before=node)
    if x.type.dtype is not DType.FLOAT32:
        x = graph.add("Cast", x, to=DType.FLOAT32, before=node)
    weights = np.array(attrs.coefficients, np.float32).reshape(rows, -1).T
    y: Value = graph.add("MatMul", x, graph.constant(np.ascontiguousarray(weights)), before=node, name=node.name)
    if attrs.intercepts:
        y = graph.add("Add", y, graph.constant(np.array(attrs.intercepts, np.float32)), before=node)
    return y


def _replace(graph: Graph, node: Node, *values: Value) -> None:
    for old, new in zip(node.outputs, values):
        if is_used(graph, old):
            graph.replace(old, new)
    prune(graph, [node])
