"""Small models with seeded weights, made where no real one has the shape that is to be measured."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Shapes = dict[str, tuple[int, ...]]


def mlp(path: Path) -> Shapes:
    """Three dense layers of 16-32-32-4, ReLU between them: what a call costs when it computes almost nothing."""
    rng = np.random.default_rng(0)
    nodes, weights, current = [], [], "x"
    sizes = (16, 32, 32, 4)
    for layer, (inner, outer) in enumerate(pairwise(sizes)):
        w = rng.standard_normal((inner, outer)) / np.sqrt(inner)
        weights += [_tensor(f"w{layer}", w), _tensor(f"b{layer}", rng.standard_normal(outer))]
        last = layer == len(sizes) - 2
        dense = "y" if last else f"dense{layer}"
        nodes.append(helper.make_node("Gemm", [current, f"w{layer}", f"b{layer}"], [dense]))
        if not last:
            nodes.append(helper.make_node("Relu", [dense], [f"relu{layer}"]))
        current = f"relu{layer}"
    _save(path, nodes, {"x": (1, sizes[0])}, {"y": (1, sizes[-1])}, weights)
    return {"x": (1, sizes[0])}


ZOO: dict[str, Callable[[Path], Shapes]] = {"mlp": mlp}
"""Each writes its ONNX file and gives the shapes of its inputs."""


def _tensor(name: str, values: Any) -> Any:
    return numpy_helper.from_array(np.asarray(values, np.float32), name)


def _infos(shapes: Shapes) -> list[Any]:
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]


def _save(path: Path, nodes: list[Any], inputs: Shapes, outputs: Shapes, weights: list[Any]) -> None:
    graph = helper.make_graph(nodes, path.stem, _infos(inputs), _infos(outputs), weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
