"""Binding: a plan's items, for concrete input types, become steps with addresses.

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

from edge_rt.arena import ALIGNMENT, Block, assign
from edge_rt.lowering import lower
from edge_rt.lowering._spec import Alias, BoundNode, Call, In, Out
from edge_rt.ops._spec import MAX_KNOWN
from edge_rt.plan import Item, Plan, Slots, items_of
from edge_rt.types import TensorType

Array = np.ndarray[Any, Any]

INLINE_BYTES = 1 << 14
"""Inputs up to this size are copied into the arena: cheaper than asking NumPy for their address."""
RESERVED = ALIGNMENT
"""Bytes at the start of each arena; its first word is the error word."""
CONTROL = frozenset({"Loop", "Scan"})
"""Operators that run a graph of their own, step by step."""


class Stage:
    """Items that are not bound yet.

    live: slots whose arrays flow in. decisive: those of them whose contents the binding depends on. aliases: slots that
    stand for others since an If was resolved.
    """

    __slots__ = ("aliases", "constants", "decisive", "items", "live", "next_slot", "variables")

    def __init__(
        self,
        items: Sequence[Item],
        live: Sequence[int],
        decisive: Iterable[int],
        constants: Mapping[int, Array],
        aliases: Mapping[int, int],
        next_slot: int,
        variables: Sequence[int],
    ) -> None:
        self.items, self.live, self.constants, self.aliases = tuple(items), tuple(live), constants, aliases
        wanted = set(decisive)
        self.decisive = tuple(s for s in self.live if s in wanted)
        self.next_slot, self.variables = next_slot, tuple(variables)

    @staticmethod
    def first(plan: Plan) -> Stage:
        """All of a plan."""
        return Stage(plan.items, plan.inputs, plan.decisive, plan.constants, {}, plan.slot_count, plan.variables)


class Step:
    """An item that does something at run time."""

    __slots__ = ("calls", "inputs", "item", "outputs", "scratch")

    def __init__(
        self, item: Item, inputs: tuple[int | None, ...], outputs: tuple[int, ...], calls: tuple[Call, ...] | None
    ) -> None:
        self.item, self.inputs, self.outputs = item, inputs, outputs
        self.calls = calls
        """Kernel calls; None for a NumPy step."""
        sizes = [c.scratch for c in calls or ()]
        count = max(map(len, sizes), default=0)
        self.scratch = [Block(max(n[i] for n in sizes if i < len(n)), 0, 0) for i in range(count)]

    @property
    def is_native(self) -> bool:
        return self.calls is not None

    def skips(self, output: int) -> bool:
        """Whether machine code leaves out this output: it is neither written nor has memory."""
        return self.calls is not None and not any(
            type(a) is Out and a.index == output for c in self.calls for a in c.args
        )


class Place:
    """Where a tensor's bytes are: in a `block` of the arena, in constant `data`, in variable number `variable`, or (none of
    these) in the caller's array or an array that a NumPy step made."""

    __slots__ = ("block", "data", "variable")

    def __init__(self, block: Block | None = None, data: Array | None = None, variable: int = -1) -> None:
        self.block, self.data, self.variable = block, data, variable

    @property
    def is_external(self) -> bool:
        return self.block is None and self.data is None and self.variable < 0


class Binding:
    """Steps, types and addresses for concrete shapes. Immutable; sessions materialise it over their own arena.

    steps: in order. types: of all slots. places: of all slots that exist at run time. arena: bytes, of which the first
    RESERVED are the error word's. alive: slots that live on behind the last step. rest: the stage that follows a cut, or
    None. roots: output slot -> the slot whose bytes it shares.
    dynamic: whether the outputs of the last step have sizes that only running it tells.
    """

    __slots__ = ("aliases", "alive", "arena", "cut", "dynamic", "places", "rest", "roots", "stage", "steps", "types")

    stage: Stage
    steps: list[Step]
    types: dict[int, TensorType]
    places: dict[int, Place]
    aliases: dict[int, int]
    roots: dict[int, int]
    arena: int
    alive: tuple[int, ...]
    rest: Stage | None
    dynamic: bool
    cut: str

    def resolve(self, slot: int) -> int:
        """The slot that `slot` stands for."""
        return _resolve(self.aliases, slot)


