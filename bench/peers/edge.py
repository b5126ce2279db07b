"""edge-rt itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import edge_rt

Array = np.ndarray[Any, Any]
FORMAT = "edge"


def version() -> str:
    """With the sources of the kernels: figures of other ones are not put beside these."""
    from edge_rt.native.cache import source_fingerprint  # here: memory is measured of what runs a model

    return f"{edge_rt.__version__} ({edge_rt.native.library().target}, kernels {source_fingerprint()[:8]})"


class Engine:
    """A loaded bundle."""

    def __init__(self, model: edge_rt.Model) -> None:
        self._model, self.run = model, model.run

    def prepare(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return inputs

    def outputs(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self._model.run(inputs)


def open_model(path: Path, threads: int) -> Engine:
    return Engine(edge_rt.load(path, threads=threads))
