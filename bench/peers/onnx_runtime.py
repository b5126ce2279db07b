"""ONNX Runtime, with its default optimisations, in order, on the CPU."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

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
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.run = functools.partial(self._session.run, None)

    def prepare(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return inputs

    def outputs(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {o.name: _as_array(r) for o, r in zip(self._session.get_outputs(), self.run(inputs))}


def _as_array(result: Any) -> Array:
    """Classifiers give a list of maps from label to probability; the exporter makes an array of the probabilities."""
    if isinstance(result, list) and all(isinstance(row, dict) for row in result):
        return np.array([list(row.values()) for row in result], np.float32)
    return np.asarray(result)


def open_model(path: Path, threads: int) -> Engine:
    return Engine(path, threads)
