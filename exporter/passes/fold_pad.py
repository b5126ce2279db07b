"""Lets a convolution or pool pad for itself."""

from __future__ import annotations

import math
from typing import Any

from edge_rt.graph import Graph, Node
from exporter.passes._match import input_at, integers, live, prune, scalar, sole_user


def fold_pad(graph: Graph) -> int:
    """Moves the amounts of a Pad into the `pads` of the only node that reads it.

    1. Conv after a Pad with zeros.
    2. MaxPool after a Pad with -inf, or with the lowest float32.
    3. AveragePool that counts its padding, or has none, after a Pad with zeros (not with ceil_mode, whose windows
       beyond the padding count differently).

    Not for other modes than "constant", where batch or channels are padded, for negative amounts (they crop), where the
    padded tensor is used elsewhere or is an output, and not where the node pads by auto_pad SAME.
    """
    changes = 0
    for pad in live(graph):
        if pad.op.name != "Pad":
            continue
        amounts = _spatial_amounts(pad)
        user = sole_user(graph, pad.output, "Conv", "MaxPool", "AveragePool")
        if amounts is None or user is None or user.inputs[0] is not pad.output or not _accepts(user, _fill(pad)):
            continue
        pads = [a + b for a, b in zip(amounts, user.attrs.pads or [0] * len(amounts))]
        attributes: dict[str, Any] = {"pads": pads, "auto_pad": "NOTSET"}
        if user.op.name == "AveragePool":
            attributes["count_include_pad"] = True
        attrs = user.attrs.replace(**attributes)
        new = graph.add(user.op, pad.inputs[0], *user.inputs[1:], attrs=attrs, before=user, name=user.name)
        for old, value in zip(user.outputs, new if isinstance(new, tuple) else (new,)):
            graph.replace(old, value)
        prune(graph, [user])
        changes += 1
    return changes


def _spatial_amounts(pad: Node) -> list[int] | None:
    """Amounts as `pads` of a window has them, or None where they are unknown, negative or not only spatial."""
    x = pad.inputs[0]
    amounts = integers(pad.inputs[1])
    rank = None if x is None else x.type.rank
    if pad.attrs.mode != "constant" or amounts is None or rank is None or rank < 3 or min(amounts, default=0) < 0:
        return None
    axes = integers(input_at(pad, 3)) if input_at(pad, 3) is not None else list(range(rank))
    if axes is None:
        return None
    begin, end = [0] * rank, [0] * rank
    for i, axis in enumerate(axes):
        begin[axis], end[axis] = amounts[i], amounts[len(axes) + i]
    return None if any(begin[:2] + end[:2]) else begin[2:] + end[2:]


def _fill(pad: Node) -> float | None:
    return 0.0 if input_at(pad, 2) is None else scalar(input_at(pad, 2))


def _accepts(user: Node, fill: float | None) -> bool:
    attrs = user.attrs
    if attrs.auto_pad not in ("NOTSET", "VALID") or fill is None:
        return False
    if user.op.name == "Conv":
        return fill == 0.0
    if user.op.name == "MaxPool":
        return fill == -math.inf or fill <= -3.4028234e38
    return fill == 0.0 and not attrs.ceil_mode and (attrs.count_include_pad or not any(attrs.pads))
