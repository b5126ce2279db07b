"""A plan as a table: data that prints, compares and serialises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from edge_rt.binding import Binding
from edge_rt.cost import macs
from edge_rt.errors import InputError
from edge_rt.runner import Runner
from edge_rt.signature import Signature
from edge_rt.types import TensorType


class PlanStep(NamedTuple):
    """One step. kernels: symbols, or ("numpy",); first "run_bands" where steps are done together. inputs, outputs: types
    as text. offset: of the first output in the arena (-1 outside it). parts: of each kernel. macs: multiply-adds, see
    cost.py. flops: as the lowering counts them; of NumPy steps twice the multiply-adds."""

    name: str
    op: str
    kernels: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    offset: int
    parts: tuple[int, ...]
    flops: int
    macs: int

    @property
    def is_native(self) -> bool:
        return self.kernels != ("numpy",)


class PlanTable(NamedTuple):
    """The steps of a signature for concrete shapes. is_whole: whether they are all; otherwise `cut` says what the rest waits
    for."""

    signature: str
    steps: tuple[PlanStep, ...]
    arena: int
    is_whole: bool
    cut: str

    @staticmethod
    def of(
        runner: Runner, entry: Signature, shapes: Mapping[str, Sequence[int]], values: Mapping[str, Any]
    ) -> PlanTable:
        """Binds the first stage for these shapes and contents. Raises InputError where a size is missing."""
        types, contents = [], {}
        for info, slot in zip(entry.inputs, runner.plan.inputs):
            type_ = concrete_type(info.name, info.type, shapes, values)
            types.append(type_)
            if slot in runner.plan.decisive:
                given = values.get(info.name, np.zeros(type_.static_shape, type_.dtype.numpy))
                contents[slot] = np.asarray(given, type_.dtype.numpy)
        return PlanTable.of_binding(entry.name, runner.binding_for(types, contents))

    @staticmethod
    def of_binding(signature: str, binding: Binding) -> PlanTable:
        """The steps of a binding."""
        steps = tuple(_step(binding, i) for i in range(len(binding.steps)))
        return PlanTable(signature, steps, binding.arena, binding.rest is None, binding.cut)

    @property
    def numpy_steps(self) -> tuple[PlanStep, ...]:
        """Steps that no kernel covers."""
        return tuple(s for s in self.steps if not s.is_native)

    def __str__(self) -> str:
        rows = [("#", "operator", "node", "kernels", "parts", "output", "at")]
        for i, s in enumerate(self.steps):
            parts = "+".join(map(str, s.parts)) or "-"
            at = str(s.offset) if s.offset >= 0 else "-"
            rows.append((str(i), s.op, s.name, "+".join(s.kernels), parts, ", ".join(s.outputs), at))
        widths = [max(len(r[c]) for r in rows) for c in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, widths)).rstrip() for row in rows]
        tail = f"arena {self.arena} bytes, {len(self.steps)} steps, {len(self.numpy_steps)} in NumPy"
        if not self.is_whole:
            tail += f"; the rest is planned at run time: {self.cut}"
        return "\n".join([f"plan of '{self.signature}'", *lines, tail])


def concrete_type(
    name: str, declared: TensorType, shapes: Mapping[str, Sequence[int]], values: Mapping[str, Any]
) -> TensorType:
    """The type with the sizes given for it. Raises InputError where one is missing or contradicts the declaration."""
    shape: Any = shapes.get(name)
    if shape is None and name in values:
        shape = np.shape(values[name])
    if shape is None:
        if not declared.is_static:
            raise InputError(f"input '{name}': its sizes are needed, shapes={{'{name}': (...)}}; declared is {declared}")
        return declared
    fits = declared.shape is None or (
        len(shape) == len(declared.shape)
        and all(not isinstance(want, int) or want == got for want, got in zip(declared.shape, shape))
    )
    if not fits:
        raise InputError(f"input '{name}': expected {declared}, got the shape {tuple(shape)}")
    return TensorType(declared.dtype, tuple(int(d) for d in shape))


def _step(binding: Binding, index: int) -> PlanStep:
    step = binding.steps[index]
    calls, group = step.calls, () if step.group is None else step.group.calls[-1:]
    first = binding.places.get(step.outputs[0]) if step.outputs else None
    types = [None if s is None else binding.types[s] for s in step.inputs]
    counted = macs(step.item.op.name, step.item.attrs, types, [binding.types[s] for s in step.outputs])
    known = counted if isinstance(counted, int) else 0
    return PlanStep(
        step.item.name,
        step.item.op.name,
        ("numpy",) if calls is None else (*(c.spec.symbol for c in group), *(c.spec.symbol for c in calls)),
        tuple("-" if t is None else str(t) for t in types),
        tuple(str(binding.types[s]) for s in step.outputs),
        -1 if first is None or first.block is None else first.block.offset + first.offset,
        () if calls is None else tuple(c.parts for c in (*group, *calls)),
        2 * known if calls is None else sum(c.flops for c in calls),
        known,
    )
