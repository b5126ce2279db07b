"""Signatures of the executor, which runs programs; `_executor.py` has the memory they share.

A program's table has three words per step: address of the kernel's entry, address of its argument words, parts (and
MERGES).
"""

from __future__ import annotations

from edge_rt.lowering._executor import (
    ADDRESS,
    ALONE,
    ARGS,
    ASLEEP,
    AWAKE,
    AWAY,
    BUSY,
    DONE,
    EVEN,
    GIVES_WAY,
    HELP_SYMBOL,
    LONGEST,
    LOSS,
    MAX_PARTS,
    MEMBER_WORDS,
    MEMBERS,
    MERGES,
    OWNER_CPU,
    PARTS,
    RANGES,
    REST,
    RESTS,
    RUN_SYMBOL,
    RUNS,
    SAVINGS,
    SEQUENCE,
    SHARED,
    SHARES,
    SLEEPS,
    SPAN_WORDS,
    SPANS,
    STAYS,
    STEP_WORDS,
    STOP,
    STOP_SYMBOL,
    STOPPED,
    TURNS,
    WAKES,
    record_words,
    team_words,
)
from edge_rt.lowering._spec import KernelSpec

__all__ = [
    "ADDRESS",
    "ALONE",
    "ARGS",
    "ASLEEP",
    "AWAKE",
    "AWAY",
    "BUSY",
    "DONE",
    "EVEN",
    "GIVES_WAY",
    "HELP_TEAM",
    "LONGEST",
    "LOSS",
    "MAX_PARTS",
    "MEMBERS",
    "MEMBER_WORDS",
    "MERGES",
    "OWNER_CPU",
    "PARTS",
    "RANGES",
    "REST",
    "RESTS",
    "RUNS",
    "RUN_PROGRAM",
    "SAVINGS",
    "SEQUENCE",
    "SHARED",
    "SHARES",
    "SLEEPS",
    "SPANS",
    "SPAN_WORDS",
    "STAYS",
    "STEP_WORDS",
    "STOP",
    "STOPPED",
    "STOP_TEAM",
    "TURNS",
    "WAKES",
    "record_words",
    "team_words",
]

RUN_PROGRAM = KernelSpec(RUN_SYMBOL, "steps:i64* start:i64 stop:i64 team:i64* record:i64*")
"""Runs steps start..stop. team: null, or a team's memory, whose helpers may then do parts. record: what is known of how
long these steps take (zeros at first), by which the owner decides whether to share them; null to share always."""

HELP_TEAM = KernelSpec(HELP_SYMBOL, "team:i64* member:i64")
"""What a helper does until the team stops, or until it wants to be moved off the owner's CPU. member: its number, from 1."""

STOP_TEAM = KernelSpec(STOP_SYMBOL, "team:i64*")
"""Ends `help_team` of all helpers, as soon as they finish the part they are at."""
