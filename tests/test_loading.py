"""Starting loads nothing that it does not need."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from bench import loading
from edge_rt.codegen import build_image
from edge_rt.lowering.executor import RUN_PROGRAM
from edge_rt.native.features import choose_target, cpu_features

SMALL = Path(__file__).parent / "data" / "small.edge"
SLOW = {
    "argparse", "asyncio", "dataclasses", "hashlib", "_hashlib", "importlib.metadata", "inspect", "json", "logging",
    "multiprocessing", "socket", "ssl", "subprocess", "tempfile", "zipfile",
}  # fmt: skip
"""Of the standard library, what takes as long as several of our modules."""


def test_what_import_and_load_bring_in(tmp_path: Path) -> None:
    target, _ = choose_target(cpu_features())
    (tmp_path / "some.image").write_bytes(build_image(target, [RUN_PROGRAM]))
    script = f"""
import sys, numpy, msgpack
before = set(sys.modules)
import edge_rt
from edge_rt.bundle import read
from edge_rt.native import Library
from pathlib import Path
read({str(SMALL)!r})
Library.open(Path({str(tmp_path / "some.image")!r}))
print(sorted(set(sys.modules) - before))
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert not SLOW & set(ast.literal_eval(out))


def test_the_figures_of_bench() -> None:
    report = loading.report({name: [3.0, 1.0, 2.0] for name in loading.FIGURES})
    assert report.splitlines()[2] == "load 300 nodes, later                      1.0 ms  (median 2.0)"
