"""From a binding to the words and the table that the executor reads."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from edge_rt.binding import Binding, Step
from edge_rt.instance import address_of
from edge_rt.linked import ARENA, CONSTANT, LIVE, MADE, STATE, Linked, Place
from edge_rt.lowering._executor import MERGES
from edge_rt.lowering._spec import Arg, Call, Calls, ErrorWord, In, Out, Scratch, StepNumber, Table
from edge_rt.native.host import AnyLibrary

Array = np.ndarray[Any, Any]
_BITS, _FLOAT = struct.Struct("<I"), struct.Struct("<f")
BRIEF_STEPS, BRIEF_BYTES, BRIEF_FLOPS = 8, 1 << 14, 1 << 17
"""Up to so many steps, bytes of arena and operations a program is brief: see Program.call."""


def link(binding: Binding, library: AnyLibrary | None, wanted: Iterable[int]) -> Linked:
    """The binding with addresses of kernels and constants. library: None if no step has machine code."""
    return _Linker(binding, library).link(wanted)


class _Linker:
    def __init__(self, binding: Binding, library: AnyLibrary | None) -> None:
        self.binding, self.library = binding, library
        self.live_numbers = {slot: number for number, slot in enumerate(binding.stage.live)}
        self.words: list[int] = []
        self.in_arena: list[int] = []
        self.constant: list[int] = []
        self.in_code: list[int] = []
        self.in_words: list[int] = []
        self.entries: dict[int, int] = {}
        """Addresses of kernels by the identity of calls."""
        self.states: dict[int, list[int]] = {}
        self.live: dict[int, list[int]] = {}
        self.keeps: list[Array] = []
        self.reports = False

    def link(self, wanted: Iterable[int]) -> Linked:
        binding = self.binding
        copies = [self._copied(slot) for slot in binding.stage.live]
        table, steps = self._calls()
        return Linked(
            binding.arena,
            np.array(self.words, np.int64),
            np.array(table, np.int64).reshape(-1, 3),
            np.array(self.in_arena, np.int64),
            np.array(self.constant, np.int64),
            np.array(self.in_code, np.int64),
            np.array(self.in_words, np.int64),
            {n: np.array(at, np.int64) for n, at in self.states.items()},
            {n: np.array(at, np.int64) for n, at in self.live.items()},
            steps,
            copies,
            [place_of(binding, slot, self.keeps) for slot in wanted],
            [step.item.where for step in binding.steps] if self.reports else (),
            self.keeps,
            _is_brief(binding, copies),
            binding,
        )

    def _copied(self, slot: int) -> Place | None:
        return None if self.binding.places[slot].block is None else place_of(self.binding, slot, self.keeps)

    def _calls(self) -> tuple[list[tuple[int, int, int]], list[tuple[int, int] | None]]:
        """The table, and for each step its part of it, which is empty where the first step of a group does it."""
        steps = self.binding.steps
        calls = [_calls_of(step, index) for index, step in enumerate(steps)]
        called = [call for own in calls for call in own]
        called += [call for own in called for arg in own.args if type(arg) is Calls for _, call, _ in arg.rows]
        assert self.library is not None or not called
        entries = () if self.library is None else self.library.entries(called)
        self.entries = {id(call): entry for call, entry in zip(called, entries)}
        table: list[tuple[int, int, int]] = []
        places: list[tuple[int, int] | None] = []
        for index, step in enumerate(steps):
            first = len(table)
            for call in calls[index]:
                table.append((self.entries[id(call)], self._arguments(call, index), _parts_word(call)))
            places.append(None if step.calls is None else (first, len(table)))
        return table, places

    def _arguments(self, call: Call, index: int) -> int:
        """The position of the argument words of a step's call."""
        step, words, args = self.binding.steps[index], self.words, call.args
        others = {arg: self._others(arg) for arg in args if type(arg) is Calls} if Calls in map(type, args) else {}
        first = len(words)
        for arg in args:
            if type(arg) is int:
                words.append(arg)
            elif type(arg) is Calls:
                self.in_words.append(len(words))
                words.append(others[arg])
            else:
                words.append(self._word(arg, step, index, len(words)))
        return first

    def _others(self, arg: Calls) -> int:
        """The position of the words about other calls."""
        places = [self._arguments(call, index) for index, call, _ in arg.rows]
        first = len(self.words)
        for place, (_, call, numbers) in zip(places, arg.rows):
            self.in_code.append(len(self.words))
            self.in_words.append(len(self.words) + 1)
            self.words += [self.entries[id(call)], place, *numbers]
        return first

    def _word(self, arg: Arg, step: Step, index: int, position: int) -> int:
        """The word of an argument that is neither an int nor about other calls."""
        slot: int | None
        if type(arg) is In:
            slot = step.inputs[arg.index]
        elif type(arg) is Out:
            slot = step.outputs[arg.index]
        else:
            return self._other_word(arg, step, index, position)
        assert slot is not None
        place = self.binding.places[slot]
        if place.block is not None:
            self.in_arena.append(position)
            return place.block.offset + place.offset
        if place.data is not None:
            return self._address(_contiguous(place), position)
        if place.variable >= 0:
            self.states.setdefault(place.variable, []).append(position)
        else:
            number = self.live_numbers[self.binding.roots.get(slot, slot)]
            self.live.setdefault(number, []).append(position)
        return 0

    def _other_word(self, arg: Arg, step: Step, index: int, position: int) -> int:
        """The word of an argument that is neither an int nor a tensor of the node."""
        if isinstance(arg, float):
            return int(_BITS.unpack(_FLOAT.pack(arg))[0])
        if isinstance(arg, (int, np.integer)):
            return int(arg)
        if isinstance(arg, Scratch):
            self.in_arena.append(position)
            return step.scratch[arg.index].offset
        if isinstance(arg, Table):
            return self._address(arg.data, position)
        if isinstance(arg, ErrorWord):
            self.reports = True
            self.in_arena.append(position)
            return 0
        assert isinstance(arg, StepNumber)
        return index

    def _address(self, array: Array, position: int) -> int:
        self.keeps.append(array)
        self.constant.append(position)
        return address_of(array)


