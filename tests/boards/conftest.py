"""The wheel as devices have it, installed once for all tests on boards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_rt.native.cache import source_fingerprint
from edge_rt.native.image import read_header
from tests.boards import emulator


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the wheel of dist/ is installed."""
    wheels = sorted((emulator.ROOT / "dist").glob("*.whl"))
    assert len(wheels) == 1, f"dist/ must hold one wheel, it has {[w.name for w in wheels]}: run `make wheel`"
    folder = tmp_path_factory.mktemp("device")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*command, "--target", str(folder), str(wheels[0])], check=True)
    for target in emulator.TARGET_OF.values():
        pack = folder / "edge_rt" / "packs" / f"{target}.image"
        sources = read_header(pack.read_bytes(), str(pack)).sources
        assert sources == source_fingerprint(), f"{wheels[0]}: was built from other kernels: run `make wheel`"
    return folder


@pytest.fixture(scope="session", params=sorted(emulator.TARGET_OF))
def board(request: pytest.FixtureRequest) -> str:
    return str(request.param)
