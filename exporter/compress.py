"""The last step before a bundle: how weights are stored."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.bundle._encodings import Encoded
from edge_rt.graph import Graph
from exporter.passes._driver import run_pipeline
from exporter.passes.compress_weights import WEIGHTS, Stored, weight_compressor
from exporter.passes.encode_constants import constant_encoder
from exporter.passes.restore_names import restore_names

Array = np.ndarray[Any, Any]


class Compressor:
    """Stores the weights of optimised graphs, in place, as one of WEIGHTS says.

    stored: how tensors are stored now. encodings: for the bundle; tensors that no kernel reads in another form than float32,
    which are decoded when it is loaded. Raises ValueError for other `weights`.
    """

    def __init__(self, weights: str = "auto") -> None:
        if weights not in WEIGHTS:
            raise ValueError(f"weights must be one of {', '.join(WEIGHTS)}, got {weights!r}")
        self.weights = weights
        self.stored: list[Stored] = []
        self.encodings: list[tuple[Array, Encoded]] = []

    def run(self, graph: Graph) -> list[tuple[str, int]]:
        """Passes and the numbers of their changes, like `passes.optimize`. Raises GraphError likewise."""
        if self.weights == "float32":
            return []
        passes = weight_compressor(self.weights, self.stored), constant_encoder(self.weights, self.stored, self.encodings)
        return run_pipeline(graph, (passes[:1], passes[1:], (restore_names,)))

    @property
    def is_lossy(self) -> bool:
        """Whether some weight is rounded to less than float32's precision."""
        return any(s.is_rounded for s in self.stored)

    @property
    def saved_in_file(self) -> int:
        """Bytes that encodings save in the file, but not in memory."""
        return sum(array.nbytes - encoded.nbytes for array, encoded in self.encodings)
