"""Objects of machine code in the cache, and compiling many of them with as many processes as there are cores."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from edge_rt.codegen.link import Object
from edge_rt.errors import CodegenError
from edge_rt.native.cache import PACKAGE
from edge_rt.native.cores import default_threads
from edge_rt.writing import write_atomic


def read_object(path: Path, name: str) -> bytes | None:
    """The cached object of this name; None if there is none, or a damaged or foreign one."""
    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        return None
    digest, data = stored[:32], stored[32:]
    if hashlib.sha256(data).digest() != digest:
        return None
    try:
        Object(name, data)
    except CodegenError:
        return None
    return data


def write_object(path: Path, data: bytes) -> None:
    """Puts an object into the cache, behind its SHA-256."""
    write_atomic(path, hashlib.sha256(data).digest() + data)


def claim(path: Path) -> bool:
    """Whether this process is the first to ask, of those that share the folder of claims."""
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def compile_together(most: int, arguments: Callable[[Path], Sequence[str]], work: Callable[[Path], None]) -> None:
    """Runs `work(claims)` here and in further processes: at most `most` in all, and one for each core.

    arguments: of `python -m edge_rt.codegen` in these, without `--claims`; it may put files into the folder it is given.
    Errors of other processes are left to whoever asks for the object that they did not make.
    """
    helpers = min(default_threads(), most) - 1 if sys.executable else 0
    if helpers < 1:
        return
    paths = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment, nothing = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, subprocess.DEVNULL
    with tempfile.TemporaryDirectory() as folder:
        claims = Path(folder)
        command = [sys.executable, "-m", "edge_rt.codegen", *arguments(claims), "--claims", folder]
        processes = [
            subprocess.Popen(command, env=environment, stdin=nothing, stdout=nothing, stderr=nothing) for _ in range(helpers)
        ]
        try:
            work(claims)
        finally:
            for process in processes:
                process.wait()
