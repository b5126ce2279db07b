"""What a bundle is in memory."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

import numpy as np

from edge_rt.bundle._encodings import Encoded
from edge_rt.graph import Graph

Array = np.ndarray[Any, Any]


class TestVector:
    """Inputs of a signature and the outputs that they must give."""

    __test__ = False  # not a test class, whatever its name makes pytest think
    __slots__ = ("inputs", "outputs", "signature")

    signature: str
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]

    def __init__(self, signature: str, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        self.signature, self.inputs, self.outputs = signature, dict(inputs), dict(outputs)


class Bundle:
    """Graphs by signature name, and what travels with them.

    signatures: graphs; those that name a variable alike share it. metadata: JSON-like data (None, bool, int, float,
    str, lists, and maps with string keys). assets: named blobs. source: a bundle for the training side (graphs before
    passes, variables by attribute path), which shares the tensors of this one; devices never read it.
    variables: initial contents of variables by name; those of graphs need not be listed by who makes a bundle.
    requires: version of each operator that the graphs use. Filled in by the reader; the writer works it out anew.
    encodings: (array of the graphs, how it is stored); others are stored as they are.
    spans: parts of the file without the contents of large tensors, see `Tensors.spans`; None for one that was not read.
    """

    __slots__ = (
        "_source", "assets", "encodings", "metadata", "requires", "signatures", "spans", "test_vectors", "variables",
    )  # fmt: skip

    signatures: dict[str, Graph]
    metadata: dict[str, Any]
    assets: Mapping[str, bytes]
    test_vectors: list[TestVector]
    requires: dict[str, int]
    variables: dict[str, Array]
    encodings: list[tuple[Array, Encoded]]

    def __init__(
        self,
        signatures: Mapping[str, Graph],
        metadata: Mapping[str, Any] | None = None,
        assets: Mapping[str, bytes] | None = None,
        test_vectors: list[TestVector] | None = None,
        source: Bundle | Callable[[], Bundle] | None = None,
        requires: Mapping[str, int] | None = None,
        variables: Mapping[str, Array] | None = None,
        encodings: list[tuple[Array, Encoded]] | None = None,
        spans: Callable[[int, Container[int]], list[tuple[int, int]]] | None = None,
    ) -> None:
        self.signatures = dict(signatures)
        self.metadata = dict(metadata or {})
        self.assets = assets if assets is not None else {}
        self.test_vectors = list(test_vectors or [])
        self.requires = dict(requires or {})
        self.variables = dict(variables or {})
        self.encodings = [] if encodings is None else encodings
        self.spans = spans
        self._source = source

    @property
    def source(self) -> Bundle | None:
        """The training side's section, decoded at first use. Raises BundleError if that section is damaged."""
        if callable(self._source):
            self._source = self._source()
        return self._source
