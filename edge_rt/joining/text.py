"""The text of a function, with one space for each level: four would be 2.5 KB of the wheel."""

from __future__ import annotations

import ast
import io
import tokenize

UNPARSED = 4
"""Spaces of a level, as ast.unparse writes them."""


def text_of(function: ast.FunctionDef) -> str:
    """Python source of the function. Lines within strings stay as they are."""
    text = ast.unparse(function)
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    inside = {row for token in tokens for row in range(token.start[0] + 1, token.end[0] + 1)}
    return "\n".join(line if row in inside else _narrow(line) for row, line in enumerate(text.split("\n"), 1))


def _narrow(line: str) -> str:
    bare = line.lstrip(" ")
    return " " * ((len(line) - len(bare)) // UNPARSED) + bare
