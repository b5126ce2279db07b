"""Code images need no C library: under musl, which Alpine has, they map, run, and their threads sleep and wake."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge_rt.codegen import build_image
from edge_rt.lowering.executor import HELP_TEAM, MEMBERS, RUN_PROGRAM, STOP_TEAM
from edge_rt.native.features import choose_target, cpu_features
from edge_rt.native.image import read_header
from tests.boards.emulator import ROOT

pytestmark = pytest.mark.boards
SPECS = (RUN_PROGRAM, HELP_TEAM, STOP_TEAM)


@pytest.fixture(scope="module")
def compiler() -> str:
    """musl's compiler; installed on first use (needs root for apt-get)."""
    if shutil.which("musl-gcc") is None:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", "musl-tools"], check=True)
    return "musl-gcc"


def test_a_team_runs_under_musl(compiler: str, tmp_path: Path) -> None:
    program, path = tmp_path / "musl", tmp_path / "some.image"
    subprocess.run([compiler, "-O1", "-o", str(program), str(Path(__file__).with_name("musl.c"))], check=True)
    path.write_bytes(build_image(choose_target(cpu_features())[0], SPECS))
    header = read_header(path.read_bytes(), "image")
    places = [header.code_offset, header.code_size, *(header.symbols[spec.symbol] for spec in SPECS), MEMBERS]
    done = subprocess.run([str(program), str(path), *map(str, places)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "done\n")


def test_the_loader_asks_the_c_library_for_what_musl_has(compiler: str) -> None:
    asked = set()
    for path in (ROOT / "edge_rt").rglob("*.py"):
        asked |= set(re.findall(r"(?:CDLL\(None[^)]*\)|_libc)\.(\w+)", path.read_text()))
    assert asked == {"mmap", "munmap", "getauxval"}
    (library,) = Path("/lib").glob("ld-musl-*.so.1")
    symbols = subprocess.run(["nm", "-D", "--defined-only", str(library)], capture_output=True, text=True, check=True)
    assert asked <= {line.split()[-1] for line in symbols.stdout.splitlines()}
