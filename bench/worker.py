"""Measures one model in a process of its own, which a runtime may end: worker.py REQUEST.json RESULT.json

Both files are JSON, see `bench.campaign`. Each line on standard output says which runtime is at it from now on.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from bench.models import find
from bench.results import plain
from bench.runner import measure
from bench.turns import Effort
from edge_rt.errors import EdgeError
from tests.corpus.fetch import Unavailable


def main(request: str, result: str) -> None:
    asked = json.loads(Path(request).read_text("utf-8"))
    try:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(
                find(asked["model"]), asked["peers"], asked["threads"], Path(folder), Effort(**asked["effort"]),
                lambda name: print(name, flush=True),
            )  # fmt: skip
    except (EdgeError, Unavailable, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    Path(result).write_text(json.dumps(plain(found)), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
