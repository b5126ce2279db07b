"""Models of all kinds, and what happens to their plans."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import edge_rt
from edge_rt import bundle
from edge_rt.dims import symbol
from edge_rt.graph import Graph
from edge_rt.native.features import choose_target, cpu_features
from edge_rt.types import DType, TensorType
from tests.test_bands import LARGE as IMAGE
from tests.test_bands import Layer, chain

TARGET, _ = choose_target(cpu_features())
F32, I64 = DType.FLOAT32, DType.INT64
LARGE = 5000
"""Numbers of an input that is read where it is, and of a tensor that is no small one in any respect."""


def bytes_of(*graphs: Graph) -> bytes:
    return bundle.to_bytes(bundle.Bundle(signatures={g.name: g for g in graphs}))


def is_stored(model: edge_rt.Model) -> bool:
    """Whether the model has a stored plan, and has read nothing else so far."""
    return model._stored is not None and model._loaded is None


def leave(data: bytes | Path, inputs: dict[str, Any]) -> dict[str, bytes]:
    """Has a process leave the plan of a call for these inputs; what the call gives."""
    return results(edge_rt.load(data), inputs, 2)[0]


def results(model: edge_rt.Model, inputs: dict[str, Any], calls: int = 3) -> list[dict[str, bytes]]:
    return [{k: v.tobytes() for k, v in model.run(inputs).items()} for _ in range(calls)]


def stored_dense(plans: Path) -> tuple[bytes, Any, bytes]:
    """A bundle with a stored plan, its input and its output."""
    data, inputs = bytes_of(dense()), MODELS["dense"][1]
    expected = leave(data, inputs)["y"]
    assert is_stored(edge_rt.load(data))
    return data, inputs["x"], expected


def dense(name: str = "main", size: int = 8) -> Graph:
    """y = x @ w + b for x of any number of rows."""
    rng = np.random.default_rng(0)
    graph = Graph(name)
    x = graph.input("x", TensorType(F32, (symbol("n"), size)))
    made = graph.add("MatMul", x, graph.constant(rng.random((size, 16), np.float32), "w"))
    graph.output(graph.add("Add", made, graph.constant(rng.random(16, np.float32), "b")), "y")
    return graph


def counter() -> Graph:
    """Adds `step` to its state; gives the sum, and the state at an index."""
    graph = Graph()
    step, index = graph.input("step", TensorType(F32, (4,))), graph.input("index", TensorType(I64, (symbol("k"),)))
    total = graph.variable("total", np.arange(4, dtype=np.float32))
    total.update = graph.add("Add", total.value, step)
    graph.output(total.update, "sum")
    graph.output(graph.add("Gather", total.value, index), "picked")
    return graph


def several() -> Graph:
    """Inputs that are copied and one that is read where it is; outputs of several types."""
    graph = Graph()
    a, b = graph.input("a", TensorType(F32, (LARGE,))), graph.input("b", TensorType(F32, (1,)))
    c = graph.input("c", TensorType(I64, (3,)))
    graph.output(graph.add("Mul", graph.add("Exp", a), b), "y")
    graph.output(graph.add("Add", c, c), "z")
    return graph


def shaped() -> Graph:
    """An input whose contents decide a shape."""
    graph = Graph()
    x, shape = graph.input("x", TensorType(F32, (12,))), graph.input("shape", TensorType(I64, (2,)))
    graph.output(graph.add("Transpose", graph.add("Exp", graph.add("Reshape", x, shape)), perm=(1, 0)), "y")
    return graph


def int8() -> Graph:
    """A quantised product, and a table."""
    rng = np.random.default_rng(1)
    graph = Graph()
    x = graph.input("x", TensorType(DType.UINT8, (7, 40)))
    w = graph.constant(rng.integers(-128, 127, (40, 20)).astype(np.int8))
    made = graph.add("MatMulInteger", x, w, graph.constant(np.uint8(3)))
    graph.output(graph.add("Mul", graph.add("Cast", made, to=F32), graph.constant(np.float32(0.01))), "y")
    return graph


def bands() -> Graph:
    """Two steps that are done together."""
    return chain(IMAGE, [Layer("gemm", 32), Layer("depthwise")])


RNG = np.random.default_rng(2)
MODELS: dict[str, tuple[Callable[[], Graph], dict[str, Any]]] = {
    "dense": (dense, {"x": RNG.random((3, 8), np.float32)}),
    "counter": (counter, {"step": np.ones(4, np.float32), "index": np.array([1, 3])}),
    "several": (
        several, {"a": RNG.random(LARGE, np.float32), "b": np.float32([2]), "c": np.array([1, -2, 3])},
    ),
    "shaped": (shaped, {"x": RNG.random(12, np.float32), "shape": np.array([3, 4])}),
    "int8": (int8, {"x": RNG.integers(0, 255, (7, 40)).astype(np.uint8)}),
    "bands": (bands, {"x": RNG.random(IMAGE, np.float32)}),
}  # fmt: skip
