"""The .edge file: reading, validating and writing it. FORMAT.md beside this file is normative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_rt.bundle.model import Bundle, TestVector
from edge_rt.bundle.reader import read

if TYPE_CHECKING:
    from edge_rt.bundle.writer import to_bytes, write

__all__ = ["Bundle", "TestVector", "read", "to_bytes", "write"]


def __getattr__(name: str) -> Any:
    """Loads the writer when it is first asked for: devices only read."""
    if name in ("to_bytes", "write"):
        from edge_rt.bundle import writer

        return getattr(writer, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
