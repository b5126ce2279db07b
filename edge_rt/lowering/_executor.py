"""The executor's symbols, and the memory that it shares with its owner and the thread team. Of its own, since every start
needs it.

A program's table has three words per step: address of the kernel's entry, address of its argument words, parts.
"""

from __future__ import annotations

RUN_SYMBOL, HELP_SYMBOL, STOP_SYMBOL = "run_program", "help_team", "stop_team"
"""See executor.py."""

STEP_WORDS = 3
MAX_PARTS = (1 << 15) - 1
MERGES = 1 << 16
"""Beside a step's parts, of which there are more than two: parts of fewer are several of them, and may be done instead."""

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
"""Where the owner ran when it last woke a helper or began to share a span."""
RANGES = 64
"""From here each member has MEMBER_WORDS words, the first of which holds the parts of the current step that nobody has
claimed, of those that are the member's own first of all: sequence << 32 | first << 16 | end. One word, so that whoever
changes it owns a part of just that step."""
ADDRESS, ARGS, PARTS = 1, 2, 3
"""Behind a range: the entry of the step's kernel, its argument words, and how many parts the step has."""
ASLEEP = 4
"""Behind a range: whether the member is AWAKE, SLEEPS until its range changes (or is about to), WAKES: was woken, and has
not come yet; or sleeps and must not be woken by this program, since it would have to share the owner's CPU: AWAY."""
GIVES_WAY = 5
"""Behind a range: when the member lets others run on its CPU next, in ticks."""
AWAKE, SLEEPS, WAKES, AWAY = range(4)
STAYS = 6
"""Behind a range: how many times the member may find itself on the owner's CPU before it asks to be moved."""
MEMBER_WORDS = 16

RUNS, SHARES, SAVINGS, LONGEST, LOSS, RESTS, EVEN, SPANS = range(8)
"""A record. RUNS: how often the program ran before its spans were known. SHARES: whether it is to be shared. SAVINGS: ticks
that sharing may lose. LONGEST: ticks of the longest span. LOSS: the most ticks that a loss counts as. RESTS: the most runs
for which a span is left alone. EVEN: runs since a slow one; negative while the program runs alone because of it. From SPANS
on there are SPAN_WORDS for each span."""
STOP, ALONE, TURNS, SHARED, REST = range(5)
"""A span: the step behind its last, ticks that it takes on one thread, how often it was shared since it last ran alone (more
than MOST_TURNS, by the number of runs, while it is left alone), ticks that it took lately when it was shared (0 if it never
was), and for how many runs it was left alone last."""
SPAN_WORDS = 5


def record_words(steps: int) -> int:
    """The size of the record of so many steps, each of which may be a span."""
    return SPANS + SPAN_WORDS * steps


def team_words(threads: int) -> int:
    """The size of a team's memory."""
    return RANGES + MEMBER_WORDS * threads
