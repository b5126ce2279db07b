"""Machine code on the device: finding, checking, mapping and calling it. Needs neither numba nor a compiler.

What finds and maps it is imported when it is first asked for, since a start from a stored plan does without.
"""

from __future__ import annotations

import os
import weakref
from _thread import RLock
from typing import TYPE_CHECKING, Any

from edge_rt.lowering._executor import HELP_SYMBOL
from edge_rt.native.team import Team

if TYPE_CHECKING:
    from edge_rt.native.host import AnyLibrary
    from edge_rt.native.packs import Library
    from edge_rt.native.program import Addresses

__all__ = ["AnyLibrary", "Library", "Team", "library", "team"]

_teams: weakref.WeakValueDictionary[tuple[int, int], Team] = weakref.WeakValueDictionary()
_lock = RLock()


def library() -> AnyLibrary:
    """The machine code of this process: see host.py."""
    from edge_rt.native import host

    return host.library()


def team(library: Addresses, threads: int | None = None) -> Team:
    """The process's thread team of this size, which all models that want one share; by default as large as the process
    has cores to use. It lasts as long as somebody holds it.
    """
    if threads is None:
        from edge_rt.native.cores import default_threads

        threads = default_threads()
    with _lock:
        key = library.address(HELP_SYMBOL), threads
        found = _teams.get(key)
        if found is None:
            found = _teams[key] = Team(library, threads)
        return found


def __getattr__(name: str) -> Any:
    if name == "Library":
        from edge_rt.native.packs import Library

        return Library
    if name == "AnyLibrary":
        from edge_rt.native.host import AnyLibrary

        return AnyLibrary
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def _after_fork() -> None:
    """In a process just forked: whoever held the lock is not there."""
    global _lock
    _lock = RLock()


os.register_at_fork(after_in_child=_after_fork)