def bind(
    stage: Stage,
    types: Mapping[int, TensorType],
    contents: Mapping[int, Array],
    kept: Iterable[int],
    pinned: bool = False,
) -> Binding:
    """Binds a stage.

    types: of the live slots and the variables, static. contents: of the decisive slots. kept: slots that must live on.
    pinned: live slots stay in the arena, unchanged, until the end. Otherwise small ones are copied into the arena and large
    ones are read where the caller has them.
    Raises InferenceError if some node does not accept these shapes.
    """
    kept = tuple(kept)
    walk = _Walk(stage, types, contents, kept)
    walk.run()
    return _layout(walk, kept, pinned)


class _Walk:
    """The first pass: infer, resolve, lower."""

    def __init__(
        self, stage: Stage, types: Mapping[int, TensorType], contents: Mapping[int, Array], kept: Iterable[int]
    ) -> None:
        self.stage = stage
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
            inputs = tuple(None if s is None else _resolve(self.aliases, s) for s in item.inputs)
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
            inside = _resolve(self.aliases, outside)
            self.uses[inside] = self.uses.get(inside, 0) + max(1, self.uses.get(outside, 0))
        self.pending.extendleft(reversed(items))

    def _missing(self, item: Item, inputs: tuple[int | None, ...]) -> tuple[int, ...]:
        """Inputs whose contents the item's shapes (or an If's branch) depend on, and that are not known."""
        return tuple(
            slot
            for i in _decisive_positions(item)
            if i < len(inputs)
            and (slot := inputs[i]) is not None
            and self.content_of(slot) is None
            and self.type_of(slot).size <= MAX_KNOWN
        )

    def _bind_item(self, item: Item, inputs: tuple[int | None, ...]) -> None:
        types = [None if s is None else self.type_of(s) for s in inputs]
        values = [None if s is None else self._small(s) for s in inputs]
        out_types, known = item.op.infer(item.attrs, types, values, item.where)
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
        data = [None if s is None else self.content_of(s) for s in inputs]
        lowered = None
        if item.op.name not in CONTROL:
            lowered = lower(BoundNode(item.op, item.attrs, types, out_types, data, used))
        if isinstance(lowered, Alias):
            source = inputs[lowered.index]
            assert source is not None
            self.roots[outputs[0]] = self.roots.get(source, source)
        else:
            self.steps.append(Step(item, inputs, outputs, None if lowered is None else tuple(lowered)))

    def _small(self, slot: int) -> Array | None:
        found = self.content_of(slot)
        return found if found is not None and found.size <= MAX_KNOWN else None


