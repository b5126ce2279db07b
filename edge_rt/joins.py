"""Concatenations that need no copies: steps write their results where the concatenated tensor is.

A part of a concatenation lies in its result as rows, a row of the result apart. A kernel that can write rows so far apart
(`KernelSpec.strided`), or any kernel where there is only one row, writes there at once if nobody else reads what it makes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from edge_rt.binding import Step
from edge_rt.lowering._spec import Call, In, Out, Table
from edge_rt.types import TensorType


def join_steps(steps: Sequence[Step], types: Mapping[int, TensorType], kept: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Changes the calls of concatenations, and of steps that write into them. kept: slots that others read, too, or whose
    bytes have several names. Gives, for each slot that is a part of another one, that one and the offset in bytes."""
    if not any(_joins(step) for step in steps):
        return {}
    readers: dict[int, int] = dict.fromkeys(kept, 2)
    makers: dict[int, Step] = {}
    for step in steps:
        makers.update(dict.fromkeys(step.outputs, step))
        for slot in step.inputs:
            if slot is not None:
                readers[slot] = readers.get(slot, 0) + 1
    parts: dict[int, tuple[int, int]] = {}
    for step in filter(_joins, steps):
        out, offset, remaining = step.outputs[0], 0, list(step.calls or ())
        axis = step.item.attrs.axis % len(types[out].static_shape)
        rows, row = _rows(types[out], axis)
        for i, slot in enumerate(step.inputs):
            assert slot is not None
            maker = makers.get(slot)
            if maker is not None and readers[slot] == 1 and types[slot].size:
                calls = _writing(maker, _rows(types[slot], axis)[1], row) if rows > 1 else maker.calls
                if calls is not None:
                    maker.calls, parts[slot] = tuple(calls), (out, offset * types[out].dtype.itemsize)
                    remaining = [c for c in remaining if not _reads(c, i)]
            offset += _rows(types[slot], axis)[1]
        step.calls = tuple(remaining)
    return parts


def _joins(step: Step) -> bool:
    return step.item.op.name == "Concat" and bool(step.calls)


def _rows(type_: TensorType, axis: int) -> tuple[int, int]:
    """(rows in front of an axis, numbers of a row)."""
    shape = type_.static_shape
    return math.prod(shape[:axis]), math.prod(shape[axis:])


def _writing(maker: Step, own: int, row: int) -> list[Call] | None:
    """The calls of a step such that it writes rows of `own` numbers `row` numbers apart; None if it cannot."""
    if not maker.calls or len(maker.outputs) != 1:
        return None
    calls = [_writing_call(call, own, row) for call in maker.calls]
    return None if any(call is None for call in calls) else [call for call in calls if call is not None]


def _writing_call(call: Call, own: int, row: int) -> Call | None:
    if not call.spec.strided:
        return None
    target, stride = call.spec.strided
    args = dict(zip(call.spec.names, call.args))
    beside = [source for source, made in call.spec.in_place if made == target and args[source] != 0]
    matrices = args.get("batches")
    if type(args[target]) is not Out or args[stride] != own or beside:
        return None
    if isinstance(matrices, Table) and matrices.data[:, 3].max() >= own:
        return None  # rows of another matrix lie behind all of this one's
    args[stride] = row
    return Call(call.spec, tuple(args.values()), call.parts, call.scratch, call.flops)


def _reads(call: Call, i: int) -> bool:
    return any(type(arg) is In and arg.index == i for arg in call.args)
