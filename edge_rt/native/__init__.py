"""Machine code on the device: finding, checking, mapping and calling it. Needs neither numba nor a compiler."""

from __future__ import annotations

import os
import weakref
from _thread import allocate_lock

from edge_rt.native.host import AnyLibrary, library
from edge_rt.native.library import Library
from edge_rt.native.team import Team

__all__ = ["AnyLibrary", "Library", "Team", "library", "team"]

_teams: weakref.WeakValueDictionary[tuple[int, int], Team] = weakref.WeakValueDictionary()
_lock = allocate_lock()


def team(library: AnyLibrary, threads: int | None = None) -> Team:
    """The process's thread team of this size, which all models that want one share; by default as large as the process
    has cores to use. It lasts as long as somebody holds it.
    """
    if threads is None:
        from edge_rt.native.cores import default_threads

        threads = default_threads()
    with _lock:
        found = _teams.get((id(library), threads))
        if found is None:
            found = _teams[id(library), threads] = Team(library, threads)
        return found


def _after_fork() -> None:
    """In a process just forked: whoever held the lock is not there."""
    global _lock
    _lock = allocate_lock()


os.register_at_fork(after_in_child=_after_fork)
