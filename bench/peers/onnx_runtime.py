"""ONNX Runtime, with its default optimisations, in order, on the CPU."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from exporter.importers.onnx._runtime import OnnxRuntime

Array = np.ndarray[Any, Any]
FORMAT = "onnx"


def version() -> str:
    return str(onnxruntime.__version__)


class Engine:
    """An InferenceSession."""

    def __init__(self, path: Path, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4
        self._path = path
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.run = functools.partial(self._session.run, None)

    def prepare(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return inputs

    def outputs(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Of another session, whose 8-bit products do not saturate: those of `run` do on x86-64 CPUs without VNNI."""
        return OnnxRuntime(self._path).run(inputs)


def open_model(path: Path, threads: int) -> Engine:
    return Engine(path, threads)