def _parts_word(call: Call) -> int:
    """See Program."""
    merges = call.parts > 2 and call.spec.merges and not any(type(arg) is Scratch for arg in call.args)
    return call.parts | MERGES if merges else call.parts


def _calls_of(step: Step, index: int) -> Sequence[Call]:
    """What does the step: of those that are done together, what does all of them."""
    if step.group is None:
        return step.calls or ()
    return step.group.calls if index == step.group.first else ()


def place_of(binding: Binding, slot: int, keeps: list[Array]) -> Place:
    """Where the array of a slot is; a constant is added to `keeps`."""
    place, type_ = binding.places[slot], binding.types[slot]
    shape, dtype = type_.static_shape if type_.is_static else (), type_.dtype.numpy
    if place.block is not None:
        return ARENA, place.block.offset + place.offset, shape, dtype
    if place.data is not None:
        keeps.append(place.data)
        return CONSTANT, len(keeps) - 1, shape, dtype
    if place.variable >= 0:
        return STATE, place.variable, shape, dtype
    root = binding.roots.get(slot, slot)
    if root in binding.stage.live:
        return LIVE, binding.stage.live.index(root), shape, dtype
    return MADE, binding.steps[-1].outputs.index(slot), shape, dtype


def _contiguous(place: Any) -> Array:
    """The constant; a copy that must be made is made once per binding."""
    if not place.data.flags.c_contiguous:
        place.data = np.asarray(place.data, order="C")
    data: Array = place.data
    return data


def _is_brief(binding: Binding, copies: Sequence[Place | None]) -> bool:
    """Whether the machine code takes a few microseconds: few steps on few numbers, none of them worth sharing out."""
    if len(binding.steps) > BRIEF_STEPS or binding.arena > BRIEF_BYTES or None in copies:
        return False
    calls = [call for step in binding.steps for call in step.calls or ()]
    return all(call.parts == 1 for call in calls) and sum(call.flops for call in calls) <= BRIEF_FLOPS
