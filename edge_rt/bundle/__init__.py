"""The .edge file: reading, validating and writing it. FORMAT.md beside this file is normative."""

from edge_rt.bundle.model import Bundle, TestVector
from edge_rt.bundle.reader import read
from edge_rt.bundle.writer import to_bytes, write

__all__ = ["Bundle", "TestVector", "read", "to_bytes", "write"]