def _layout(walk: _Walk, kept: Iterable[int], pinned: bool) -> Binding:
    """The second pass: lifetimes, in-place pairs, offsets."""
    result = Binding()
    result.stage, result.types, result.aliases = walk.stage, walk.types, walk.aliases
    result.roots = walk.roots
    result.cut = walk.cut
    kept = {_resolve(walk.aliases, s) for s in kept}
    rest = list(walk.pending)
    wanted = kept | {_resolve(walk.aliases, s) for item in rest for s in item.inputs if s is not None}
    _drop_dead(walk, wanted)
    result.steps, result.dynamic = walk.steps, walk.dynamic
    end = len(walk.steps)

    def root(slot: int) -> int:
        return walk.roots.get(slot, slot)

    last: dict[int, int] = {}
    for index, step in enumerate(walk.steps):
        for slot in step.inputs:
            if slot is not None:
                last[root(slot)] = index
    for slot in wanted:
        last[root(slot)] = end

    places: dict[int, Place] = {}
    for slot, data in walk.constants.items():
        places[slot] = Place(data=data)
        if slot in wanted:
            walk.type_of(slot)
    for number, slot in enumerate(walk.stage.variables):
        places[slot] = Place(variable=number)
    blocks: list[Block] = []
    for slot in walk.stage.live:
        places[slot] = Place()
        type_ = walk.types[slot]
        if pinned:
            last[slot] = end
        if slot in last and (pinned or type_.nbytes <= INLINE_BYTES):
            places[slot].block = Block(type_.nbytes, 0, last[slot])
            blocks.append(places[slot].block)  # type: ignore[arg-type]
    for index, step in enumerate(walk.steps):
        if walk.dynamic and index == end - 1:
            for slot in step.outputs:
                places[slot] = Place()
            continue
        shared = _in_place(step, places, last, root, walk.types, index)
        for position, slot in enumerate(step.outputs):
            if slot not in last and step.skips(position):
                continue
            until = last.get(slot, index)
            block = shared.get(position)
            if block is None:
                block = Block(walk.types[slot].nbytes, index, until)
                blocks.append(block)
            else:
                block.last = max(block.last, until)
            places[slot] = Place(block=block)
    for slot, source in walk.roots.items():
        if source in places:
            places[slot] = places[source]
    for index, step in enumerate(walk.steps):
        for buffer in step.scratch:
            buffer.first = buffer.last = index
            blocks.append(buffer)
    result.arena = assign(blocks, RESERVED)
    result.places = places
    result.alive = tuple(sorted(s for s in wanted if s in places and places[s].data is None and places[s].variable < 0))
    result.rest = None
    if rest or walk.cut:
        carried = dict(walk.constants)
        resolved = [
            Item(i.op, i.attrs, i.name, tuple(None if s is None else _resolve(walk.aliases, s) for s in i.inputs), i.outputs)
            for i in rest
        ]
        decisive = {*walk.needed, *_decisive_of(resolved)}
        result.rest = Stage(
            resolved, result.alive, decisive, carried, walk.aliases, walk.slots.next, walk.stage.variables
        )
    return result


def _in_place(
    step: Step, places: dict[int, Place], last: dict[int, int], root: Any, types: dict[int, TensorType], index: int
) -> dict[int, Block]:
    """Output position -> block of an input that the step may overwrite."""
    if step.calls is None or len(step.calls) != 1:
        return {}
    call = step.calls[0]
    args = {p.name: a for p, a in zip(call.spec.params, call.args)}
    shared: dict[int, Block] = {}
    roots = [root(s) for s in step.inputs if s is not None]
    for source, target in call.spec.in_place:
        given, made = args[source], args[target]
        if type(given) is not In or type(made) is not Out or made.index in shared:
            continue
        slot = step.inputs[given.index]
        block = None if slot is None or root(slot) not in places else places[root(slot)].block
        if (
            block is not None
            and last.get(root(slot)) == index
            and roots.count(root(slot)) == 1
            and types[step.outputs[made.index]].nbytes <= block.nbytes
            and all(other is not block for other in shared.values())
        ):
            shared[made.index] = block
    return shared


def _drop_dead(walk: _Walk, wanted: set[int]) -> None:
    """Removes steps whose outputs nobody reads: what only an If's other branch, or inference, needed."""
    needed = {walk.roots.get(s, s) for s in wanted}
    alive = []
    for step in reversed(walk.steps):
        if step.item.op.is_pure and not any(s in needed for s in step.outputs):
            continue
        needed.update(walk.roots.get(s, s) for s in step.inputs if s is not None)
        alive.append(step)
    walk.dynamic = walk.dynamic and bool(alive) and bool(walk.steps) and alive[0] is walk.steps[-1]
    walk.steps = alive[::-1]


def _decisive_positions(item: Item) -> tuple[int, ...]:
    return (0,) if item.op.name == "If" else item.op.shape_inputs


def _decisive_of(items: Sequence[Item]) -> set[int]:
    """Slots that the shape rules of these items read, directly."""
    return {
        s
        for item in items
        for i in _decisive_positions(item)
        if i < len(item.inputs) and (s := item.inputs[i]) is not None
    }


def _count_uses(items: Iterable[Item]) -> dict[int, int]:
    uses: dict[int, int] = {}
    for item in items:
        for s in item.inputs:
            if s is not None:
                uses[s] = uses.get(s, 0) + 1
    return uses


def _resolve(aliases: Mapping[int, int], slot: int) -> int:
    while slot in aliases:
        slot = aliases[slot]
    return slot
