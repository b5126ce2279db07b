"""Signatures of the executor, which runs programs, and the memory it shares with the thread team.

A program's table has three words per step: address of the kernel's entry, address of its argument words, parts.
"""

from __future__ import annotations

from edge_rt.lowering._spec import KernelSpec

RUN_PROGRAM = KernelSpec("run_program", "steps:i64* start:i64 stop:i64 team:i64* record:i64*")
"""Runs steps start..stop. team: null, or a team's memory, whose helpers may then do parts. record: what is known of how
long these steps take (zeros at first), by which the owner decides whether to share them; null to share always."""

HELP_TEAM = KernelSpec("help_team", "team:i64* member:i64")
"""What a helper does until the team stops. member: its number, from 1."""

STOP_TEAM = KernelSpec("stop_team", "team:i64*")
"""Ends `help_team` of all helpers, as soon as they finish the part they are at."""

STEP_WORDS = 3
MAX_PARTS = (1 << 15) - 1

# A team's memory, in words. What different threads write has cache lines of its own, and the ones beside them, which
# prefetchers couple.
DONE = 0
"""How many parts of the current step are finished."""
BUSY = 16
"""1 while a program runs with the team."""
SEQUENCE = 32
"""Number of the current step; only the owner looks at it."""
STOPPED = 48
MEMBERS = 49
"""How many threads the team has, with the owner, who is member 0."""
OWNER_CPU = 50
"""Where the owner ran when it last woke a helper."""
RANGES = 64
"""From here each member has MEMBER_WORDS words, the first of which holds the parts of the current step that nobody has
claimed, of those that are the member's own first of all: sequence << 32 | first << 16 | end. One word, so that whoever
changes it owns a part of just that step."""
ADDRESS, ARGS, PARTS = 1, 2, 3
"""Behind a range: the entry of the step's kernel, its argument words, and how many parts the step has."""
ASLEEP = 4
"""Behind a range: whether the member is AWAKE, SLEEPS until its range changes (or is about to), WAKES: was woken, and has
not come yet; or sleeps and must not be woken by this program, since it would have to share the owner's CPU: AWAY."""
AWAKE, SLEEPS, WAKES, AWAY = range(4)
MEMBER_WORDS = 16

RUNS, SHARES, SAVINGS, LONGEST, LOSS, SPANS = range(6)
"""A record. RUNS: how often the program ran before its spans were known. SHARES: whether it is to be shared. SAVINGS: ticks
that sharing may lose. LONGEST: ticks of the longest span. LOSS: the most ticks that a loss counts as. From SPANS on there
are SPAN_WORDS for each span."""
STOP, ALONE, TURNS = range(3)
"""A span: the step behind its last, ticks that it takes on one thread, how often it was shared since it last ran alone."""
SPAN_WORDS = 3


def record_words(steps: int) -> int:
    """The size of the record of so many steps, each of which may be a span."""
    return SPANS + SPAN_WORDS * steps


def team_words(threads: int) -> int:
    """The size of a team's memory."""
    return RANGES + MEMBER_WORDS * threads
