"""An emulated Raspberry Pi: made once, then runs Python programs with edge-rt and its packs on the path."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from edge_rt.codegen import build_image
from edge_rt.targets import TARGETS

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = ROOT / "devices" / "emulator"
TARGET_OF = {"pi4": "armv8-a", "pi5": "armv8.2-a-dotprod"}
CACHE = Path(os.environ.get("EDGE_RT_BOARDS") or Path.home() / ".cache" / "edge-rt-boards")


def machine(suite: str = "bookworm") -> Path:
    """The folder of the emulated machine; made on first use (needs root for apt-get)."""
    folder = CACHE / suite
    if not (folder / "opt" / "libinsn.so").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["bash", str(SCRIPTS / "setup.sh"), str(folder)], check=True, env={**os.environ, "SUITE": suite})
    return folder


def device_package(folder: Path) -> Path:
    """What a device gets: edge_rt without its compiler's sources, with a pack for each Arm target."""
    shutil.copytree(
        ROOT / "edge_rt", folder / "edge_rt", ignore=shutil.ignore_patterns("kernels", "codegen", "__pycache__", "packs")
    )
    packs = folder / "edge_rt" / "packs"
    packs.mkdir()
    for name in TARGET_OF.values():
        (packs / f"{name}.image").write_bytes(build_image(TARGETS[name]))
    return folder


def run(
    board: str, package: Path, *arguments: str, suite: str = "bookworm", timeout: float = 900, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs the board's Python with `arguments`; PYTHONPATH is `package`."""
    command = ["bash", str(SCRIPTS / "run.sh"), str(machine(suite)), board, *arguments]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("EDGE_RT_", "OPENBLAS_", "PYTHON"))}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL,
        env={**inherited, "PYTHONPATH": str(package), **environment},
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:]).returncode)
