"""A binding made runnable: addresses and views over one session's arena and state."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edge_rt.binding import CONTROL, Binding, Place, Step
from edge_rt.errors import DataError
from edge_rt.lowering._spec import Arg, ErrorWord, In, Out, Scratch, StepNumber, Table
from edge_rt.native.host import AnyLibrary
from edge_rt.native.program import NO_ERROR, Program, describe_error
from edge_rt.native.team import Team

Array = np.ndarray[Any, Any]
_BITS, _FLOAT = struct.Struct("<I"), struct.Struct("<f")
Control = Callable[[Step, Sequence["Array | None"]], Sequence[Array]]
BRIEF_STEPS, BRIEF_BYTES, BRIEF_FLOPS = 8, 1 << 14, 1 << 17
"""Up to so many steps, bytes of arena and operations a program is brief: see Program.call."""


def aligned_bytes(nbytes: int, alignment: int = 64) -> Array:
    """Uninitialised uint8[nbytes] whose address is a multiple of `alignment`."""
    block = np.empty(nbytes + alignment, np.uint8)
    start = -address_of(block) % alignment
    return block[start : start + nbytes]


def address_of(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


class LiveInput:
    """A live slot's array, as the caller passes it, in the shape that a slot which shares its bytes has."""

    __slots__ = ("number", "shape")

    def __init__(self, number: int, shape: tuple[int, ...]) -> None:
        self.number, self.shape = number, shape

    def of(self, live: Sequence[Array]) -> Array:
        return live[self.number].reshape(self.shape)


class PythonStep:
    """A step that runs in Python: an operator's reference, or a loop. Reads and writes views over the arena."""

    __slots__ = ("inputs", "outputs", "run", "slots", "step")

    def __init__(
        self, step: Step, inputs: Sequence[Array | LiveInput | None], outputs: Sequence[Array] | None, run: Control
    ) -> None:
        self.step, self.run = step, run
        self.inputs = tuple(inputs)
        self.outputs = outputs
        """Views to fill; None where sizes are not known before the step runs."""

    def __call__(self, live: Sequence[Array]) -> Sequence[Array]:
        given = [x.of(live) if isinstance(x, LiveInput) else x for x in self.inputs]
        made = self.run(self.step, given)
        if self.outputs is None:
            return made
        for view, array in zip(self.outputs, made):
            if view.shape != array.shape or view.dtype != array.dtype:
                raise DataError(
                    f"{self.step.item.where}: computed {array.dtype}{list(array.shape)}, "
                    f"but its inputs promised {view.dtype}{list(view.shape)}"
                )
            view[...] = array
        return ()


