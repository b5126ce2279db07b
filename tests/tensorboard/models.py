"""What the tests show: a module with state, a branch, a loop and scopes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import exporter as ex
from edge_rt.graph import Graph

X = np.array([[2.0, -1.0, 0.5]], np.float32)


class Network(ex.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = ex.Variable(np.eye(3, dtype=np.float32), name="w")
        self.calls = ex.Variable(0.0, name="calls", trainable=False)

    @ex.function
    def __call__(self, x: ex.Tensor) -> ex.Tensor:
        self.calls.assign_add(1.0)
        with ex.name_scope("first"):
            x = ex.nn.relu(ex.matmul(x, self.w))
        x = ex.cond(ex.reduce_sum(x) > 0, lambda: x * 2, lambda: x - self.calls)
        start = ex.cast(ex.reduce_sum(x) * 0, "int32")
        _, x = ex.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x + 0.5), (start, x))
        with ex.name_scope("second"):
            return ex.tanh(x)


def write_logs(folder: Path, profiler: bool = False) -> Graph:
    """Writes the network's graph, and scalars, as the run "run"; gives the graph."""
    network = Network()
    network(X)
    writer = ex.summary.create_file_writer(folder / "run")
    with writer.as_default():
        ex.summary.trace_on(graph=True, profiler=profiler)
        network(X)
        ex.summary.trace_export("network", 0, profiler_outdir=folder / "run" if profiler else None)
        for step in range(3):
            ex.summary.scalar("loss", 1 / (step + 1), step)
    writer.close()
    graph: Graph = network.__call__.get_concrete_function(ex.TensorSpec((1, 3))).graph
    return graph


def node_names(graph: Graph) -> list[str]:
    """Of all nodes, those of branches and bodies after their operator's name."""
    found = []
    for node in graph.nodes:
        found.append(node.name)
        for key, value in node.attrs:
            if isinstance(value, Graph):
                found += [f"{node.name}/{key}/{name}" for name in node_names(value)]
    return found
