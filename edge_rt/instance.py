"""What was linked, made runnable: addresses and views over one session's arena and state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt.linked import ARENA, CONSTANT, LIVE, MADE, STATE, Linked, Place
from edge_rt.native.program import NO_ERROR, Program

if TYPE_CHECKING:
    from edge_rt.native.program import Addresses
    from edge_rt.native.team import Team

Array = np.ndarray[Any, Any]
Run = Callable[[Sequence[Array]], Sequence[Array]]
"""What runs a step in Python: from the arrays of the live slots to those that it makes, if they are its own."""


def aligned_bytes(nbytes: int) -> Array:
    """Uninitialised uint8[nbytes] whose address is a multiple of 64."""
    block = np.empty(nbytes + 64, np.uint8)
    start = -address_of(block) % 64
    return block[start : start + nbytes]


def address_of(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def is_dense(array: Array) -> bool:
    """Whether kernels may read the array where it is."""
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def conclude(results: Sequence[Array], updated: Sequence[Array]) -> list[Array]:
    """Outputs as fresh arrays, once all went well. results: these, and then the new contents of the variables `updated`."""
    made = [r.copy() for r in results]  # a variable's new contents may be another's old ones
    count = len(made) - len(updated)
    for variable, new in zip(updated, made[count:]):
        variable[...] = new
    return made[:count]


class Instance:
    """One session's copy of a binding.

    run(arrays of the live slots) gives the arrays of the `wanted` slots; most are views over the arena, which the next
    run overwrites.
    """

    def __init__(
        self,
        linked: Linked,
        arena: Array,
        state: Sequence[Array],
        library: Addresses | None,
        team: Team | None,
        python: Callable[[Instance, int], Any] | None = None,
    ) -> None:
        """library: of the executor; None if no step has machine code. python: gives the PythonStep of each other step."""
        self.linked = linked
        self._arena, self._state, self._team = arena, state, team
        self._error = np.ndarray(1, np.int64, arena.data).data
        self._error[0] = NO_ERROR
        self.copies = [None if place is None else self.view(place, linked.keeps) for place in linked.copies]
        """For each live slot the view that its array is copied to; None where the steps read the array itself."""
        self._words = _relocated(linked, address_of(arena), state)
        table = linked.table.copy()
        table[:, 1] = table[:, 1] * 8 + address_of(self._words)
        self._program = Program(table, library)
        self._python: Mapping[int, Any] = {
            index: python(self, index) for index, step in enumerate(linked.steps) if step is None and python is not None
        }
        self._segments: list[tuple[Callable[..., Any], bool]] = [
            (self._python[s], False) if isinstance(s, int) else (self._program.call(*s, team, brief=linked.brief), True)
            for s in _merged(linked.steps)
        ]
        """What runs, and whether that is machine code."""
        self._results = [p if p[0] in (LIVE, MADE) else self.view(p, linked.keeps) for p in linked.results]

    @property
    def binding(self) -> Any:
        """What was linked, in full; None for a stored plan."""
        return self.linked.binding

    def run(self, live: Sequence[Array]) -> list[Array]:
        """Runs all steps on these inputs. Raises DataError where an operator finds contents out of range."""
        self.load(live)
        return self.results(live, self.execute(live))

    def results(self, live: Sequence[Array], made: Sequence[Array]) -> list[Array]:
        """The arrays of the wanted slots after the last step. made: what that step gave."""
        return [
            r if not isinstance(r, tuple) else live[r[1]].reshape(r[2]) if r[0] == LIVE else made[r[1]]
            for r in self._results
        ]

    def load(self, live: Sequence[Array]) -> None:
        """Brings the inputs where the steps read them."""
        for number, (array, view) in enumerate(zip(live, self.copies)):
            if view is None:
                self.refer(number, array)
            else:
                view[...] = array

    def refer(self, number: int, array: Array) -> None:
        """Lets the steps read a live slot in this array, which is C-contiguous and must stay alive while they run."""
        positions = self.linked.live.get(number)
        if positions is not None:
            self._words[positions] = address_of(array)

    @property
    def fixed_results(self) -> list[Array] | None:
        """What `run` gives, if that is always the same views and only `load` looks at the live slots' arrays."""
        views = [r for r in self._results if not isinstance(r, tuple)]
        looks = any(step.looks_at_live for step in self._python.values())
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
        if not self.linked.names:
            return native

        def execute() -> None:
            native()
            if error[0] != NO_ERROR:
                fail()

        return execute

    def execute_step(self, index: int, live: Sequence[Array]) -> Sequence[Array]:
        """Runs one step alone, or all of a group with its first; gives the outputs of one that makes its own arrays."""
        calls = self.linked.steps[index]
        if calls is None:
            made: Sequence[Array] = self._python[index](live)
            return made
        group = None if calls[0] == calls[1] else self.binding.steps[index].group
        if group is not None:
            self._spent(index)[...] = 0  # of parts that do not run
        self._program.run(*calls, self._team)
        if self._error[0] != NO_ERROR:
            self._raise()
        return ()

    def shares(self, index: int) -> list[tuple[int, float]]:
        """The steps that `execute_step` last did for this one, and their shares of its time."""
        group = self.binding.steps[index].group
        if group is None:
            return [(index, 1.0)]
        if index > group.first:
            return []
        spent = self._spent(index)[:, : group.end - index].sum(0)
        return list(enumerate((spent / max(spent.sum(), 1)).tolist(), index))

    def _spent(self, index: int) -> Array:
        """Ticks of each part of a group, whose first step this is, in each of its steps."""
        from edge_rt.lowering.bands import MOST_MEMBERS

        step = self.binding.steps[index]
        shape = step.group.calls[-1].parts, MOST_MEMBERS
        return np.ndarray(shape, np.int64, self._arena.data, step.scratch[-1].offset)

    def view(self, place: Place, constants: Sequence[Array]) -> Array:
        """The array at a place that is neither a live slot's nor made by the last step."""
        kind, number, shape, dtype = place
        if kind == ARENA:
            return np.ndarray(shape, dtype, self._arena.data, number)
        assert kind in (STATE, CONSTANT)
        return (self._state if kind == STATE else constants)[number].reshape(shape)

    def _raise(self) -> None:
        from edge_rt.errors import DataError
        from edge_rt.lowering._errors import describe_error

        step, reason = describe_error(int(self._error[0]))
        self._error[0] = NO_ERROR
        raise DataError(f"{self.linked.names[step]}: {reason}")


def _relocated(linked: Linked, arena: int, state: Sequence[Array]) -> Array:
    """The words for an arena at this address and these variables."""
    words = linked.words.copy()
    words[linked.in_arena] += arena
    words[linked.in_words] = words[linked.in_words] * 8 + address_of(words)
    for number, positions in linked.states.items():
        words[positions] = address_of(state[number])
    return words


def _merged(steps: Sequence[tuple[int, int] | None]) -> list[tuple[int, int] | int]:
    """Numbers of steps in Python, and between them the calls of neighbouring native steps: one call into machine code."""
    merged: list[tuple[int, int] | int] = []
    for index, step in enumerate(steps):
        last = merged[-1] if merged else None
        if step is None:
            merged.append(index)
        elif isinstance(last, tuple):
            merged[-1] = (last[0], step[1])
        else:
            merged.append(step)
    return merged