class Instance:
    """One session's copy of a binding.

    run(arrays of the live slots) gives the arrays of the `wanted` slots; most are views over the arena, which the next
    run overwrites.
    """

    def __init__(
        self,
        binding: Binding,
        arena: Array,
        state: Sequence[Array],
        library: AnyLibrary | None,
        team: Team | None,
        control: Control,
        wanted: Sequence[int],
    ) -> None:
        self.binding = binding
        self._arena, self._state, self._team = arena, state, team
        self._live = {slot: number for number, slot in enumerate(binding.stage.live)}
        self._keep: list[Any] = [arena, state]
        self._error = self._view(0, (1,), np.dtype(np.int64)).data
        self._error[0] = NO_ERROR
        blocks = [binding.places[slot].block for slot in binding.stage.live]
        self.copies = [None if b is None else self._slot_view(s) for b, s in zip(blocks, binding.stage.live)]
        """For each live slot the view that its array is copied to; None where the steps read the array itself."""
        self._patches: dict[int, list[int]] = {}
        self._steps: list[tuple[int, int] | PythonStep] = []
        """For each step its range in the program, or what runs it in Python."""
        self._reports = False
        """Whether a step may find contents out of range."""
        self._program = self._build(library, control)
        brief = self._is_brief()
        self._segments: list[tuple[Callable[..., Any], bool]] = [
            (s, False) if isinstance(s, PythonStep) else (self._program.call(*s, team, brief=brief), True)
            for s in _merge(self._steps)
        ]
        """What runs, and whether that is machine code."""
        self._results = [self._result(s) for s in wanted]

    def run(self, live: Sequence[Array]) -> list[Array]:
        """Runs all steps on these inputs. Raises DataError where an operator finds contents out of range."""
        self.load(live)
        return self.results(live, self.execute(live))

    def results(self, live: Sequence[Array], made: Sequence[Array]) -> list[Array]:
        """The arrays of the wanted slots after the last step. made: what that step gave."""
        return [r.of(live) if isinstance(r, LiveInput) else made[r] if isinstance(r, int) else r for r in self._results]

    def load(self, live: Sequence[Array]) -> None:
        """Brings the inputs where the steps read them."""
        for number, (array, view) in enumerate(zip(live, self.copies)):
            if view is None:
                self.refer(number, array)
            else:
                view[...] = array

    def refer(self, number: int, array: Array) -> None:
        """Lets the steps read a live slot in this array, which is C-contiguous and must stay alive while they run."""
        positions = self._patches.get(number)
        if positions:
            self._words[positions] = address_of(array)

    @property
    def fixed_results(self) -> list[Array] | None:
        """What `run` gives, if that is always the same views and only `load` looks at the live slots' arrays."""
        views = [r for r in self._results if isinstance(r, np.ndarray)]
        steps = [s for s in self._steps if isinstance(s, PythonStep)]
        looks = any(isinstance(x, LiveInput) for s in steps for x in s.inputs)
        return None if looks or len(views) < len(self._results) else views

    def execute(self, live: Sequence[Array]) -> Sequence[Array]:
        """Runs all steps on what was loaded; gives the outputs of a last step that makes its own arrays."""
        made: Sequence[Array] = ()
        for segment, is_native in self._segments:
            if is_native:
                segment()
                if self._error[0] != NO_ERROR:
                    self._raise()
            else:
                made = segment(live)
        return made

    @property
    def executor(self) -> Callable[[], object]:
        """What `execute` does where no step looks at the live slots' arrays, with as little as possible around it."""
        if len(self._segments) != 1 or not self._segments[0][1]:
            return lambda: self.execute(())
        (native, _), error, fail = self._segments[0], self._error, self._raise
        if not self._reports:
            return native

        def execute() -> None:
            native()
            if error[0] != NO_ERROR:
                fail()

        return execute

    def execute_step(self, index: int, live: Sequence[Array]) -> Sequence[Array]:
        """Runs one step alone; gives the outputs of one that makes its own arrays."""
        step = self._steps[index]
        if isinstance(step, PythonStep):
            return step(live)
        self._program.run(*step, self._team)
        if self._error[0] != NO_ERROR:
            self._raise()
        return ()

    def input_view(self, slot: int) -> Array:
        """The live slot's place in the arena."""
        return self._slot_view(slot)

    # ---- building ---------------------------------------------------------------------------------------------------

    def _build(self, library: AnyLibrary | None, control: Control) -> Program:
        steps = self.binding.steps
        words: list[int] = []
        table: list[tuple[int, int, int]] = []
        arena = address_of(self._arena)
        calls = [call for step in steps for call in step.calls or ()]
        assert library is not None or not calls
        entries = iter(() if library is None else library.entries(calls))
        for index, step in enumerate(steps):
            if step.calls is None:
                self._steps.append(self._python_step(step, index, control))
                continue
            first = len(table)
            for call in step.calls:
                table.append((next(entries), len(words), call.parts))
                for arg in call.args:
                    words.append(self._word(arg, step, index, arena, len(words)))
            self._steps.append((first, len(table)))
        self._words = np.array(words, np.int64) if words else np.zeros(1, np.int64)
        base = address_of(self._words)
        return Program([(a, base + 8 * w, parts) for a, w, parts in table])

    def _is_brief(self) -> bool:
        """Whether the machine code takes a few microseconds: few steps on few numbers, none of them worth sharing out."""
        steps = self.binding.steps
        if len(steps) > BRIEF_STEPS or self.binding.arena > BRIEF_BYTES or any(c is None for c in self.copies):
            return False
        calls = [call for step in steps for call in step.calls or ()]
        return all(call.parts == 1 for call in calls) and sum(call.flops for call in calls) <= BRIEF_FLOPS

    def _word(self, arg: Arg, step: Step, index: int, arena: int, position: int) -> int:
        slot: int | None
        if type(arg) is int:
            return arg
        if type(arg) is In:
            slot = step.inputs[arg.index]
        elif type(arg) is Out:
            slot = step.outputs[arg.index]
        else:
            return self._other_word(arg, step, index, arena)
        assert slot is not None
        place = self.binding.places[slot]
        if place.block is not None:
            return arena + place.block.offset
        if place.data is not None:
            return address_of(self._constant(place))
        if place.variable >= 0:
            return address_of(self._state[place.variable])
        self._patches.setdefault(self._live[self.binding.roots.get(slot, slot)], []).append(position)
        return 0

    def _other_word(self, arg: Arg, step: Step, index: int, arena: int) -> int:
        """The word of an argument that is neither an int nor a tensor of the node."""
        if isinstance(arg, float):
            return int(_BITS.unpack(_FLOAT.pack(arg))[0])
        if isinstance(arg, (int, np.integer)):
            return int(arg)
        if isinstance(arg, Scratch):
            return arena + step.scratch[arg.index].offset
        if isinstance(arg, Table):
            self._keep.append(arg.data)
            return address_of(arg.data)
        if isinstance(arg, ErrorWord):
            self._reports = True
            return arena
        assert isinstance(arg, StepNumber)
        return index

    def _constant(self, place: Place) -> Array:
        """The constant, contiguous; a copy that must be made is made once per binding."""
        assert place.data is not None
        if not place.data.flags.c_contiguous:
            place.data = np.asarray(place.data, order="C")
        self._keep.append(place.data)
        return place.data

    def _python_step(self, step: Step, index: int, control: Control) -> PythonStep:
        inputs = [None if s is None else self._source(s) for s in step.inputs]
        dynamic = self.binding.dynamic and index == len(self.binding.steps) - 1
        outputs = None if dynamic else [self._slot_view(s) for s in step.outputs]
        return PythonStep(step, inputs, outputs, control if step.item.op.name in CONTROL else _reference)

    def _source(self, slot: int) -> Array | LiveInput:
        if self.binding.places[slot].is_external:
            return self._live_input(slot)
        view = self._slot_view(slot)
        view.flags.writeable = False
        return view

    def _result(self, slot: int) -> Array | LiveInput | int:
        """A view; or a live input; or the number of an output of the last step, which makes its own arrays."""
        if not self.binding.places[slot].is_external:
            return self._slot_view(slot)
        if self.binding.roots.get(slot, slot) in self._live:
            return self._live_input(slot)
        return self.binding.steps[-1].outputs.index(slot)

    def _live_input(self, slot: int) -> LiveInput:
        number = self._live[self.binding.roots.get(slot, slot)]
        return LiveInput(number, self.binding.types[slot].static_shape)

    def _slot_view(self, slot: int) -> Array:
        place, type_ = self.binding.places[slot], self.binding.types[slot]
        if place.block is not None:
            return self._view(place.block.offset, type_.static_shape, type_.dtype.numpy)
        data = self._state[place.variable] if place.data is None else place.data
        return data.reshape(type_.static_shape)

    def _view(self, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        return np.ndarray(shape, dtype, self._arena.data, offset)

    def _raise(self) -> None:
        step, reason = describe_error(int(self._error[0]))
        self._error[0] = NO_ERROR
        raise DataError(f"{self.binding.steps[step].item.where}: {reason}")


def _merge(steps: Sequence[tuple[int, int] | PythonStep]) -> list[tuple[int, int] | PythonStep]:
    """Neighbouring native steps as one segment: one call into machine code."""
    merged: list[tuple[int, int] | PythonStep] = []
    for step in steps:
        last = merged[-1] if merged else None
        if isinstance(step, tuple) and isinstance(last, tuple):
            merged[-1] = (last[0], step[1])
        else:
            merged.append(step)
    return merged


def _reference(step: Step, inputs: Sequence[Array | None]) -> Sequence[Array]:
    try:
        with np.errstate(all="ignore"):
            made = step.item.op.evaluate(step.item.attrs, *inputs)
    except DataError as error:
        raise DataError(f"{step.item.where}: {error}") from None
    return made  # type: ignore[return-value]
