"""edge-rt inspect: what a bundle holds, and how it would run here."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from edge_rt.bundle.inspect import summarize
from edge_rt.cli._common import model_options, open_model, print_json, read_sizes


def add(commands: Any) -> None:
    command = commands.add_parser(
        "inspect",
        help="show what a bundle holds",
        description="Shows signatures, operators, sizes and metadata; with --plan the steps for this machine, with --graph "
        "the graph, with --tensors every tensor.",
    )
    model_options(command)
    command.add_argument("--graph", action="store_true", help="print the graph")
    command.add_argument("--tensors", action="store_true", help="list all tensors")
    command.add_argument(
        "--plan", nargs="*", metavar="NAME=1,3,224,224", help="print the steps, for these sizes of symbolic inputs"
    )
    command.set_defaults(function=inspect)


def inspect(options: argparse.Namespace) -> int:
    summary = summarize(options.model)
    if options.json:
        print_json(summary)
        return 0
    print(f"{options.model}: {summary['bytes']} bytes, format {summary['format']}, {summary['parameters']} parameters")
    for name, signature in summary["signatures"].items():
        print(f"signature '{name}'")
        for kind in ("inputs", "outputs"):
            for tensor, type_ in signature[kind].items():
                print(f"  {kind[:-1]:6}  {tensor}: {type_}")
        if signature["state"]:
            print(f"  state   {', '.join(signature['state'])}")
        print(f"  {_counts(signature['ops'])}")
    for name, value in summary["metadata"].items():
        print(f"metadata '{name}': {value}")
    for name, nbytes in summary["assets"].items():
        print(f"asset '{name}': {nbytes} bytes")
    print(f"{summary['test_vectors']} test vectors{', source section' if summary['source'] else ''}")
    if options.tensors:
        for t in summary["tensors"]:
            print(f"  {t['use']:11} {t['dtype']}{list(t['shape'])} {t['nbytes']} bytes {t['encoding']} {t['name']}")
    if options.graph or options.plan is not None:
        _print_model(options)
    return 0


def _print_model(options: argparse.Namespace) -> None:
    model = open_model(options)
    entry = model.entry(options.signature)
    if options.graph:
        print(entry.graph)
    if options.plan is not None:
        print(model.plan(read_sizes(entry, options.plan), entry.name))


def _counts(ops: Mapping[str, int]) -> str:
    """Operators with their counts, the most frequent first."""
    ordered = sorted(ops.items(), key=lambda item: (-item[1], item[0]))
    return f"{sum(ops.values())} operators: " + ", ".join(f"{op} x{n}" for op, n in ordered)
