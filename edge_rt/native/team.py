"""The thread team: helpers that take parts of a program's steps off the thread that runs it.

Helpers are Python threads, each inside a native call: they wait there for steps, a moment awake and then asleep, without
the interpreter's lock. They leave it only to move to another CPU. A program never needs them: see kernels/executor.py.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from _thread import RLock, get_ident
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from edge_rt.lowering._executor import (
    HELP_SYMBOL,
    MEMBER_WORDS,
    MEMBERS,
    OWNER_CPU,
    RANGES,
    STAYS,
    STOP_SYMBOL,
    STOPPED,
    team_words,
)

if TYPE_CHECKING:
    from threading import Thread

    from edge_rt.native.program import Addresses

MANY_WAKES = 1000
"""How often a helper that cannot be moved finds itself on the owner's CPU before it asks again."""


class Team:
    """`threads` threads: that of the caller, and helpers that start when `memory` is first asked for."""

    __slots__ = ("__weakref__", "_crew", "_finalizer", "_help", "_stop", "threads")

    def __init__(self, library: Addresses, threads: int) -> None:
        if threads < 1:
            raise ValueError(f"a team needs at least 1 thread, got {threads}")
        self.threads = threads
        entry = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        self._help, self._stop = entry(library.address(HELP_SYMBOL)), entry(library.address(STOP_SYMBOL))
        self._recruit()
        _teams.add(self)

    def _recruit(self) -> None:
        self._crew = _Crew(self._help, self._stop, self.threads)
        self._finalizer = weakref.finalize(self, self._crew.stop)

    @property
    def memory(self) -> int:
        """Address of the team's memory; stays the same for the team's life."""
        self._crew.start()
        return self._crew.address

    def close(self) -> None:
        """Ends the helpers. Programs that run, or are run later, go on without them."""
        self._finalizer()

    def __repr__(self) -> str:
        return f"Team({self.threads} threads)"


class _Crew:
    """The helpers of a team and the memory they share. It knows nothing of the team, which may be collected first."""

    def __init__(self, help_: Callable[[int], None], stop: Callable[[int], None], members: int) -> None:
        self._help, self._stop, self._members = help_, stop, members
        block = np.zeros(team_words(members) + 16, np.int64)
        start = -block.ctypes.data % 128 // 8
        self._block = block[start : start + team_words(members)]
        self._block[MEMBERS] = members
        self.address = self._block.ctypes.data
        self._words = np.array([[self.address, member] for member in range(members)], np.int64)
        """Arguments of each member's entry."""
        self._threads: list[Thread] = []
        self._lock = RLock()
        self._closed = False

    def start(self) -> None:
        """Starts the helpers, unless they were started or the team was closed; fewer, or none, where the system gives no
        more threads."""
        with self._lock:
            if self._closed or self._threads or self._members < 2:
                return
            from threading import Thread

            for member in range(1, self._members):
                thread = Thread(target=self._work, args=(member,), name=f"edge-rt helper {member}", daemon=True)
                self._threads.append(thread)  # first: a signal handler that breaks in, or breaks it off, must find it
                try:
                    thread.start()
                except RuntimeError:  # RLIMIT_NPROC, pids.max, no memory for its stack, or the process ends
                    self._threads.pop()
                    return

    def _work(self, member: int) -> None:
        words, affinity = self._words[member].ctypes.data, None
        self._help(words)
        while not self._block[STOPPED]:
            try:
                from edge_rt.native.affinity import Affinity

                affinity = affinity or Affinity()
                moves = affinity.leave(int(self._block[OWNER_CPU]))
            except OSError:  # no descriptor is left to read the module with
                moves = False
            if not moves:
                self._block[RANGES + MEMBER_WORDS * member + STAYS] = MANY_WAKES
            self._help(words)

    def stop(self) -> None:
        """Ends the helpers and waits until they are gone: at most as long as the part they are at takes."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, []
        self._stop(self._words.ctypes.data)
        for thread in threads:
            if thread.ident not in (None, get_ident()):
                thread.join()

    def forget(self) -> None:
        """In a process just forked: the helpers are not there, and whatever they were at will never be done."""
        self._lock = RLock()
        self._threads = []
        self._block[:] = 0
        self._block[MEMBERS] = self._members


_teams: weakref.WeakSet[Team] = weakref.WeakSet()


def _after_fork() -> None:
    for team in list(_teams):
        team._crew.forget()


os.register_at_fork(after_in_child=_after_fork)
