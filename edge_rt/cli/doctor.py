"""edge-rt doctor: what this machine can do, and which code it will run."""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import sys
from importlib.metadata import version
from typing import Any

from edge_rt import __version__, native
from edge_rt.cli._common import print_json
from edge_rt.errors import TargetError
from edge_rt.native.cores import default_threads, usable_cores
from edge_rt.native.cpu import cpu_architecture
from edge_rt.native.features import choose_target, cpu_features, lacking
from edge_rt.native.package import cache_path
from edge_rt.stored import build_of_this, plans_folder
from edge_rt.targets import TARGETS


def add(commands: Any) -> None:
    command = commands.add_parser(
        "doctor",
        help="examine this machine",
        description="Prints CPU, features, chosen target and why, threads and cache. Exit status 1 if models cannot run.",
    )
    command.add_argument("--json", action="store_true", help="print JSON for a program to read")
    command.set_defaults(function=doctor)


def doctor(options: argparse.Namespace) -> int:
    try:
        features, problem = cpu_features(), None
    except TargetError as error:
        features, problem = frozenset[str](), str(error)
    known = frozenset().union(*(t.requires for t in TARGETS.values()))
    report: dict[str, Any] = {
        "edge_rt": __version__,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "msgpack": version("msgpack"),
        "numba": version("numba") if importlib.util.find_spec("numba") else None,
        "system": f"{platform.system()} {platform.release()}",
        "architecture": cpu_architecture(),
        "features": sorted(features & known),
        "cpus": os.cpu_count(),
        "threads": default_threads(),
        "cores": str(usable_cores()),
        "cache": cache_path() or "none: this user has no home",
        "stored_plans": _stored_plans(),
        "page_size": os.sysconf("SC_PAGE_SIZE"),
        "targets": {t.name: lacking(t, features) or "usable" for t in TARGETS.values()},
    }
    if problem is None:
        try:
            target, why = choose_target(features)
            report.update(target=target.name, why=why)
            library = native.library()
            report.update(code=library.origin)
            library.check()
        except TargetError as error:
            problem = str(error)
    report["problem"] = problem
    if options.json:
        print_json(report)
    else:
        _print(report)
    if problem:
        print(f"models cannot run here: {problem}", file=sys.stderr)
    return 1 if problem else 0


def _stored_plans() -> str:
    folder = plans_folder()
    if folder is None:
        return "none: forbidden, or without a cache"
    if not build_of_this():
        return "none: only an installed edge-rt has them"
    try:
        return f"{len(os.listdir(folder))} in {folder}"
    except FileNotFoundError:
        return f"none yet in {folder}"
    except OSError as error:
        return f"none: {error}"


def _print(report: dict[str, Any]) -> None:
    width = max(map(len, report))
    for name, value in report.items():
        if isinstance(value, dict):
            shown = [f"{key}: {text}" for key, text in value.items()]
        else:
            shown = [" ".join(value) if isinstance(value, list) else str(value)]
        print(f"{name.ljust(width)}  {shown[0]}")
        for line in shown[1:]:
            print(f"{' ' * width}  {line}")
