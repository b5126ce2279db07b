"""On the emulated board: board.py RUNTIME MODEL INPUTS.npz RUNS

Runs a model RUNS times after a first time; the parent process reads how many instructions that took."""

from __future__ import annotations

import sys

import numpy as np


def main(runtime: str, path: str, inputs: str, runs: str) -> None:
    with np.load(inputs) as file:
        arrays = {key.partition(":")[2]: file[key] for key in file.files}
    if runtime == "edge-rt":
        import edge_rt

        bound = edge_rt.load(path, threads=1).bind(shapes={key: a.shape for key, a in arrays.items()})
        for key, a in arrays.items():
            bound.inputs[key][...] = a
        run = bound.run
    else:
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(path, num_threads=1)
        interpreter.allocate_tensors()
        for given, a in zip(interpreter.get_input_details(), arrays.values()):
            interpreter.set_tensor(given["index"], a if a.shape == tuple(given["shape"]) else np.moveaxis(a, 1, -1).copy())
        run = interpreter.invoke
    for _ in range(1 + int(runs)):
        run()


main(*sys.argv[1:])
