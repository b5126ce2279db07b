"""ONNX Runtime as the oracle of ONNX models."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from exporter.importers import Oracle, OracleError

Array = np.ndarray[Any, Any]


class OnnxRuntime:
    """A model in onnxruntime, on one thread."""

    def __init__(self, source: Any) -> None:
        import onnxruntime

        self.name = f"onnxruntime {onnxruntime.__version__}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        model: Any = source
        if isinstance(source, os.PathLike):
            model = os.fspath(source)
        elif hasattr(source, "SerializeToString"):
            model = source.SerializeToString()
        elif not isinstance(source, str):
            model = bytes(source)
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # noqa: BLE001  onnxruntime's errors derive from Exception only
            raise OracleError(f"{self.name} does not load the model: {error}") from None

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name; maps from labels to probabilities as an array of the probabilities."""
        try:
            results = self._session.run(None, dict(inputs))
        except Exception as error:  # noqa: BLE001  onnxruntime's errors derive from Exception only
            raise OracleError(f"{self.name} does not run the model: {error}") from None
        return {o.name: _as_array(r) for o, r in zip(self._session.get_outputs(), results)}


def _as_array(result: Any) -> Array:
    if isinstance(result, list) and all(isinstance(row, dict) for row in result):
        return np.array([list(row.values()) for row in result], np.float32)
    return np.asarray(result)


def open_oracle(source: Any) -> Oracle | None:
    """The model in onnxruntime; None where it is not installed. Raises OracleError if onnxruntime refuses the model."""
    try:
        return OnnxRuntime(source)
    except ModuleNotFoundError:
        return None
