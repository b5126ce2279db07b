"""The first pass of binding: a plan's items, for concrete input types, become steps.

`bind` walks the items in order. Each is inferred with concrete types; what inference already knows becomes a constant; an If
whose condition is known is replaced by its branch; the rest is lowered to kernel calls, or becomes a NumPy step. The walk
stops where only running the program can tell more (a *cut*): in front of an item that needs contents not known yet, or
behind one whose output size depends on data. What is left is bound again, later, from the actual arrays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from edge_rt.binding import CONTROL, Binding, Stage, Step, resolve
from edge_rt.layout import lay_out
from edge_rt.lowering._spec import MAX_VALUES, Alias, BoundNode
from edge_rt.lowering.rules import lower
from edge_rt.native.cpu import cpu_architecture
from edge_rt.ops._spec import MAX_KNOWN
from edge_rt.plan import Item, Slots, decisive_positions, items_of
from edge_rt.types import TensorType

Array = np.ndarray[Any, Any]


def bind(
    stage: Stage,
    types: Mapping[int, TensorType],
    contents: Mapping[int, Array],
    kept: Iterable[int],
    pinned: bool = False,
    arch: str | None = None,
    target: str = "",
) -> Binding:
    """Binds a stage.

    types: of the live slots and the variables, static. contents: of the decisive slots. kept: slots that must live on.
    pinned: live slots stay in the arena, unchanged, until the end. Otherwise small ones are copied into the arena and large
    ones are read where the caller has them. arch: the CPU architecture to bind for; by default this machine's. target: the
    name of one of its targets, or "" for what they share.
    Raises InferenceError if some node does not accept these shapes.
    """
    kept = tuple(kept)
    walk = Walk(stage, types, contents, kept, arch or cpu_architecture(), target)
    walk.run()
    return lay_out(walk, kept, pinned)


class Walk:
    """The first pass: infer, resolve, lower."""

    def __init__(
        self,
        stage: Stage,
        types: Mapping[int, TensorType],
        contents: Mapping[int, Array],
        kept: Iterable[int],
        arch: str,
        target: str = "",
    ) -> None:
        self.stage, self.arch, self.target = stage, arch, target
        self.types: dict[int, TensorType] = dict(types)
        self.known: dict[int, Array] = dict(contents)
        self.constants: dict[int, Array] = dict(stage.constants)
        self.aliases: dict[int, int] = dict(stage.aliases)
        self.slots = Slots(stage.next_slot)
        self.pending = deque(stage.items)
        self.steps: list[Step] = []
        self.roots: dict[int, int] = {}
        """output slot -> the slot whose bytes it shares (Reshape)"""
        self.uses = _count_uses(stage.items)
        for slot in kept:
            self.uses[slot] = self.uses.get(slot, 0) + 1
        as_declared = not contents and all(s in stage.values and types[s] == stage.values[s].type for s in stage.live)
        self.values = stage.values if as_declared else {}
        """What need not be inferred again."""
        self.cut = ""
        self.needed: tuple[int, ...] = ()
        self.dynamic = False

    def type_of(self, slot: int) -> TensorType:
        found = self.types.get(slot)
        if found is None:
            found = self.types[slot] = TensorType.of(self.constants[slot])
        return found

    def content_of(self, slot: int) -> Array | None:
        found = self.known.get(slot)
        if found is None:
            found = self.constants.get(slot)
        return found

    def run(self) -> None:
        while self.pending and not self.cut:
            item = self.pending.popleft()
            inputs = tuple(None if s is None else resolve(self.aliases, s) for s in item.inputs)
            self.needed = self._missing(item, inputs)
            if self.needed:
                self.pending.appendleft(item)
                self.cut = f"{item.where} needs the contents of an input"
            elif item.op.name == "If":
                self._enter_branch(item, inputs)
            else:
                self._bind_item(item, inputs)

    def _enter_branch(self, item: Item, inputs: tuple[int | None, ...]) -> None:
        """Replaces an If by the branch taken."""
        assert inputs[0] is not None
        condition = self.content_of(inputs[0])
        branch = item.attrs.then_branch if bool(np.all(condition)) else item.attrs.else_branch
        given = [s for s in inputs[1:] if s is not None]
        items, numbers = items_of(branch, self.slots, given)
        self.constants.update(self.slots.constants)
        self.slots.constants = {}
        for inner in items:
            inner.name = f"{item.name}/{inner.name}"
        for outside, value in zip(item.outputs, branch.outputs):
            self.aliases[outside] = numbers[id(value)]
        for slot, count in _count_uses(items).items():
            self.uses[slot] = self.uses.get(slot, 0) + count
        for outside in item.outputs:
            inside = resolve(self.aliases, outside)
            self.uses[inside] = self.uses.get(inside, 0) + max(1, self.uses.get(outside, 0))
        self.pending.extendleft(reversed(items))

    def _missing(self, item: Item, inputs: tuple[int | None, ...]) -> tuple[int, ...]:
        """Inputs whose contents the item's shapes (or an If's branch) depend on, and that are not known."""
        return tuple(
            slot
            for i in decisive_positions(item)
            if i < len(inputs)
            and (slot := inputs[i]) is not None
            and self.content_of(slot) is None
            and self.type_of(slot).size <= MAX_KNOWN
        )

    def _bind_item(self, item: Item, inputs: tuple[int | None, ...]) -> None:
        types = [None if s is None else self.type_of(s) for s in inputs]
        out_types, known = self._infer(item, inputs, types)
        outputs = item.outputs[: len(out_types)]
        self.types.update(zip(outputs, out_types))
        if not all(t.is_static for t in out_types):
            self.steps.append(Step(item, inputs, outputs, None))
            self.dynamic, self.cut = True, f"{item.where} has outputs whose size depends on data"
            return
        if item.op.is_pure and all(k is not None and k.dtype != object for k in known):
            self.constants.update((s, np.asarray(k, order="C")) for s, k in zip(outputs, known) if k is not None)
            return
        for slot, k in zip(outputs, known):
            if k is not None and k.dtype != object:
                self.known[slot] = k
        used = [self.uses.get(s, 0) > 0 for s in outputs]
        data = [None if s is None else self._small(s, MAX_VALUES) for s in inputs]
        lowered = None
        if item.op.name not in CONTROL:
            lowered = lower(BoundNode(item.op, item.attrs, types, out_types, data, used, self.arch, self.target))
        if isinstance(lowered, Alias):
            source = inputs[lowered.index]
            assert source is not None
            self.roots[outputs[0]] = self.roots.get(source, source)
        else:
            self.steps.append(Step(item, inputs, outputs, None if lowered is None else tuple(lowered)))

    def _infer(
        self, item: Item, inputs: Sequence[int | None], types: Sequence[TensorType | None]
    ) -> tuple[list[TensorType], list[Array | None]]:
        """Types of the item's outputs, and their contents as far as known."""
        if self.values:
            found = [self.values[s] for s in item.outputs if s in self.values]
            if len(found) == len(item.outputs):
                return [v.type for v in found], [v.known for v in found]
        values = [None if s is None else self._small(s, MAX_KNOWN) for s in inputs]
        return item.op.infer(item.attrs, types, values, item.where)

    def _small(self, slot: int, size: int) -> Array | None:
        """The contents, where they may decide what a plan is: storing.py relies on no others being looked at."""
        found = self.content_of(slot)
        return found if found is not None and found.size <= size else None


def _count_uses(items: Iterable[Item]) -> dict[int, int]:
    uses: dict[int, int] = {}
    for item in items:
        for s in item.inputs:
            if s is not None:
                uses[s] = uses.get(s, 0) + 1
    return uses
