"""edge-rt run: one inference."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import numpy as np

from edge_rt.cli._common import input_options, make_inputs, model_options, open_model, print_json, summary
from edge_rt.writing import write_atomic


def add(commands: Any) -> None:
    command = commands.add_parser("run", help="run a model once", description="Runs a model once.")
    model_options(command)
    input_options(command)
    command.add_argument("--output", metavar="FOLDER", help="write each output to FOLDER/NAME.npy")
    command.set_defaults(function=run)


def run(options: argparse.Namespace) -> int:
    model = open_model(options)
    entry, inputs = make_inputs(model, options)
    outputs = model.run(inputs, signature=entry.name)
    if options.output:
        folder = Path(options.output)
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in outputs.items():
            content = io.BytesIO()
            np.save(content, array)
            write_atomic(folder / (name.replace("/", "_") + ".npy"), content.getvalue())
    if options.json:
        print_json({name: {"dtype": a.dtype, "shape": a.shape, "data": a} for name, a in outputs.items()})
        return 0
    for name, array in outputs.items():
        print(f"{name}: {summary(array)}")
    return 0
