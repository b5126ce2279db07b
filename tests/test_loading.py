"""Starting loads nothing that it does not need."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import edge_rt
from bench import loading
from edge_rt import joining
from edge_rt.codegen import build_image
from edge_rt.lowering.executor import HELP_TEAM, RUN_PROGRAM, STOP_TEAM
from edge_rt.native.features import choose_target, cpu_features
from tests.boards.emulator import device_package

SMALL = Path(__file__).parent / "data" / "small.edge"
SLOW = {
    "argparse", "asyncio", "dataclasses", "hashlib", "_hashlib", "importlib.metadata", "importlib.util", "inspect", "json",
    "logging", "multiprocessing", "pathlib", "socket", "ssl", "subprocess", "tempfile", "threading", "urllib.parse",
    "zipfile",
}  # fmt: skip
"""Of the standard library, what takes as long as several of our modules."""
LATER = {
    "bound", "bundle.writer", "cli", "interpreter", "memory", "native.cache", "native.compiled", "native.cores",
    "packaging", "printing", "profiler", "resources", "verification",
}  # fmt: skip
"""Of edge_rt, what no program needs that loads a model and runs it on a number of threads."""


def test_what_import_and_load_bring_in(tmp_path: Path) -> None:
    target, _ = choose_target(cpu_features())
    (tmp_path / "some.image").write_bytes(build_image(target, [RUN_PROGRAM, HELP_TEAM, STOP_TEAM]))
    script = f"""
import sys, numpy, msgpack
before = set(sys.modules)
import edge_rt
from edge_rt.bundle import read
from edge_rt.native import Library, team
read({str(SMALL)!r})
library = Library.open({str(tmp_path / "some.image")!r})
assert team(library, 2) is team(library, 2)
print(sorted(set(sys.modules) - before))
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    loaded = set(ast.literal_eval(out))
    assert not SLOW & loaded
    assert not {f"edge_rt.{name}" for name in LATER} & loaded


def test_a_start_from_a_stored_plan_needs_one_file_of_edge_rt(tmp_path: Path) -> None:
    target, _ = choose_target(cpu_features())
    package = device_package(tmp_path, {target.name: build_image(target)})
    script = f"""
import sys, numpy
before = set(sys.modules)
import edge_rt
model = edge_rt.load({str(SMALL)!r}, threads=int(sys.argv[1]))
x = {{i: numpy.zeros(shape, dtype) for i, shape, dtype in {inputs_of(SMALL)!r}}}
print({{name: y.tobytes() for name, y in model.run(x).items()}})
print(sorted(set(sys.modules) - before))
"""
    runs = []
    for threads in ("1", "1", "2"):
        environment = {**os.environ, "PYTHONPATH": str(package), "EDGE_RT_CACHE": str(tmp_path / "cache")}
        environment.pop("EDGE_RT_STORED_PLANS", None)
        command = [sys.executable, "-c", script, threads]
        done = subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True, check=True)
        outputs, loaded = done.stdout.splitlines()
        runs.append((outputs, set(ast.literal_eval(loaded))))
    (first, everything), *later = runs
    assert "edge_rt.bundle.reader" in everything
    for outputs, loaded in later:
        assert outputs == first
        ours = {"edge_rt", "edge_rt._start", *(f"edge_rt.{name}" for name in joining.START.split())}
        assert {name for name in loaded if name.startswith("edge_rt")} == ours
        assert len(loaded - ours) <= 2, "of the standard library: a hash, and what numpy 1 has not loaded"


def inputs_of(path: Path) -> list[tuple[str, tuple[int, ...], str]]:
    """Name, shape with some number for each symbol, and dtype."""
    return [
        (i.name, tuple(d if isinstance(d, int) else 3 for d in i.shape or ()), i.dtype.str)
        for i in edge_rt.load(path).inputs
    ]


def test_what_is_loaded_later_is_there(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").touch()
    (tmp_path / "app.py").write_text("import edge_rt; print(edge_rt.Memory(1, 2, 3), edge_rt.resource('labels.txt'))")
    environment = {**os.environ, "PYTHONPATH": str(Path(edge_rt.__file__).parent.parent)}
    command = [sys.executable, str(tmp_path / "app.py")]
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert out.split("\n")[0] == f"Memory(arena=1, weights=2, state=3) {tmp_path / 'labels.txt'}"
    with pytest.raises(AttributeError, match="module 'edge_rt' has no attribute 'Memoir'"):
        edge_rt.Memoir  # noqa: B018


def test_the_figures_of_bench() -> None:
    report = loading.report({name: [3.0, 1.0, 2.0] for name in loading.FIGURES})
    assert report.splitlines()[3] == "load 300 nodes, later                      1.0 ms  (median 2.0)"


@pytest.mark.parametrize("before", ["gc.enable()", "gc.disable()", "gc.freeze()"])
def test_importing_leaves_the_garbage_collector_as_it_was(before: str) -> None:
    script = f"""
import gc, numpy, msgpack
{before}
was = gc.isenabled(), gc.get_freeze_count() > 0
import edge_rt
assert was == (gc.isenabled(), gc.get_freeze_count() > 0)
"""
    subprocess.run([sys.executable, "-c", script], check=True)
