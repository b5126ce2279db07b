"""edge-rt profile: time per step."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edge_rt.cli._common import at_least, input_options, make_inputs, model_options, open_model, print_json
from edge_rt.profiler import profile


def add(commands: Any) -> None:
    command = commands.add_parser(
        "profile", help="time per step", description="Times each step of a model; a table, JSON or a Chrome trace."
    )
    model_options(command)
    input_options(command)
    command.add_argument("--runs", type=at_least(1), default=20, help="timed runs (default: 20)")
    command.add_argument("--trace", metavar="FILE.json", help="write a trace for chrome://tracing or Perfetto")
    command.set_defaults(function=run)


def run(options: argparse.Namespace) -> int:
    model = open_model(options)
    entry, inputs = make_inputs(model, options)
    result = profile(model, inputs, signature=entry.name, runs=options.runs)
    if options.trace:
        Path(options.trace).write_text(result.chrome_trace())
    if options.json:
        print_json(result.to_dict())
    else:
        print(result)
    return 0
