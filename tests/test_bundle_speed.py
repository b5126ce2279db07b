"""Reading a bundle of 300 nodes is quick: its goal is 10 ms, the import of operators included."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from edge_rt.bundle import Bundle, write
from edge_rt.graph import Graph
from tests.bundles import f32

GOAL = 0.010
MARGIN = 10
"""Test machines are slow and busy, so this is processor time with a margin; the figure itself belongs to bench."""


def cnn(blocks: int) -> Graph:
    """Residual blocks of five nodes, as before the passes: Conv, Relu, Conv, Add, Relu."""
    rng = np.random.default_rng(0)
    graph = Graph()
    x = graph.input("x", f32("n", 8, 32, 32))

    def conv(h: object, name: str) -> object:
        weights = graph.constant(rng.standard_normal((8, 8, 3, 3)).astype(np.float32), f"{name}.weight")
        bias = graph.constant(rng.standard_normal(8).astype(np.float32), f"{name}.bias")
        return graph.add("Conv", h, weights, bias, name=name, pads=(1, 1, 1, 1), kernel_shape=(3, 3))

    for i in range(blocks):
        h = graph.add("Relu", conv(x, f"/layer{i}/conv1/Conv"), name=f"/layer{i}/relu/Relu")
        h = graph.add("Add", conv(h, f"/layer{i}/conv2/Conv"), x, name=f"/layer{i}/Add")
        x = graph.add("Relu", h, name=f"/layer{i}/relu/Relu_1")
    graph.output(x, "y")
    return graph


def test_300_nodes_are_read_soon(tmp_path: Path) -> None:
    graph = cnn(60)
    assert len(graph.nodes) == 300
    path = tmp_path / "m.edge"
    write(Bundle({"main": graph}), path)
    program = (
        "import sys, time; from edge_rt.bundle import read; t = time.process_time(); read(sys.argv[1]); "
        "print(time.process_time() - t)"
    )
    command = [sys.executable, "-c", program, str(path)]
    seconds = min(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) for _ in range(3))
    assert seconds < GOAL * MARGIN
