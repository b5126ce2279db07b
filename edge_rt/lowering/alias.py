"""Operators that only give a tensor another shape."""

from __future__ import annotations

from edge_rt.lowering._spec import Alias, BoundNode, Lowered, lowers


@lowers("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze")
def alias(node: BoundNode) -> Lowered:
    return Alias(0)
