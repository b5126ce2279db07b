"""Small ONNX models, and how imported graphs are run."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import parser

from edge_rt.graph import Graph
from edge_rt.interpreter import evaluate

Array = np.ndarray[Any, Any]


def model(text: str, opset: int = 18) -> Any:
    """A model from onnx's text form: the graph, then functions."""
    return parser.parse_model(f'<ir_version: 10, opset_import: ["" : {opset}, "local" : 1]> {text}')


def run(graph: Graph, *inputs: Any) -> list[Array]:
    graph.verify()
    return evaluate(graph, [np.asarray(x, v.type.dtype.numpy) for x, v in zip(inputs, graph.inputs, strict=True)])


def with_initializer(tensor: Any) -> Any:
    """A model that adds the initializer `w` to its input."""
    made = model("g (float[2] x) => (float[2] y) { y = Add(x, w) }")
    made.graph.initializer.append(tensor)
    return made
