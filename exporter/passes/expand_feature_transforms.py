"""Feature transforms of ai.onnx.ml become ONNX's own operators, which have kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.types import DType
from exporter.passes._match import contents, is_f32, live, produced_by, replace


def expand_feature_transforms(graph: Graph) -> int:
    """Replaces:

    1. ArrayFeatureExtractor(x, y) -> Gather along the last axis, where y is known or made by an operator that finds places,
       so that it has no negative numbers, which Gather would count from the end.
    2. Scaler(x) -> (x - offset) * scale.
    3. Binarizer(x) -> x > threshold, as numbers.
    4. Imputer(x) -> Where(IsNaN(x) or x == replaced, imputed, x).

    2 also of integers; 3 and 4 of float32 only. Not for scalars.
    """
    changes = 0
    for node in live(graph):
        rule = RULES.get(node.op.name)
        x = node.inputs[0] if rule else None
        made = rule(graph, node, x) if rule and x is not None and x.type.rank else None
        if made is not None:
            replace(graph, node, made)
            changes += 1
    return changes


def _add(graph: Graph, node: Node, op: str, *inputs: Value, **attributes: Any) -> Value:
    made: Value = graph.add(op, *inputs, before=node, name=node.name, **attributes)
    return made


def _extractor(graph: Graph, node: Node, x: Value) -> Value | None:
    y = node.inputs[1]
    known = contents(y)
    is_found = produced_by(y, "ArgMax", "ArgMin", "TopK", "NonZero")
    if y is None or (known is None and not is_found) or (known is not None and (known < 0).any()):
        return None
    if x.type.rank == 1:
        x = _add(graph, node, "Unsqueeze", x, graph.constant(np.array([0])))
    if y.type.rank != 1:
        y = _add(graph, node, "Reshape", y, graph.constant(np.array([-1])))
    return _add(graph, node, "Gather", x, y, axis=-1)


def _scaler(graph: Graph, node: Node, x: Value) -> Value | None:
    if x.type.dtype is not DType.FLOAT32:
        x = _add(graph, node, "Cast", x, to=DType.FLOAT32)
    offset, scale = (np.array(given, np.float32) for given in (node.attrs.offset or 0, node.attrs.scale or 1))
    return _add(graph, node, "Mul", _add(graph, node, "Sub", x, graph.constant(offset)), graph.constant(scale))


def _binarizer(graph: Graph, node: Node, x: Value) -> Value | None:
    if not is_f32(x):
        return None
    is_above = _add(graph, node, "Greater", x, graph.constant(np.float32(node.attrs.threshold)))
    return _add(graph, node, "Cast", is_above, to=DType.FLOAT32)


def _imputer(graph: Graph, node: Node, x: Value) -> Value | None:
    if not is_f32(x):
        return None
    replaced = np.float32(node.attrs.replaced_value_float)
    is_missing = (
        _add(graph, node, "IsNaN", x) if math.isnan(replaced) else _add(graph, node, "Equal", x, graph.constant(replaced))
    )
    return _add(graph, node, "Where", is_missing, graph.constant(np.array(node.attrs.imputed_value_floats, np.float32)), x)


RULES: dict[str, Callable[[Graph, Node, Value], Value | None]] = {
    "ai.onnx.ml.ArrayFeatureExtractor": _extractor,
    "ai.onnx.ml.Scaler": _scaler,
    "ai.onnx.ml.Binarizer": _binarizer,
    "ai.onnx.ml.Imputer": _imputer,
}
