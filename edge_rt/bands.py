"""Which steps are done together, band by band of rows: those with more between them than caches hold.

A convolution's rows need few rows of its input. Where a tensor between two steps is larger than a core's caches, and nobody
else reads it, both are done by bands: a few rows of the first, then those of the second that these allow. Of the tensor
only a ring of rows is ever there, in the nearest caches, and in the arena. Results have the same bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from edge_rt.arena import Block
from edge_rt.binding import Step
from edge_rt.lowering._spec import Call
from edge_rt.types import DType, TensorType

if TYPE_CHECKING:
    from edge_rt.lowering.bands import Member

FAR = 1 << 20
"""Bytes of a tensor that does not stay in a core's caches: measured, smaller ones gain nothing."""
NEAR = 1 << 19
"""Bytes of all rings that do, beside what else a core needs at the time."""
MOST_WEIGHTS = 1 << 18
"""Bytes that the steps may read anew for each band."""
BANDS = 8, 4, 2
"""Rows of the last output that are made at a time: the more the better, since depthwise convolutions read more than they
make."""
DEPTHWISE_ROWS = 4, 2
"""Rows of a part of a depthwise convolution between others, likewise; of the last one the least."""
PARTS = 1, 2, 4
"""Of a group. Each has rings, and makes a few rows that its neighbour makes too, where another thread does that."""
LEAST_ROWS = 8
"""Of each of several parts."""
MOST_WORK = 24
"""Operations for each byte of a tensor between two steps: where more are needed, memory keeps up with them."""


class Group:
    """Neighbouring steps that are done together. first, end: their numbers. calls: the last of which does them. rings: bytes
    of outputs but the last, by slot."""

    __slots__ = ("calls", "end", "first", "rings")

    def __init__(self, first: int, end: int, calls: Sequence[Call], rings: Mapping[int, int]) -> None:
        self.first, self.end, self.calls, self.rings = first, end, calls, rings


def group_steps(steps: Sequence[Step], types: Mapping[int, TensorType], kept: Iterable[int]) -> None:
    """Finds groups; changes the calls of their steps, and gives each its group. kept: slots that others read, too, or
    whose bytes have several names."""
    if not any(_is_far(step, types) for step in steps):
        return
    from edge_rt.lowering.bands import MOST_MEMBERS, member_of

    readers: dict[int, int] = dict.fromkeys(kept, 2)
    for step in steps:
        for slot in step.inputs:
            if slot is not None:
                readers[slot] = readers.get(slot, 0) + 1

    def member(index: int) -> Member | None:
        step = steps[index]
        if step.calls is None or len(step.calls) != 1 or not step.inputs or step.inputs[0] is None:
            return None
        x, y = types[step.inputs[0]], types[step.outputs[0]]
        if {x.dtype, y.dtype} != {DType.FLOAT32}:
            return None
        return member_of(step.calls[0], x.static_shape, y.static_shape)

    def goes_on(index: int) -> bool:
        """Whether the step is done with the one before."""
        before, step = steps[index - 1], steps[index]
        slot = before.outputs[0]
        if not _is_far(before, types) or step.inputs[:1] != (slot,) or readers[slot] > 1:
            return False
        work = sum(call.flops for call in before.calls or ())
        return work <= MOST_WORK * types[slot].nbytes and step.item.op.name in ("edge.DepthwiseConv", "edge.Gemm")

    index = 0
    while index < len(steps):
        first = index
        index += 1
        if index == len(steps) or not goes_on(index):
            continue
        found = [member(first)]
        while index < len(steps) and found[-1] is not None and len(found) < MOST_MEMBERS and goes_on(index):
            found.append(member(index))
            index += 1
        if found[-1] is None and len(found) > 1:
            found.pop()
            index -= 1
        _unite(first, steps[first:index], [m for m in found if m is not None], types)


def _unite(first: int, steps: Sequence[Step], members: Sequence[Member], types: Mapping[int, TensorType]) -> None:
    """Makes a group of these steps if bands of some size fit, else groups of fewer. Only what a depthwise convolution reads
    gains from being near; what it writes may come along."""
    if not any(_is_depthwise(step) for step in steps[1:]):
        return
    if sum(_weight(step, types) for step in steps) <= MOST_WEIGHTS:
        for rows in BANDS:
            for unit in DEPTHWISE_ROWS:
                if _unite_bands(first, steps, members, rows, unit):
                    return
    cut = max((i for i in range(1, len(steps)) if not _is_depthwise(steps[i])), default=len(steps) - 1)
    _unite(first, steps[:cut], members[:cut], types)
    _unite(first + cut, steps[cut:], members[cut:], types)


def _unite_bands(first: int, steps: Sequence[Step], members: Sequence[Member], rows: int, unit: int) -> bool:
    """Makes a group with bands of about so many rows, unless its rings are too large; whether it did. unit: rows of a part
    of depthwise convolutions."""
    from edge_rt.lowering.bands import bands_calls, ring_bytes, rows_held

    units = [unit if _is_depthwise(step) else m.unit for step, m in zip(steps, members)]
    if _is_depthwise(steps[-1]):
        units[-1] = DEPTHWISE_ROWS[-1]
    band = -(-rows // units[-1]) * units[-1]
    parts = max(n for n in PARTS if n == 1 or n * LEAST_ROWS <= members[-1].rows)
    united = [m.in_parts(unit, parts) for m, unit in zip(members, units)]
    rings = [(n, ring_bytes(n, m.row_bytes)) for n, m in zip(rows_held(united, band, parts), members)]
    if sum(nbytes for _, nbytes in rings) > NEAR:
        return False
    calls = bands_calls([(first + i, m) for i, m in enumerate(united)], rings, band, parts)
    sizes = {step.outputs[0]: parts * nbytes for step, (_, nbytes) in zip(steps, rings)}
    group = Group(first, first + len(steps), calls, sizes)
    for step, m in zip(steps, united):
        step.calls, step.group = (m.call,), group
        step.scratch = [Block(nbytes, 0, 0) for nbytes in (calls[-1] if step is steps[0] else m.call).scratch]
    return True


def _is_depthwise(step: Step) -> bool:
    return step.item.op.name == "edge.DepthwiseConv"


def _is_far(step: Step, types: Mapping[int, TensorType]) -> bool:
    return step.calls is not None and types[step.outputs[0]].nbytes >= FAR if step.outputs else False


def _weight(step: Step, types: Mapping[int, TensorType]) -> int:
    return sum(types[s].nbytes for s in step.inputs[1:2] if s is not None)
