"""Runs on the board: every signature of the bundles in a folder, alone and by a team of three.

Usage: run_bundles.py FOLDER. NAME.inputs.npz has SIGNATURE:INPUT; NAME.outputs.npz gets SIGNATURE:OUTPUT. Prints the
target in use, each signature as it begins, and a line for each that fails or whose bits depend on the team.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np

import edge_rt
from edge_rt import native

for absent in ("numba", "llvmlite", "onnx"):
    assert importlib.util.find_spec(absent) is None, f"{absent} is on this board"

print("target", native.library().target, flush=True)
for path in sorted(Path(sys.argv[1]).glob("*.edge")):
    alone, team = edge_rt.load(path, threads=1), edge_rt.load(path, threads=3)
    made = {}
    with np.load(path.with_suffix(".inputs.npz")) as stored:
        for name, signature in alone.signatures.items():
            print("run", path.stem, name, flush=True)
            inputs = {i.name: stored[f"{name}:{i.name}"] for i in signature.inputs}
            try:
                outputs, again = (model.run(inputs, signature=name) for model in (alone, team))
            except edge_rt.errors.EdgeError as error:
                print("failed", name, type(error).__name__, error, flush=True)
                continue
            for output, array in outputs.items():
                made[f"{name}:{output}"] = array
                if array.tobytes() != again[output].tobytes():
                    print("differs", name, output, flush=True)
    np.savez(path.with_suffix(".outputs.npz"), **made)
