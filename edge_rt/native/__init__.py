"""Machine code on the device: finding, checking, mapping and calling it. Needs neither numba nor a compiler."""

from __future__ import annotations

from edge_rt.native.library import Library, library
from edge_rt.native.team import Team, default_threads

__all__ = ["Library", "Team", "library", "team"]


def team(library: Library, threads: int | None = None) -> Team:
    """A thread team; by default of as many threads as this process has cores to use."""
    return Team(library, default_threads() if threads is None else threads)
