"""LiteRT (TensorFlow Lite) with XNNPACK, its default on CPUs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from bench.peers import PeerError

Array = np.ndarray[Any, Any]
FORMAT = "tflite"


def version() -> str:
    return installed_version("ai-edge-litert")


class Engine:
    """An Interpreter. Inputs go to the model's inputs by name, or a single one to the only input."""

    def __init__(self, path: Path, threads: int) -> None:
        try:
            self._interpreter = Interpreter(str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise PeerError(str(error).strip()) from None
        self._inputs = {_plain(d["name"]): (d["index"], tuple(d["shape"])) for d in self._interpreter.get_input_details()}
        self._outputs = [d["index"] for d in self._interpreter.get_output_details()]

    def prepare(self, inputs: Mapping[str, Array]) -> list[tuple[int, Array]]:
        """Images that are channels first in the source model go channels last, as the file has them."""
        if len(inputs) == 1:
            [((index, shape), array)] = zip(self._inputs.values(), inputs.values(), strict=True)
            return [(index, _in_shape(array, shape))]
        return [(index, _in_shape(inputs[name], shape)) for name, (index, shape) in self._inputs.items()]

    def run(self, inputs: list[tuple[int, Array]]) -> list[Array]:
        interpreter = self._interpreter
        for index, array in inputs:
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in self._outputs]

    def outputs(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        arrays = self.run(self.prepare(inputs))
        return {_plain(d["name"]): a for d, a in zip(self._interpreter.get_output_details(), arrays)}


def _plain(name: str) -> str:
    return name.removeprefix("serving_default_").partition(":")[0]


def _in_shape(array: Array, shape: tuple[int, ...]) -> Array:
    if array.shape == shape:
        return array
    last = np.ascontiguousarray(np.moveaxis(array, 1, -1))
    if last.shape != shape:
        raise ValueError(f"the model takes an input of shape {shape}, got {array.shape}")
    return last


def open_model(path: Path, threads: int) -> Engine:
    return Engine(path, threads)
