"""Imports of a module as data, which the finder carries out: a statement takes three microseconds, and these are 400."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import NamedTuple


class Links(NamedTuple):
    """wholes: (module, name it gets). parts: (module, names of its, names they get)."""

    wholes: tuple[tuple[str, str], ...]
    parts: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]


def links_of(source: str, is_module: Callable[[str], bool]) -> Links:
    """Those of a module's source. is_module: whether what a package gives is one of its modules."""
    wholes: list[tuple[str, str]] = []
    parts = []
    for s in ast.parse(source).body:
        if isinstance(s, ast.Import) and is_link(s):
            wholes += [(a.name, a.asname or a.name) for a in s.names]
        elif isinstance(s, ast.ImportFrom) and is_link(s):
            inner = {a: f"{s.module}.{a.name}" for a in s.names}
            wholes += [(name, a.asname or a.name) for a, name in inner.items() if is_module(name)]
            others = [a for a, name in inner.items() if not is_module(name)]
            if others:
                parts.append((str(s.module), tuple(a.name for a in others), tuple(a.asname or a.name for a in others)))
    return Links(tuple(wholes), tuple(parts))


def is_link(statement: ast.stmt) -> bool:
    """Whether a statement is carried out by the finder. Classes of errors come later: see lean.py."""
    if isinstance(statement, ast.Import):
        return all(a.asname or "." not in a.name for a in statement.names)
    return isinstance(statement, ast.ImportFrom) and statement.module not in ("__future__", "edge_rt.errors")
