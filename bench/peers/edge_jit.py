"""edge-rt itself, with kernels compiled for the very model."""

from __future__ import annotations

from pathlib import Path

import edge_rt
from bench.peers.edge import FORMAT, Engine, version

__all__ = ["FORMAT", "open_model", "version"]


def open_model(path: Path, threads: int) -> Engine:
    return Engine(edge_rt.load(path, threads=threads, jit=True))
