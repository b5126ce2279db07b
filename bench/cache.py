"""Where made and converted models are kept: ~/.cache/edge-rt-bench, or what the environment variable EDGE_RT_BENCH names."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

SOURCES = ("zoo", "convert")
"""Folders whose contents decide what is in a cached file."""


def cache_folder() -> Path:
    return Path(os.environ.get("EDGE_RT_BENCH") or Path.home() / ".cache" / "edge-rt-bench")


def models_folder() -> Path:
    """The folder of the models that the present sources make; it exists. Other sources use another one."""
    here = Path(__file__).parent
    files = sorted(path for folder in SOURCES for path in (here / folder).glob("*.py"))
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    folder = cache_folder() / f"models-{digest[:12]}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
