"""edge-rt package: an app as one file."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from edge_rt.cli._common import print_json
from edge_rt.errors import ModelError
from edge_rt.targets import TARGETS


def add(commands: Any) -> None:
    command = commands.add_parser(
        "package",
        help="an app as one file",
        description="Makes one executable file of a script, its models and the runtime with its machine code. Copy it to a "
        "device that has Python >= 3.10, numpy and msgpack (Debian: python3-numpy, python3-msgpack) and run it. The script "
        "opens its model with edge_rt.load(edge_rt.resource('m.edge')).",
    )
    command.add_argument("files", nargs="+", metavar="FILE", help="one app.py; .edge bundles; any other resources")
    command.add_argument("-o", "--output", required=True, type=Path, metavar="APP.pyz", help="the file to write")
    which = command.add_mutually_exclusive_group()
    which.add_argument("--device", metavar="NAME", help="carry only the machine code of this board (edge-rt devices)")
    which.add_argument("--target", action="append", choices=list(TARGETS), help="carry only this machine code; repeatable")
    command.add_argument("--json", action="store_true", help="print JSON for a program to read")
    command.set_defaults(function=package)


def package(options: argparse.Namespace) -> int:
    files = [Path(f) for f in options.files]
    scripts = [f for f in files if f.suffix == ".py"]
    if len(scripts) != 1:
        raise ModelError(f"exactly one .py file must be given, the app's script; got {len(scripts)}")
    targets = [import_module("devices").load(options.device).target.name] if options.device else options.target
    models = [f for f in files if f.suffix == ".edge"]
    others = [f for f in files if f.suffix not in (".py", ".edge")]
    made = import_module("edge_rt.packaging").package(models, scripts[0], options.output, targets, others, _progress)
    if options.json:
        print_json({"path": str(made.path), "size": made.size, "targets": made.targets, "members": made.members})
        return 0
    parts = ", ".join(f"{kind} {size / 1024:.0f} KiB" for kind, size in made.members.items())
    print(f"{made.path}: {made.size / 1024:.0f} KiB for {', '.join(made.targets)} ({parts})")
    return 0


def _progress(symbol: str) -> None:
    print(f"compiling {symbol}", file=sys.stderr)
