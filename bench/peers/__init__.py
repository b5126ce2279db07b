"""The runtimes that can be measured, one module each.

A module offers `FORMAT` (which of a model's files it takes), `version()`, and `open_model(path, threads)`, which gives
an Engine. Add a peer by adding its module, and its name to PEERS.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]

OURS = "edge-rt"
PEERS = {
    "onnxruntime": "bench.peers.onnx_runtime",
    "litert": "bench.peers.litert",
    "openvino": "bench.peers.openvino_cpu",
    "ncnn": "bench.peers.ncnn_cpu",
}
JIT = "edge-rt-jit"
"""edge-rt with kernels compiled for the model: no peer, but it takes turns like one where it is named."""
_MODULES = {OURS: "bench.peers.edge", JIT: "bench.peers.edge_jit", **PEERS}


class PeerError(Exception):
    """A runtime that does not load a model; it is left out there."""


class Engine(Protocol):
    """A model that one runtime has loaded."""

    def prepare(self, inputs: Mapping[str, Array]) -> Any:
        """The inputs as arrays of the layout, and in the container, that `run` takes."""

    def run(self, inputs: Any) -> Any:
        """What is timed: NumPy arrays in, NumPy arrays out, in whatever container the runtime gives them."""

    def outputs(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The same as arrays by name, for comparison. A file format that loses the source model's names gives others."""


class Backend(Protocol):
    """A module of this package. FORMAT: a key of BenchModel.files, or "edge" for a bundle made of "onnx"."""

    FORMAT: str

    def version(self) -> str: ...

    def open_model(self, path: Path, threads: int) -> Engine:
        """Raises PeerError if the runtime does not load the model."""


def backend(name: str) -> Backend:
    """The module of a runtime. Raises ValueError for an unknown name, ModuleNotFoundError if it is not installed."""
    if name not in _MODULES:
        raise ValueError(f"no peer is named '{name}', there are {', '.join(PEERS)}")
    module: Any = import_module(_MODULES[name])
    found: Backend = module
    return found
