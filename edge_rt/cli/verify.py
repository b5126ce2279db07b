"""edge-rt verify: checksums and test vectors."""

from __future__ import annotations

import argparse
from typing import Any

from edge_rt.cli._common import model_options, print_json
from edge_rt.model import load
from edge_rt.verification import TOLERANCE, replay


def add(commands: Any) -> None:
    command = commands.add_parser(
        "verify",
        help="check a bundle on this machine",
        description=f"Checks every checksum of a bundle, replays the test vectors that the exporter stored, and compares: "
        f"floats to {TOLERANCE:g} of the output's largest magnitude, the rest exactly. Exit status 1 if they differ.",
    )
    model_options(command)
    command.set_defaults(function=verify)


def verify(options: argparse.Namespace) -> int:
    model = load(options.model, threads=options.threads, backend=options.backend, verify="all")
    differences = replay(model, options.signature)
    ok = all(d.ok for d in differences)
    if options.json:
        print_json({"ok": ok, "checksums": "ok", "outputs": [d._asdict() for d in differences]})
        return 0 if ok else 1
    print("checksums: ok")
    for d in differences:
        verdict = "ok" if d.ok else "DIFFERS"
        size = f"largest difference {d.largest:.3g} ({d.relative:.3g} relative)"
        print(f"{d.signature} #{d.vector} {d.output}: {size}, {verdict}")
    if not differences:
        print("no test vectors are stored in this bundle")
    return 0 if ok else 1
