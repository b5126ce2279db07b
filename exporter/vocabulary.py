"""How many numbers an integer input may be, by what becomes of it."""

from __future__ import annotations

from edge_rt.graph import Node, Value

BITS = 2
"""0 and 1, which any vocabulary and any mask accepts."""
MOVING = frozenset({"Cast", "Expand", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})
LOOKING = frozenset({"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Shape", "Size"})


def vocabulary(value: Value) -> int:
    """Numbers below this one, from 0 on, may be in `value`: the shortest axis that they index or depth that they are
    spread to, else what a list of numbers that they are compared with goes up to; BITS where anything else becomes of
    them, or nothing tells."""
    indexed: list[int] = []
    compared: list[int] = []
    moved = [value]
    for seen in moved:
        for node, position in seen.uses:
            if node.op.name in MOVING and position == 0:
                moved.append(node.output)
            elif (node.op.name, position) in (("Gather", 1), ("OneHot", 0)):
                indexed.append(_choices(node))
            elif node.op.name not in LOOKING:
                return BITS
            elif node.op.name == "Equal":
                compared.append(_largest(node.inputs[1 - position]) + 1)
    return max(BITS, min(indexed) if indexed else max(compared, default=BITS))


def _choices(node: Node) -> int:
    """How many numbers the indices of a Gather or OneHot may be; BITS if that is not known."""
    if node.op.name == "OneHot":
        return _largest(node.inputs[1], least=1)
    data = node.inputs[0]
    shape = None if data is None else data.type.shape
    size = None if shape is None else shape[node.attrs.axis]
    return size if isinstance(size, int) else BITS


def _largest(value: Value | None, least: int = 2) -> int:
    """The largest number in a constant of at least so many, else 0."""
    data = None if value is None else value.known if value.data is None else value.data
    return int(data.max()) if data is not None and data.dtype.kind in "iu" and data.size >= least else 0
