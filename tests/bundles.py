"""Bundles that tests share, and the comparison of graphs."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.bundle import Bundle, TestVector
from edge_rt.bundle._encodings import Encoded, pack_int4
from edge_rt.dims import symbol
from edge_rt.graph import Graph, Value
from edge_rt.types import DType, TensorType

F32, I64, BOOL = DType.FLOAT32, DType.INT64, DType.BOOL


def f32(*shape: Any) -> TensorType:
    return TensorType(F32, [symbol(d) if isinstance(d, str) else d for d in shape])


def graphs_equal(a: Graph, b: Graph) -> bool:
    """Whether two graphs have the same names, types, operators, attributes, constants and wiring."""
    return describe(a) == describe(b)


def describe(graph: Graph) -> list[Any]:
    """All that a graph is, as data that compares by value."""
    values: dict[int, Any] = {}
    lines: list[Any] = [graph.name]
    for value in [*graph.inputs, *(v.value for v in graph.variables)]:
        values[id(value)] = len(values)
        lines.append((value.name, value.type))

    def read(value: Value | None) -> Any:
        if value is None or value.data is None:
            return None if value is None else values[id(value)]
        return (value.name, value.type, value.data.tobytes())

    for node in graph.nodes:
        attrs = [
            (name, describe(v) if isinstance(v, Graph) else key) for (name, v), key in zip(node.attrs, node.attrs.key())
        ]
        lines.append((node.op.name, node.name, attrs, [read(v) for v in node.inputs]))
        for value in node.outputs:
            values[id(value)] = len(values)
            lines.append((value.name, value.type))
    lines += [(name, read(v)) for name, v in zip(graph.output_names, graph.outputs)]
    for variable in graph.variables:
        initial = np.asarray(variable.initial)
        lines.append((variable.name, str(initial.dtype), initial.tobytes(), read(variable.update)))
    return lines


def bundle_of(graph: Graph, **parts: Any) -> Bundle:
    return Bundle({"main": graph}, **parts)


def relu_of(constant: np.ndarray[Any, Any]) -> Graph:
    graph = Graph()
    graph.output(graph.add("Relu", graph.constant(constant, "c")), "y")
    return graph


def small() -> Bundle:
    """One Relu."""
    graph = Graph()
    x = graph.input("x", f32("n", 2))
    graph.output(graph.add("Relu", x, name="relu"), "y")
    vector = TestVector("main", {"x": np.array([[-1, 2]], np.float32)}, {"y": np.array([[0, 2]], np.float32)})
    return Bundle({"main": graph}, {"author": "tests"}, {"labels": b"a\nb"}, [vector])


def convnet() -> Graph:
    """Convolutions, shape arithmetic that stays symbolic, a branch and a loop."""
    rng = np.random.default_rng(0)

    def weights(graph: Graph, name: str, *shape: int) -> Value:
        return graph.constant(rng.standard_normal(shape).astype(np.float32), name)

    def numbers(graph: Graph, *values: int) -> Value:
        return graph.constant(np.array(values, np.int64), "numbers")

    g = Graph("convnet")
    x = g.input("image", f32("n", 3, 16, 16))
    h = g.add("Conv", x, weights(g, "w", 8, 3, 3, 3), weights(g, "b", 8), pads=(1, 1, 1, 1), strides=(2, 2), name="c1")
    h = g.add("Relu", h)
    h, _ = g.add("MaxPool", h, kernel_shape=(2, 2), strides=(2, 2), name="pool")
    skip = h
    h = g.add("Conv", h, weights(g, "w2", 8, 8, 1, 1), kernel_shape=(1, 1), outputs=["pointwise"])
    h = g.add("Add", h, skip)
    batch = g.add("Gather", g.add("Shape", x), numbers(g, 0), axis=0)
    h = g.add("Reshape", h, g.add("Concat", batch, numbers(g, -1), axis=0))
    first, second = g.add("Split", h, axis=1, num_outputs=2, outputs=["left", "right"])
    h = g.add("MatMul", g.add("Mul", first, second), weights(g, "dense", 64, 10))
    h = g.add("Clip", h, None, g.constant(np.float32(6), "six"))
    h = g.add("Slice", h, numbers(g, 0), numbers(g, 2**62), numbers(g, 1))
    flag = g.add("Greater", g.add("ReduceSum", h, keepdims=False), g.constant(np.float32(0)), outputs=["flag"])

    then, other, body = Graph("then"), Graph("else"), Graph("body")
    then.output(then.add("Neg", then.input("a", f32("n", 10))), "r")
    other.output(other.add("Cast", other.input("a", f32("n", 10)), to=F32), "r")
    h = g.add("If", flag, h, then_branch=then, else_branch=other)
    body.input("i", TensorType(I64, ()))
    go = body.input("go", TensorType(BOOL, ()))
    total = body.input("total", f32("n", 10))
    body.output(go, "go")
    body.output(body.add("Add", total, body.constant(np.ones((1, 10), np.float32), "one")), "total")
    h = g.add("Loop", g.constant(np.int64(3)), None, h, body=body, carried=1)
    g.output(h, "scores")
    g.output(x, "same image")
    return g


def counter(step: float) -> Graph:
    """Adds `step` to the state "count" and gives the state of before."""
    g = Graph("counter")
    state = g.variable("count", np.zeros((1, 2), np.float32))
    g.variable("untouched", np.arange(3, dtype=np.int64))
    state.update = g.add("Add", state.value, g.constant(np.float32(step), "step"))
    g.output(state.value, "count")
    return g


def encoded() -> tuple[Graph, list[tuple[np.ndarray[Any, Any], Encoded]]]:
    """A graph whose constants are stored in every encoding, and these."""
    rng = np.random.default_rng(3)
    scale = rng.random(3).astype(np.float32)
    zero = np.array([1, -2, 0], np.int8)
    stored = [
        Encoded("f16", (2, 3), rng.standard_normal((2, 3)).astype(np.float16)),
        Encoded("int8", (3, 2), rng.integers(-128, 128, (3, 2), np.int8), 0, scale, zero),
        Encoded("int8", (2, 3), rng.integers(-128, 128, (2, 3), np.int8), 1, scale),
        Encoded("int4", (1, 3, 3), pack_int4(rng.integers(-8, 8, (1, 3, 3), np.int8)), 2, scale, zero),
        Encoded("int4", (3, 2), pack_int4(rng.integers(-8, 8, (3, 2), np.int8)), 0, scale),
    ]
    g = Graph("encoded")
    arrays = [e.decoded() for e in stored]
    for i, array in enumerate(arrays):
        g.output(g.add("Neg", g.constant(array, f"c{i}")), f"y{i}")
    return g, list(zip(arrays, stored))


def large() -> Bundle:
    """Something of everything that the format has."""
    graph, encodings = encoded()
    metadata = {"name": "zoo", "classes": ["a", "b"], "nested": {"k": [1, 2.5, None, True, {"z": -1}]}}
    source = Bundle({"net": convnet(), "up": counter(1.0)}, {"config": {"layers": [{"units": 3}]}})
    return Bundle(
        {"net": convnet(), "up": counter(1.0), "down": counter(-1.0), "weights": graph},
        metadata,
        {"labels": b"cat\ndog", "empty": b""},
        [TestVector("up", {}, {"count": np.zeros((1, 2), np.float32)})],
        source,
        encodings=encodings,
    )
