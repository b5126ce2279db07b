"""An emulated Raspberry Pi 4 and 5: made once, then they run Python programs on a package for devices.

The machines' files are in ~/.cache/edge-rt-boards, or where the environment variable EDGE_RT_BOARDS says.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from edge_rt import joining
from edge_rt.native.cache import locked

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = ROOT / "devices" / "emulator"
TARGET_OF = {"pi4": "armv8-a", "pi5": "armv8.2-a-dotprod"}
SUITE_OF = {"pi4": "bookworm", "pi5": "trixie"}
"""The Debian on each board, unless `run` is told another: Python 3.11 and 3.13."""
COMMAND = "import sys; from edge_rt.cli import main; sys.exit(main())"
"""What the console script `edge-rt` does, for `run(board, package, "-c", COMMAND, ...)`."""


def machine(suite: str) -> Path:
    """The folder of the emulated machine; made on first use, and again when it was made by other scripts (needs root for
    apt-get).
    """
    folder = Path(os.environ.get("EDGE_RT_BOARDS") or Path.home() / ".cache" / "edge-rt-boards") / suite
    with locked(folder.with_suffix(".lock")):
        stamp, made_by = folder / "opt" / "setup.sha256", sha256((SCRIPTS / "setup.sh").read_bytes()).hexdigest()
        if not stamp.exists() or stamp.read_text() != made_by:
            environment = {**os.environ, "SUITE": suite, "PYTHON": sys.executable}
            subprocess.run(["bash", str(SCRIPTS / "setup.sh"), str(folder)], check=True, env=environment)
            stamp.write_text(made_by)
    return folder


def device_package(folder: Path, images: Mapping[str, bytes]) -> Path:
    """What a device gets: edge_rt as the wheel has it, with a pack for each target, but without what compiles them."""
    compilers = shutil.ignore_patterns("kernels", "codegen", "__pycache__", "packs")
    shutil.copytree(ROOT / "edge_rt", folder / "edge_rt", ignore=compilers)
    joining.write(ROOT / "edge_rt", folder / "edge_rt")
    packs = folder / "edge_rt" / "packs"
    packs.mkdir()
    for target, image in images.items():
        (packs / f"{target}.image").write_bytes(image)
    return folder


def run(
    board: str, package: Path, *arguments: str, suite: str = "", debian: bool = False, timeout: float = 900,
    **environment: str,
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """Runs the board's Python with `arguments`, in the folder `package`, which is on its path.

    debian: with the numpy and msgpack of the distribution rather than the newest ones.
    """
    options = ["--debian"] if debian else []
    command = ["bash", str(SCRIPTS / "run.sh"), str(machine(suite or SUITE_OF[board])), board, *options, *arguments]
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("EDGE_RT_", "OPENBLAS_", "PYTHON"))}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL,
        cwd=package, env={**inherited, "PYTHONPATH": str(package), **environment},
    )  # fmt: skip
