"""Runs on the board: every bundle of a folder on the inputs beside it; writes what came out.

Usage: run_cases.py FOLDER. For each NAME.edge reads NAME.inputs.npz (in0, in1, ... by order) and writes NAME.outputs.npz. Prints the
target in use, and one line per case that failed.
"""

import sys
from pathlib import Path

import numpy as np

import edge_rt
from edge_rt import native

folder = Path(sys.argv[1])
print("target", native.library().target, flush=True)
for path in sorted(folder.glob("*.edge")):
    with np.load(path.with_suffix(".inputs.npz")) as stored:
        arrays = {name: stored[name] for name in stored.files}
    try:
        outputs = edge_rt.load(path, threads=1).run(arrays)
    except edge_rt.errors.EdgeError as error:
        print("failed", path.stem, type(error).__name__, error, flush=True)
        continue
    np.savez(path.with_suffix(".outputs.npz"), **outputs)
