"""A binding's machine code as plain data: the words and the table that the executor reads, before they have an arena.

What reads stored plans makes the same of a file: see stored.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from edge_rt.binding import Binding

Array = np.ndarray[Any, Any]

ARENA, STATE, CONSTANT, LIVE, MADE = range(5)
"""Where an array is: in the arena at an offset; variable number n; constant number n of `keeps`; the caller's array for live
slot n; output n of the last step, which makes its own arrays."""

Place = tuple[int, int, tuple[int, ...], "np.dtype[Any]"]
"""Where an array is, which one or at what offset, its shape and dtype."""


class Linked:
    """What an instance of a binding is made of. Immutable; the same for all sessions.

    words: int64[n], the arguments of all kernels. Addresses in the arena are offsets in it, those of variables and of live
    slots are 0: an instance puts in its own. table: int64[calls, 3], for each call the address of the kernel's entry, the
    position of its first word, and its parts. in_arena: positions of the words that are offsets. constant: positions of
    those that are addresses of constants. in_code, in_words: of those that are addresses of kernels, and positions of words
    whose addresses are meant. states, live: the positions for each variable and live slot that any word is an
    address of. steps: for each step its calls in the table, first and end, or None where Python does it. copies: for each
    live slot the place that its array is copied to, None where the steps read the array itself. results: places of the
    wanted slots. names: the steps' nodes for errors, if any of them may find contents out of range. keeps: arrays that
    addresses lead to. brief: see Program.call. binding: what this was linked from, None if it was read from a file.
    """

    __slots__ = (
        "arena", "binding", "brief", "constant", "copies", "in_arena", "in_code", "in_words", "keeps", "live", "names",
        "results", "states", "steps", "table", "words",
    )  # fmt: skip

    def __init__(
        self,
        arena: int,
        words: Array,
        table: Array,
        in_arena: Array,
        constant: Array,
        in_code: Array,
        in_words: Array,
        states: Mapping[int, Array],
        live: Mapping[int, Array],
        steps: Sequence[tuple[int, int] | None],
        copies: Sequence[Place | None],
        results: Sequence[Place],
        names: Sequence[str],
        keeps: Sequence[Array],
        brief: bool,
        binding: Binding | None = None,
    ) -> None:
        self.arena, self.words, self.table, self.in_arena, self.constant = arena, words, table, in_arena, constant
        self.in_code, self.in_words = in_code, in_words
        self.states, self.live, self.steps, self.copies, self.results = states, live, steps, copies, results
        self.names, self.keeps, self.brief, self.binding = names, keeps, brief, binding
