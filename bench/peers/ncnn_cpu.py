"""ncnn on the CPU, with weights and activations in float32 as the other runtimes have them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ncnn
import numpy as np

from bench.peers import PeerError

Array = np.ndarray[Any, Any]
FORMAT = "ncnn"
"""The .param file; the weights are in the .bin file beside it."""


def version() -> str:
    return str(ncnn.__version__)


class Engine:
    """A Net. ncnn's tensors have no batch: a leading axis of size 1 goes, and comes back."""

    def __init__(self, path: Path, threads: int) -> None:
        self._net = ncnn.Net()
        options = self._net.opt
        options.num_threads = threads
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        if self._net.load_param(str(path)) or self._net.load_model(str(path.with_suffix(".bin"))):
            raise PeerError("ncnn does not load what pnnx made")
        self._inputs, self._outputs = self._net.input_names(), self._net.output_names()

    def prepare(self, inputs: Mapping[str, Array]) -> list[Array]:
        return [np.ascontiguousarray(a[0] if a.shape[:1] == (1,) else a) for a in inputs.values()]

    def run(self, inputs: list[Array]) -> list[Array]:
        extractor = self._net.create_extractor()
        for name, array in zip(self._inputs, inputs, strict=True):
            extractor.input(name, ncnn.Mat(array))
        results = []
        for name in self._outputs:
            status, mat = extractor.extract(name)
            if status:
                raise PeerError(f"ncnn fails at {name} with status {status}")
            results.append(np.array(mat)[None])
        return results

    def outputs(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return dict(zip(self._outputs, self.run(self.prepare(inputs))))


def open_model(path: Path, threads: int) -> Engine:
    return Engine(path, threads)
