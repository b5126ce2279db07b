"""What binding makes of a plan for concrete input types: steps, places and what is left for later. See binder.py."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt.arena import ALIGNMENT, Block
from edge_rt.lowering._spec import Call, Out
from edge_rt.plan import Item, Plan
from edge_rt.types import TensorType

if TYPE_CHECKING:
    from edge_rt.bands import Group
    from edge_rt.graph import Value

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
    stand for others since an If was resolved. values: what inference found when the graph was built, which holds if the
    live slots have the types that they have there, and no contents are given.
    """

    __slots__ = ("aliases", "constants", "decisive", "items", "live", "next_slot", "values", "variables")

    def __init__(
        self,
        items: Sequence[Item],
        live: Sequence[int],
        decisive: Iterable[int],
        constants: Mapping[int, Array],
        aliases: Mapping[int, int],
        next_slot: int,
        variables: Sequence[int],
        values: Mapping[int, Value] | None = None,
    ) -> None:
        self.items, self.live, self.constants, self.aliases = tuple(items), tuple(live), constants, aliases
        wanted = set(decisive)
        self.decisive = tuple(s for s in self.live if s in wanted)
        self.next_slot, self.variables = next_slot, tuple(variables)
        self.values = values or {}

    @staticmethod
    def first(plan: Plan) -> Stage:
        """All of a plan."""
        return Stage(
            plan.items, plan.inputs, plan.decisive, plan.constants, {}, plan.slot_count, plan.variables, plan.values
        )


class Step:
    """An item that does something at run time."""

    __slots__ = ("calls", "group", "inputs", "item", "outputs", "scratch")

    def __init__(
        self, item: Item, inputs: tuple[int | None, ...], outputs: tuple[int, ...], calls: tuple[Call, ...] | None
    ) -> None:
        self.item, self.inputs, self.outputs = item, inputs, outputs
        self.calls = calls
        """Kernel calls; None for a NumPy step."""
        self.group: Group | None = None
        """The steps that this one is done together with: see bands.py."""
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
    """Where a tensor's bytes are: `offset` bytes behind the start of a `block` of the arena, in constant `data`, in variable
    number `variable`, or (none of these) in the caller's array or an array that a NumPy step made."""

    __slots__ = ("block", "data", "offset", "variable")

    def __init__(
        self, block: Block | None = None, data: Array | None = None, variable: int = -1, offset: int = 0
    ) -> None:
        self.block, self.data, self.variable, self.offset = block, data, variable, offset


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
        return resolve(self.aliases, slot)


def resolve(aliases: Mapping[int, int], slot: int) -> int:
    while slot in aliases:
        slot = aliases[slot]
    return slot
