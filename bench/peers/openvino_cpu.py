"""OpenVINO's CPU plugin, set for the latency of single calls in float32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from bench.peers import PeerError

Array = np.ndarray[Any, Any]
FORMAT = "onnx"


def version() -> str:
    return str(openvino.__version__).partition("-")[0]


class Engine:
    """A compiled model and one request. Inputs are shared; outputs are fresh arrays."""

    def __init__(self, path: Path, threads: int) -> None:
        core = openvino.Core()
        settings = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads}
        try:
            compiled = core.compile_model(str(path), "CPU", {**settings, "INFERENCE_PRECISION_HINT": "f32"})
        except RuntimeError as error:
            raise PeerError(str(error).strip().splitlines()[-1]) from None
        self._names = [output.any_name for output in compiled.outputs]
        self._request = compiled.create_infer_request()

    def prepare(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        return inputs

    def run(self, inputs: Mapping[str, Array]) -> Any:
        return self._request.infer(inputs, share_inputs=True)

    def outputs(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        results = self.run(inputs)
        return {name: np.asarray(results[i]) for i, name in enumerate(self._names)}


def open_model(path: Path, threads: int) -> Engine:
    return Engine(path, threads)
