"""The plan of a signature: what is known before any concrete shape is.

A plan numbers the tensors of a graph (slots) and finds which of them decide shapes. `bind` in binding.py turns it, for
concrete input types, into steps over an arena.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_rt.graph import Graph, Node, Value
from edge_rt.ops._spec import FOLLOWED, MAX_KNOWN, OpSpec

Array = np.ndarray[Any, Any]


MAX_FLOATS = 16
"""Floats are followed where they may be the scales of a Resize, not where they are data."""


class Item:
    """A node whose tensors are slots."""

    __slots__ = ("attrs", "inputs", "name", "op", "outputs")

    def __init__(
        self, op: OpSpec, attrs: Any, name: str, inputs: tuple[int | None, ...], outputs: tuple[int, ...]
    ) -> None:
        self.op, self.attrs, self.name, self.inputs, self.outputs = op, attrs, name, inputs, outputs

    @property
    def where(self) -> str:
        return f"{self.op.name} '{self.name}'"

    def __repr__(self) -> str:
        return f"{self.outputs} = {self.where}{self.inputs}"


class Slots:
    """Gives numbers to tensors, and keeps the constants among them."""

    def __init__(self, first: int = 0) -> None:
        self.next = first
        self.constants: dict[int, Array] = {}

    def new(self) -> int:
        self.next += 1
        return self.next - 1


def items_of(graph: Graph, slots: Slots, given: Sequence[int]) -> tuple[list[Item], dict[int, int]]:
    """The nodes of a graph as items; `given` are the slots of its inputs. Also returns id(value) -> slot."""
    numbers: dict[int, int] = {id(v): s for v, s in zip(graph.inputs, given, strict=True)}
    for variable in graph.variables:
        numbers[id(variable.value)] = slots.new()

    def number(value: Value) -> int:
        slot = numbers.get(id(value))
        if slot is None:
            slot = numbers[id(value)] = slots.new()
            if value.data is not None:
                slots.constants[slot] = value.data
        return slot

    items = [
        Item(
            node.op,
            node.attrs,
            node.name,
            tuple(None if v is None else number(v) for v in node.inputs),
            tuple(number(v) for v in node.outputs),
        )
        for node in graph.nodes
    ]
    for value in [*graph.outputs, *(s.update for s in graph.variables if s.update is not None)]:
        number(value)
    return items, numbers


class Plan:
    """Slots and items of a graph, and the slots whose contents decide shapes (or the branch of an If).

    Immutable; shared by all sessions.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        slots = Slots()
        self.inputs = [slots.new() for _ in graph.inputs]
        self.items, numbers = items_of(graph, slots, self.inputs)
        self.variables = [numbers[id(s.value)] for s in graph.variables]
        self.updates = [None if s.update is None else numbers[id(s.update)] for s in graph.variables]
        self.outputs = [numbers[id(v)] for v in graph.outputs]
        self.values = {numbers[id(v)]: v for v in graph.inputs}
        """Inputs and what nodes compute, by slot: types and contents as inference found them for the declared inputs."""
        self.values.update((numbers[id(v)], v) for node in graph.nodes for v in node.outputs)
        self.constants = slots.constants
        self.slot_count = slots.next
        decisive = _decisive(graph)
        self.decisive = {slot for value, slot in numbers.items() if value in decisive}

    @property
    def kept(self) -> set[int]:
        """Slots that must survive to the end."""
        return {*self.outputs, *(u for u in self.updates if u is not None)}


def _decisive(graph: Graph) -> set[int]:
    """ids of the values whose contents decide shapes or branches, directly or through shape arithmetic."""
    found: set[int] = set()
    for node in reversed(graph.nodes):
        positions = set(node.op.shape_inputs)
        for _, inner in _subgraphs(node):
            deeper = _decisive(inner)
            if node.op.name == "If":
                positions |= {i + 1 for i, v in enumerate(inner.inputs) if id(v) in deeper}
        if any(id(v) in found for v in node.outputs) and node.op.name in FOLLOWED - _TYPE_ONLY:
            positions |= {i for i, v in enumerate(node.inputs) if v is not None and _is_small(v)}
        for i in positions:
            value = node.inputs[i] if i < len(node.inputs) else None
            if value is not None:
                found.add(id(value))
    return found


_TYPE_ONLY = frozenset({"Shape", "Size"})
"""Operators whose result depends on the type of their input only."""


def _subgraphs(node: Node) -> list[tuple[str, Graph]]:
    return [(name, v) for name, v in node.attrs if isinstance(v, Graph)]


def _is_small(value: Value) -> bool:
    """Whether contents may be part of a binding's key: few numbers, or a vector of integers (which sizes are)."""
    type_ = value.type
    if type_.is_static:
        return type_.size <= (MAX_KNOWN if not type_.dtype.is_float else MAX_FLOATS)
    return type_.rank is not None and type_.rank <= 1 and not type_.dtype.is_float


def decisive_positions(item: Item) -> tuple[int, ...]:
    """Positions of the inputs whose contents decide the item's shapes, or the branch of an If."""
    return (0,) if item.op.name == "If" else item.op.shape_inputs
