"""edge-rt as the wheel installs it: the device side with a pack of kernels, without what compiles them."""

from __future__ import annotations

import compileall
import functools
import tempfile
from pathlib import Path

from edge_rt.codegen import build_image
from edge_rt.native.features import choose_target, cpu_features
from tests.boards.emulator import device_package


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory()
    target, _ = choose_target(cpu_features())
    device_package(Path(folder.name), {target.name: build_image(target)})
    compileall.compile_dir(folder.name, quiet=1)  # as pip does; compiling while importing takes 18 MiB
    return folder


def installed() -> Path:
    """The folder that holds it, for this CPU; made on first use, gone when the process ends."""
    return Path(_folder().name)
