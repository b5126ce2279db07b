"""The last step before a bundle: how weights are stored."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_rt.bundle._encodings import Encoded
from edge_rt.graph import Graph
from edge_rt.types import DType
from exporter.passes._driver import run_pipeline
from exporter.passes.compress_weights import MIN_BYTES, WEIGHTS, Stored, weight_compressor
from exporter.passes.encode_constants import constant_encoder
from exporter.passes.restore_names import restore_names

Array = np.ndarray[Any, Any]


def float16_weights(graph: Graph) -> tuple[bool, bool]:
    """Whether some weights of a graph (as it is before passes) are float16, and whether all are."""
    dtypes = _weight_dtypes(graph)
    return DType.FLOAT16 in dtypes, dtypes == {DType.FLOAT16}


def _weight_dtypes(graph: Graph) -> set[DType]:
    """The floats among the types of all constants that are worth compressing."""
    found = {v.type.dtype for v in graph.constants() if v.data is not None and 4 * v.data.size >= MIN_BYTES}
    return {t for t in found if t.is_float}.union(*(_weight_dtypes(inner) for _, _, inner in graph.subgraphs()))


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

    def run(self, graph: Graph, were_float16: bool = False) -> list[tuple[str, int]]:
        """Passes and the numbers of their changes, like `passes.optimize`. Raises GraphError likewise.

        were_float16: all weights were float16 in the source model, so "auto" rounds what passes multiplied to float16 again.
        """
        if self.weights == "float32":
            return []
        weights = "float16" if were_float16 and self.weights == "auto" else self.weights
        passes = weight_compressor(weights, self.stored), constant_encoder(weights, self.stored, self.encodings)
        return run_pipeline(graph, (passes[:1], passes[1:], (restore_names,)))

    @property
    def is_lossy(self) -> bool:
        """Whether some weight is rounded to less than float32's precision."""
        return any(s.is_rounded for s in self.stored)

    @property
    def saved_in_file(self) -> int:
        """Bytes that encodings save in the file, but not in memory."""
        return sum(array.nbytes - encoded.nbytes for array, encoded in self.encodings)
