"""Which rooms may import which: the device side never needs numba, llvmlite or the exporter."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "edge_rt").rglob("*.py"))
DEVICE = [p for p in SOURCES if p.relative_to(ROOT / "edge_rt").parts[0] not in ("codegen", "kernels")]
STANDARD = {*sys.stdlib_module_names, "numpy", "msgpack", "edge_rt"}
PROFILES = [p for p in sorted((ROOT / "devices").rglob("*.py")) if "emulator" not in p.parts]


def imports(path: Path) -> Iterator[str]:
    """Names of the modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module


@pytest.mark.parametrize("path", DEVICE, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_device_side_imports_only_numpy_msgpack_and_the_standard_library(path: Path) -> None:
    allowed = STANDARD | {"devices"} if "cli" in path.parts else STANDARD
    for name in imports(path):
        assert name.partition(".")[0] in allowed, name
        assert not name.startswith(("edge_rt.codegen", "edge_rt.kernels")), name


@pytest.mark.parametrize("path", PROFILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_devices_import_only_edge_rt_and_the_standard_library(path: Path) -> None:
    for name in imports(path):
        assert name.partition(".")[0] in {*sys.stdlib_module_names, "edge_rt", "devices"}, name


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_edge_rt_never_imports_the_exporter(path: Path) -> None:
    assert not [n for n in imports(path) if n.partition(".")[0] == "exporter"]


def test_kernels_import_specs_and_op_tables_only() -> None:
    allowed = {"edge_rt.kernels", "edge_rt.lowering", "edge_rt.ops", "edge_rt.targets", "edge_rt.types"}
    for path in sorted((ROOT / "edge_rt" / "kernels").rglob("*.py")):
        for name in imports(path):
            if name.startswith("edge_rt"):
                assert any(name == a or name.startswith(a + ".") for a in allowed), f"{path.name}: {name}"


def test_lowering_knows_nothing_of_this_machine() -> None:
    """Plans are also made for boards of another architecture: what depends on it asks `BoundNode.arch`."""
    for path in sorted((ROOT / "edge_rt" / "lowering").rglob("*.py")):
        for name in imports(path):
            assert not name.startswith(("edge_rt.native", "os", "platform")), f"{path.name}: {name}"


def test_import_needs_no_numba_and_no_exporter() -> None:
    code = "import sys, edge_rt, edge_rt.cli; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert not set(ast.literal_eval(out)) & {"numba", "llvmlite", "exporter", "onnx"}


def test_import_is_quick(tmp_path: Path) -> None:
    """<= 15 ms above numpy and msgpack is the aim, on a quiet machine and with compiled modules.

    Measured as processor time, in units of importing a part of the standard library, since machines differ.
    """
    code = """
import time, numpy, msgpack
def cost(name):
    start = time.process_time(); __import__(name); return time.process_time() - start
unit = cost("asyncio"); print(cost("edge_rt") / unit)
"""
    environment = {**os.environ, "PYTHONPYCACHEPREFIX": str(tmp_path), "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-c", code]
    runs = [float(subprocess.run(command, capture_output=True, check=True, env=environment).stdout) for _ in range(6)]
    assert min(runs[1:]) < 1, runs
