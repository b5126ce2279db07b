"""Imports of a module as data, which the finder carries out: a statement takes three microseconds, and these are 400.
What nothing but annotations uses is left out."""

from __future__ import annotations

import ast
from collections.abc import Callable, Container, Iterator, Sequence
from typing import NamedTuple


class Links(NamedTuple):
    """wholes: (module, name it gets). parts: (module, names of its, names they get)."""

    wholes: tuple[tuple[str, str], ...]
    parts: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]


def links_of(body: Sequence[ast.stmt], used: Container[str] | None, is_module: Callable[[str], bool]) -> Links:
    """Those of a module. used: names that its code uses; None: all. is_module: whether what a package gives is one of its
    modules."""
    wholes: list[tuple[str, str]] = []
    parts = []
    for s in filter(is_link, body):
        names = s.names  # type: ignore[attr-defined]
        aliases = [a for a in names if used is None or is_given(a) or (a.asname or a.name) in used]
        module = getattr(s, "module", None)
        inner = {a: a.name if module is None else f"{module}.{a.name}" for a in aliases}
        own = [a for a, name in inner.items() if module is not None and not is_module(name)]
        wholes += [(name, a.asname or a.name) for a, name in inner.items() if a not in own]
        if own:
            parts.append((str(module), tuple(a.name for a in own), tuple(a.asname or a.name for a in own)))
    return Links(tuple(wholes), tuple(parts))


def names_in(body: Sequence[ast.stmt]) -> Iterator[str]:
    """Those that these statements read."""
    for s in body:
        for node in ast.walk(s):
            if isinstance(node, ast.Name):
                yield node.id


def is_given(alias: ast.alias) -> bool:
    """Whether an import is meant for other modules, as type checkers understand it: `from x import y as y`."""
    return alias.asname == alias.name


def is_link(statement: ast.stmt) -> bool:
    """Whether a statement is carried out by the finder. Classes of errors come later: see lean.py."""
    if isinstance(statement, ast.Import):
        return all(a.asname or "." not in a.name for a in statement.names)
    return isinstance(statement, ast.ImportFrom) and statement.module not in ("__future__", "edge_rt.errors")
