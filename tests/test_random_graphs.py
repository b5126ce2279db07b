"""Random graphs: passes, bundle, bindings and machine code together give what the references give node by node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import edge_rt
from edge_rt import bundle
from edge_rt.dims import symbol
from edge_rt.graph import Graph, Value
from edge_rt.interpreter import evaluate
from edge_rt.types import DType, TensorType
from exporter.passes import optimize

Array = np.ndarray[Any, Any]
F32 = DType.FLOAT32
UNARY = ("Relu", "Sigmoid", "Tanh", "Neg", "Abs", "Exp", "Identity", "HardSwish")
BINARY = ("Add", "Sub", "Mul", "Max", "Min")


class Maker:
    """Grows a graph by random nodes over f32 tensors of rank 4 (NCHW) and 2."""

    def __init__(self, draw: Any, graph: Graph) -> None:
        self.draw, self.graph = draw, graph
        self.values: list[Value] = []

    def pick(self, rank: int) -> Value | None:
        fitting = [v for v in self.values if v.type.rank == rank]
        return self.draw(st.sampled_from(fitting)) if fitting else None

    def weights(self, *shape: int) -> Value:
        seed = self.draw(st.integers(0, 1000))
        data = np.random.default_rng(seed).standard_normal(shape) / max(1.0, np.sqrt(np.prod(shape[1:])))
        return self.graph.constant(data.astype(np.float32), "weights")

    def step(self) -> None:
        kind = self.draw(st.sampled_from(("unary", "binary", "scale", "conv", "pool", "shape", "matmul", "reduce", "norm")))
        made = getattr(self, kind)()
        if made is not None and made.type.rank in (2, 4):
            self.values.append(made)

    def unary(self) -> Value:
        return self.graph.add(self.draw(st.sampled_from(UNARY)), self.draw(st.sampled_from(self.values)))

    def binary(self) -> Value | None:
        a = self.draw(st.sampled_from(self.values))
        fitting = [v for v in self.values if v.type.shape == a.type.shape]
        return self.graph.add(self.draw(st.sampled_from(BINARY)), a, self.draw(st.sampled_from(fitting)))

    def scale(self) -> Value:
        x = self.draw(st.sampled_from(self.values))
        channels = x.type.shape[1]
        shape = (channels, 1, 1) if x.type.rank == 4 else (channels,)
        constant = self.weights(*shape) if self.draw(st.booleans()) else self.graph.constant(np.float32(0.5))
        return self.graph.add(self.draw(st.sampled_from(("Add", "Mul"))), x, constant)

    def conv(self) -> Value | None:
        x = self.pick(4)
        if x is None:
            return None
        c, size = x.type.shape[1], self.draw(st.sampled_from((1, 3)))
        depthwise = self.draw(st.booleans())
        out = c if depthwise else self.draw(st.sampled_from((1, 5, 16, 17)))
        w = self.weights(out, 1 if depthwise else c, size, size)
        bias = self.weights(out) if self.draw(st.booleans()) else None
        return self.graph.add("Conv", x, w, bias, group=c if depthwise else 1, pads=(size // 2,) * 4)

    def pool(self) -> Value | None:
        x = self.pick(4)
        if x is None:
            return None
        op = self.draw(st.sampled_from(("MaxPool", "AveragePool", "GlobalAveragePool")))
        if op == "GlobalAveragePool":
            return self.graph.add(op, x)
        made = self.graph.add(op, x, kernel_shape=(3, 3), pads=(1, 1, 1, 1), strides=(1, 1))
        return made[0] if isinstance(made, tuple) else made

    def shape(self) -> Value | None:
        x = self.draw(st.sampled_from(self.values))
        if x.type.rank == 2:
            return self.graph.add("Concat", x, x, axis=1)
        how = self.draw(st.sampled_from(("transpose", "flatten", "slice", "concat")))
        if how == "transpose":
            return self.graph.add("Transpose", x, perm=(0, 1, 3, 2))
        if how == "flatten":
            return self.graph.add("Flatten", x, axis=1)
        if how == "slice":
            bounds = [self.graph.constant(np.array([v])) for v in (0, -1 if x.type.shape[3] > 1 else 1, 3)]
            return self.graph.add("Slice", x, *bounds)
        return self.graph.add("Concat", x, x, axis=1)

    def matmul(self) -> Value | None:
        x = self.pick(2)
        if x is None:
            return None
        return self.graph.add("MatMul", x, self.weights(x.type.shape[1], self.draw(st.sampled_from((1, 7, 32)))))

    def reduce(self) -> Value:
        x = self.draw(st.sampled_from(self.values))
        axis = self.graph.constant(np.array([x.type.rank - 1]))
        op = self.draw(st.sampled_from(("ReduceMean", "ReduceMax", "ReduceSum")))
        return self.graph.add(op, x, axis, keepdims=1)

    def norm(self) -> Value:
        x = self.draw(st.sampled_from(self.values))
        if x.type.rank == 2:
            return self.graph.add("Softmax", x, axis=-1)
        c = x.type.shape[1]
        parts = [self.weights(c), self.weights(c), self.weights(c), self.graph.constant(np.ones(c, np.float32))]
        return self.graph.add("BatchNormalization", x, *parts)


@st.composite
def graphs(draw: Any) -> Graph:
    graph = Graph("random")
    batch = draw(st.sampled_from((1, 2, symbol("n"))))
    maker = Maker(draw, graph)
    maker.values.append(graph.input("image", TensorType(F32, (batch, draw(st.sampled_from((1, 3, 16))), 5, 6))))
    maker.values.append(graph.input("row", TensorType(F32, (batch, 9))))
    for _ in range(draw(st.integers(1, 14))):
        maker.step()
    outputs = draw(st.lists(st.sampled_from(maker.values), min_size=1, max_size=3, unique_by=id))
    for i, value in enumerate([maker.values[-1], *outputs]):
        graph.output(value, f"out{i}")
    return graph


def moved(graph: Graph, inputs: Sequence[Array], outputs: Sequence[Array]) -> list[float]:
    """How far each output moves when inputs change in their last bits: sums that cancel leave little else."""
    random, found = np.random.default_rng(1), [0.0] * len(outputs)
    for _ in range(4):
        nudged = [(a * (1 + random.uniform(-4, 4, a.shape) * np.finfo(np.float32).eps)).astype(np.float32) for a in inputs]
        changes = [np.abs(a - b) for a, b in zip(evaluate(graph, nudged), outputs)]
        found = [max(most, float(np.max(c[np.isfinite(c)], initial=0))) for most, c in zip(found, changes)]
    return found


@settings(max_examples=200)
@given(graphs(), st.integers(0, 3), st.sampled_from((1, 2)))
def test_machine_code_gives_what_references_give(graph: Graph, batch: int, threads: int) -> None:
    random = np.random.default_rng(0)
    inputs = {}
    for v in graph.inputs:
        shape = tuple(d if isinstance(d, int) else batch for d in v.type.shape or ())
        inputs[v.name] = random.standard_normal(shape).astype(np.float32)
    with np.errstate(all="ignore"):
        fed = [inputs[v.name].astype(np.float32) for v in graph.inputs]
        wanted = evaluate(graph, fed)
        unstable = moved(graph, fed, wanted)
        optimize(graph)
        model = edge_rt.load(bundle.to_bytes(bundle.Bundle(signatures={"main": graph})), threads=threads)
        made = model.run(inputs)
        again = model.run(inputs)
    for name, want, most in zip(graph.output_names, wanted, unstable):
        np.testing.assert_array_equal(made[name], again[name])
        scale = float(np.max(np.abs(np.where(np.isfinite(want), want, 0)), initial=1e-6))
        np.testing.assert_allclose(made[name], want, rtol=2e-4, atol=2e-5 * scale + most)
