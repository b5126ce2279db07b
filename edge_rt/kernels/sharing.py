"""Whether sharing a program with helpers pays, from the times it takes.

A helper that has to share its core with another process, or that has to be woken for a short program, makes the program
slower than it is on one thread. So the owner keeps savings: a small part of the time of what runs alone, and of what
sharing gains. Losses are paid from these; once nothing is left all runs alone, until there is enough for a new try. So
sharing costs at most that small part, whatever the machine does, and one try's losses.

Programs are compared span by span, about a millisecond each: of a long program a try costs little, and a core that is
free again is soon used.
"""

from __future__ import annotations

from typing import Any

from edge_rt.lowering.executor import ALONE, AWAKE, LONGEST, LOSS, SAVINGS, SHARES, TURNS

MOST_TURNS = 64
"""Shared runs of a span before it runs alone once, to see how long that takes now."""
SETTLE = 2
"""Shared runs after one alone in which small losses count as what they are: the helper's caches are cold yet."""
SAVED = 32
"""One part in so many of the time that a span takes alone is saved."""
KEPT = 4
"""One part in so many of a gain is saved: losses shall be rare, too."""
PURSE, MOST_SAVINGS = 3, 16
"""Savings for a try, and those after which no more is saved, in times that the longest span takes alone."""
MOST_LOSS, STALL_US = 8, 4000
"""A loss counts as at most so many times what the longest span takes alone, or so many microseconds, whichever is more."""


def is_worth_sharing(record: Any, span: int) -> bool:
    """record: int64[record_words(...)], span: place of a span's words in it, as in the other functions. See
    lowering/executor.py."""
    worth: bool = record[SHARES] > 0 and record[span + TURNS] < MOST_TURNS
    return worth


def save(record: Any, ticks: int) -> None:
    record[SAVINGS] = min(record[SAVINGS] + ticks, MOST_SAVINGS * record[LONGEST])


def note_alone(record: Any, span: int, took: int) -> None:
    """The span ran on one thread."""
    alone = record[span + ALONE]
    likely = min(took, 2 * alone)
    record[span + ALONE] = alone + (likely - alone) // 4
    record[span + TURNS] = 0
    save(record, likely // SAVED)
    if record[SAVINGS] >= PURSE * record[LONGEST]:
        record[SHARES] = 1


def note_shared(record: Any, span: int, took: int, helper: int) -> None:
    """The span was shared. helper: how it was before (AWAKE, SLEEPS, WAKES).

    What does not gain counts as a loss of a whole run, but for small losses that have a reason: a helper that slept, or is
    on its way, or whose caches are cold.
    """
    alone = record[span + ALONE]
    record[span + TURNS] += 1
    if took <= alone - alone // 16:
        save(record, (alone - took) // KEPT)
        return
    loss = max(took - alone, 0)
    if loss > alone // 4 or (helper == AWAKE and record[span + TURNS] > SETTLE):
        loss = max(loss, alone)
    record[SAVINGS] -= min(loss, record[LOSS])
    if record[SAVINGS] < 0:
        record[SHARES] = 0


def begin_record(record: Any, longest: int, microsecond: int) -> None:
    """All spans were measured, the longest took so long: a first try. microsecond: ticks in one."""
    record[LONGEST], record[LOSS] = longest, max(MOST_LOSS * longest, STALL_US * microsecond)
    record[SAVINGS], record[SHARES] = PURSE * longest, 1
