"""Run by the converters' Python: to_tflite.py NAME WEIGHTS.npz OUTPUT.tflite"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from bench.convert.keras_writer import to_tflite
from bench.zoo import INT8, ZOO


def main(name: str, weights: str, output: str) -> None:
    with np.load(weights) as arrays:
        drawn = [arrays[f"arr_{i}"] for i in range(len(arrays.files))]
    Path(output).write_bytes(to_tflite(ZOO[name.removesuffix(INT8)], drawn, quantise=name.endswith(INT8)))


if __name__ == "__main__":
    main(*sys.argv[1:])
