"""The last step before a bundle: how weights are stored."""

from __future__ import annotations

from edge_rt.graph import Graph
from exporter.passes._driver import run_pipeline
from exporter.passes.compress_weights import Stored, weight_compressor
from exporter.passes.restore_names import restore_names


def compress(graph: Graph, weights: str = "auto") -> tuple[list[Stored], list[tuple[str, int]]]:
    """Stores the weights of an optimised graph, in place, as one of `compress_weights.WEIGHTS` says.

    Returns how tensors are stored now, and passes like `passes.optimize`. Raises GraphError likewise.
    """
    stored: list[Stored] = []
    return stored, run_pipeline(graph, ((weight_compressor(weights, stored),), (restore_names,)))
