"""ONNX Runtime as the oracle of ONNX models."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from exporter.importers import Oracle, OracleError

Array = np.ndarray[Any, Any]

EXACT_SUMS = "session.x64quantprecision"
"""An option of sessions. Without it products of uint8 and int8 saturate at 16 bits on x86-64 CPUs that have no VNNI. With it
int8 weights become uint8 there; onnxruntime refuses that beside int8 activations, whose products do not saturate."""


class OnnxRuntime:
    """A model in onnxruntime, on one thread, with exact sums of 8-bit products."""

    def __init__(self, source: Any) -> None:
        import onnxruntime

        self.name = f"onnxruntime {onnxruntime.__version__}"
        model: Any = source
        if isinstance(source, os.PathLike):
            model = os.fspath(source)
        elif hasattr(source, "SerializeToString"):
            model = source.SerializeToString()
        elif not isinstance(source, str):
            model = bytes(source)

        def session(**entries: str) -> Any:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = options.inter_op_num_threads = 1
            options.log_severity_level = 4
            for key, value in entries.items():
                options.add_session_config_entry(key, value)
            return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

        try:
            try:
                self._session = session(**{EXACT_SUMS: "1"})
            except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
                self._session = session()
                self.name += ", whose products of uint8 and int8 may saturate here"
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
