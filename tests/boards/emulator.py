"""An emulated Raspberry Pi 4 and 5: made once, then they run Python programs on a package for devices.

The machines' files are in ~/.cache/edge-rt-boards, or where the environment variable EDGE_RT_BOARDS says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from edge_rt.native.cache import locked

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = ROOT / "devices" / "emulator"
TARGET_OF = {"pi4": "armv8-a", "pi5": "armv8.2-a-dotprod"}
COMMAND = "import sys; from edge_rt.cli import main; sys.exit(main())"
"""What the console script `edge-rt` does, for `run(board, package, "-c", COMMAND, ...)`."""


def machine(suite: str = "bookworm") -> Path:
    """The folder of the emulated machine; made on first use (needs root for apt-get)."""
    folder = Path(os.environ.get("EDGE_RT_BOARDS") or Path.home() / ".cache" / "edge-rt-boards") / suite
    with locked(folder.with_suffix(".lock")):
        if not (folder / "opt" / "libinsn.so").exists():
            environment = {**os.environ, "SUITE": suite, "PYTHON": sys.executable}
            subprocess.run(["bash", str(SCRIPTS / "setup.sh"), str(folder)], check=True, env=environment)
    return folder


def device_package(folder: Path, images: Mapping[str, bytes]) -> Path:
    """What a device gets: edge_rt with a pack for each target, but without what compiles them."""
    compilers = shutil.ignore_patterns("kernels", "codegen", "__pycache__", "packs")
    shutil.copytree(ROOT / "edge_rt", folder / "edge_rt", ignore=compilers)
    packs = folder / "edge_rt" / "packs"
    packs.mkdir()
    for target, image in images.items():
        (packs / f"{target}.image").write_bytes(image)
    return folder


def run(
    board: str, package: Path, *arguments: str, timeout: float = 900, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs the board's Python with `arguments`, in the folder `package`, which is on its path."""
    command = ["bash", str(SCRIPTS / "run.sh"), str(machine()), board, *arguments]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("EDGE_RT_", "OPENBLAS_", "PYTHON"))}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL,
        cwd=package, env={**inherited, "PYTHONPATH": str(package), **environment},
    )  # fmt: skip
