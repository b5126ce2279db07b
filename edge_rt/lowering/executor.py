"""Signatures of the executor, which runs programs, and the memory it shares with the thread team.

A program's table has three words per step: address of the kernel's entry, address of its argument words, parts.
"""

from __future__ import annotations

from edge_rt.lowering._spec import KernelSpec

RUN_PROGRAM = KernelSpec("run_program", "steps:i64* start:i64 stop:i64 team:i64*")
"""Runs steps start..stop. team: null, or a team's memory, whose helpers may then do parts."""

HELP_TEAM = KernelSpec("help_team", "team:i64*")
"""What a helper does until the team stops."""

STOP_TEAM = KernelSpec("stop_team", "team:i64*")
"""Ends `help_team` of all helpers, as soon as they finish the part they are at."""

STEP_WORDS = 3
MAX_PARTS = (1 << 15) - 1

CLAIM = 0
"""sequence << 32 | parts << 16 | next part: one word, so that whoever advances it owns a part of just that step."""
DONE = 16
"""How many parts of the current step are finished."""
CURRENT = 32
"""Address and arguments of the current step."""
BUSY = 48
"""1 while a program runs with the team."""
STOPPED = 64
SLEEPING = 80
"""How many helpers sleep, or are about to."""
TEAM_WORDS = 96
"""Each word has a cache line of its own, and the one beside it, which prefetchers couple."""
