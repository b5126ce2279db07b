"""Programs: tables of kernel calls, each run by one native call."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_rt.lowering._errors import NO_ERROR
from edge_rt.lowering._executor import MAX_PARTS, MERGES, RUN_SYMBOL, record_words

if TYPE_CHECKING:
    from typing import Protocol

    from edge_rt.native.team import Team

    class Addresses(Protocol):
        """Addresses of machine code by symbol."""

        def address(self, symbol: str) -> int: ...


__all__ = ["NO_ERROR", "Program"]


class Program:
    """Steps: (address of the kernel's entry, address of its argument words, parts, and MERGES if so), also as
    int64[steps, 3].

    Programs are immutable, apart from the words and the memory they point to, which their owner keeps alive. Several
    threads may run programs at the same time, also with one team; two may not run the same one, since it is one arena.
    """

    __slots__ = ("_calls", "_library", "_table")

    def __init__(
        self, steps: Sequence[tuple[int, int, int]] | np.ndarray[Any, Any], library: Addresses | None = None
    ) -> None:
        """library: whose executor to run with; by default that of the process. Raises ValueError for parts < 1."""
        table = np.array(steps, np.int64).reshape(-1, 3)
        parts = table[:, 2] & ~MERGES
        if parts.min(initial=1) < 1 or parts.max(initial=1) > MAX_PARTS or not table[:, 0].all():
            raise ValueError(f"a step needs an address and 1 to {MAX_PARTS} parts, got {table.tolist()}")
        self._table = table
        self._library = library
        self._calls: dict[tuple[int, int | None, Team | None], Callable[[], None]] = {}

    def run(self, start: int = 0, stop: int | None = None, team: Team | None = None) -> None:
        """Runs steps start..stop (to the end, if None), with the helpers of `team`."""
        call = self._calls.get((start, stop, team))
        if call is None:
            call = self._calls[start, stop, team] = self._prepare(start, stop, team, False, False)
        call()

    def call(
        self, start: int = 0, stop: int | None = None, team: Team | None = None, *, brief: bool = False
    ) -> Callable[[], None]:
        """What `run` does with these arguments, prepared: nothing but the native call is left. Good on its own.

        It uses the helpers where that pays, by the times that its runs take: see kernels/sharing.py.
        brief: the steps take a few microseconds. They then keep the interpreter's lock, which costs less than giving it
        away, all the more where another thread waits for it.
        """
        return self._prepare(start, stop, team, brief, True)

    def _prepare(
        self, start: int, stop: int | None, team: Team | None, brief: bool, compares: bool
    ) -> Callable[[], None]:
        end = len(self) if stop is None else stop
        if not 0 <= start <= end <= len(self):
            raise ValueError(f"steps {start}..{end} are not among the program's {len(self)}")
        shares = team is not None and team.threads > 1 and bool((self._table[start:end, 2] > 1).any())
        memory = team.memory if team is not None and shares else 0
        compares = compares and memory != 0
        words = np.zeros(5 + (record_words(end - start) if compares else 0), np.int64)
        record = words.ctypes.data + 8 * 5 if compares else 0
        words[:5] = self._table.ctypes.data, start, end, memory, record
        first: Any = ctypes.c_int64.from_buffer(words.data)
        first.keeps = self._table, team
        entry = _entry(brief)((self._library or _library()).address(RUN_SYMBOL))
        return functools.partial(entry, ctypes.byref(first))

    def __len__(self) -> int:
        return len(self._table)

    def __repr__(self) -> str:
        return f"Program({len(self)} steps)"


@functools.cache
def _entry(is_brief: bool) -> Callable[[int], Any]:
    """How the entry is called: with the interpreter's lock, or without. Without argument types ctypes converts nothing."""
    return ctypes.PYFUNCTYPE(None) if is_brief else ctypes.CFUNCTYPE(None)


def _library() -> Addresses:
    from edge_rt.native.host import library

    return library()
