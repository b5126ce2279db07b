"""The second pass of binding: dead steps, lifetimes, in-place pairs and offsets of what the walk found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from edge_rt.arena import Block, assign
from edge_rt.bands import group_steps
from edge_rt.binding import INLINE_BYTES, RESERVED, Binding, Place, Stage, Step, resolve
from edge_rt.excitation import shorten_blocks
from edge_rt.joins import join_steps
from edge_rt.lowering._spec import In, Out
from edge_rt.plan import Item, decisive_positions
from edge_rt.types import TensorType

if TYPE_CHECKING:
    from edge_rt.binder import Walk


def lay_out(walk: Walk, kept: Iterable[int], pinned: bool) -> Binding:
    """The binding of a finished walk. kept, pinned: as in `bind`."""
    result = Binding()
    result.stage, result.types, result.aliases = walk.stage, walk.types, walk.aliases
    result.roots = walk.roots
    result.cut = walk.cut
    kept = {resolve(walk.aliases, s) for s in kept}
    rest = list(walk.pending)
    wanted = kept | {resolve(walk.aliases, s) for item in rest for s in item.inputs if s is not None}
    _drop_dead(walk, wanted)
    result.steps, result.dynamic = walk.steps, walk.dynamic
    end = len(walk.steps)

    def root(slot: int) -> int:
        return walk.roots.get(slot, slot)

    elsewhere = wanted.union(walk.roots, walk.roots.values())
    shorten_blocks(walk, elsewhere)
    parts = join_steps(walk.steps[: end - walk.dynamic], walk.types, elsewhere)
    group_steps(walk.steps, walk.types, elsewhere)
    spans = [(i, i) if s.group is None else (s.group.first, s.group.end - 1) for i, s in enumerate(walk.steps)]
    """The first and the last of the steps that each is done together with."""
    last: dict[int, int] = {}
    for index, step in enumerate(walk.steps):
        for slot in step.inputs:
            if slot is not None:
                last[root(slot)] = spans[index][1]
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
        shared = {} if parts.keys() & step.outputs else _in_place(step, places, last, root, walk.types, index)
        for position, made in enumerate(step.outputs):
            slot, offset = parts.get(made, (made, 0))
            if slot not in last and step.skips(position):
                continue
            until = last.get(slot, spans[index][1])
            block = places[slot].block if slot in places else shared.get(position)
            if block is None:
                nbytes = walk.types[slot].nbytes if step.group is None else step.group.rings.get(slot)
                block = Block(walk.types[slot].nbytes if nbytes is None else nbytes, spans[index][0], until)
                blocks.append(block)
            else:
                block.last = max(block.last, until)
            places[slot] = Place(block=block)
            places[made] = Place(block=block, offset=offset)
    for slot, source in walk.roots.items():
        if source in places:
            places[slot] = places[source]
    for index, step in enumerate(walk.steps):
        for buffer in step.scratch:
            buffer.first, buffer.last = spans[index]
            blocks.append(buffer)
    result.arena = assign(blocks, RESERVED)
    result.places = places
    result.alive = tuple(sorted(s for s in wanted if s in places and places[s].data is None and places[s].variable < 0))
    result.rest = None
    if rest or walk.cut:
        carried = dict(walk.constants)
        resolved = [
            Item(i.op, i.attrs, i.name, tuple(None if s is None else resolve(walk.aliases, s) for s in i.inputs), i.outputs)
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
    if step.calls is None or len(step.calls) != 1 or step.group is not None:
        return {}
    call = step.calls[0]
    args = dict(zip(call.spec.names, call.args))
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


def _drop_dead(walk: Walk, wanted: set[int]) -> None:
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


def _decisive_of(items: Sequence[Item]) -> set[int]:
    """Slots that the shape rules of these items read, directly."""
    return {
        s
        for item in items
        for i in decisive_positions(item)
        if i < len(item.inputs) and (s := item.inputs[i]) is not None
    }
