"""Runs the kernel calls of a lowering on arrays, without planner or image: for tests of kernels alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt import ops
from edge_rt.codegen.testing import call
from edge_rt.lowering._errors import NO_ERROR
from edge_rt.lowering._spec import BoundNode, Call, ErrorWord, In, Out, Scratch, StepNumber, Table
from edge_rt.lowering.rules import lower
from edge_rt.targets import TARGETS, Target
from edge_rt.types import TensorType

Array = np.ndarray[Any, Any]
_DTYPES = {
    "f16*": np.float16, "f32*": np.float32, "i8*": np.int8, "u8*": np.uint8, "i32*": np.int32, "i64*": np.int64,
}  # fmt: skip


def calls_of(op: str, inputs: Sequence[Array | None], target: str, **attributes: Any) -> tuple[list[Call], TensorType]:
    """What a node of one output is lowered to for a target, and the type of its output."""
    spec = ops.get(op)
    attrs, types = spec.attrs(**attributes), [None if x is None else TensorType.of(x) for x in inputs]
    (made,), _ = spec.infer(attrs, types, [None] * len(inputs), "node")
    calls = lower(BoundNode(spec, attrs, types, [made], [None] * len(inputs), [True], TARGETS[target].arch, target))
    assert isinstance(calls, list)
    return calls, made


def run_calls(
    calls: Sequence[Call],
    inputs: Sequence[Array | None],
    outputs: Sequence[Array],
    parts: int | None = None,
    target: Target | None = None,
) -> int:
    """Runs the calls of a node over its inputs into `outputs`; gives the error word. parts: instead of their own. target:
    whose kernels, by default those that are best for this CPU."""
    sizes: list[int] = []
    for c in calls:
        for i, n in enumerate(c.scratch):
            if i < len(sizes):
                sizes[i] = max(sizes[i], n)
            else:
                sizes.append(n)
    grow = 1 if parts is None else max(1, parts)
    scratch = [np.full(n * grow + 64, 0x7F, np.uint8) for n in sizes]
    error = np.full(1, NO_ERROR, np.int64)
    for c in calls:
        args: dict[str, Any] = {}
        for p, a in zip(c.spec.params, c.args):
            value: Any = a
            if p.is_pointer:
                value = None
                if isinstance(a, Out):
                    value = outputs[a.index]
                elif isinstance(a, Scratch):
                    value = scratch[a.index][: scratch[a.index].size // 8 * 8]
                elif isinstance(a, Table):
                    value = a.data
                elif isinstance(a, ErrorWord):
                    value = error
                elif isinstance(a, In):
                    value = inputs[a.index]
                if value is not None:
                    value = value.reshape(-1).view(_DTYPES[p.type])
            elif isinstance(a, StepNumber):
                value = 7
            args[p.name] = value
        call(c.spec, parts=parts or c.parts, target=target, **args)
    return int(error[0])
