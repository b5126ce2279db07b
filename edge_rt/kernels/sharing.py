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

from edge_rt.lowering.executor import ALONE, EVEN, LONGEST, LOSS, REST, RESTS, SAVINGS, SHARED, SHARES, TURNS

MOST_TURNS = 64
"""Shared runs of a span before it runs alone once, to see how long that takes now."""
LATELY = 16
"""Shared runs by which it is judged whether sharing gains: one is too noisy."""
GAIN = 16
"""One part in so many of its time alone is what sharing has to gain."""
MOST_REST, REST_US = 512, 3_000_000
"""Runs, at most, for which a span is left alone that did not gain; and microseconds in the program's time, which only
LATELY runs may exceed: a core that becomes free shall be noticed soon."""
SAVED = 32
"""One part in so many of the time that a span takes alone is saved."""
KEPT = 4
"""One part in so many of a gain is saved: losses shall be rare, too."""
PURSE, MOST_SAVINGS = 3, 16
"""Savings for a try, and those after which no more is saved, in times that the longest span takes alone."""
RARE = 20
"""Runs of a program of which at most one shall be shared and slower by a quarter: a latency that varies is worth little."""
MOST_LOSS, STALL_US = 8, 4000
"""A loss counts as at most so many times what the longest span takes alone, or so many microseconds, whichever is more."""


def is_worth_sharing(record: Any, span: int) -> bool:
    """record: int64[record_words(...)], span: place of a span's words in it, as in the other functions. See
    lowering/executor.py."""
    worth: bool = record[SHARES] > 0 and record[EVEN] >= 0 and record[span + TURNS] < MOST_TURNS
    return worth


def save(record: Any, ticks: int) -> None:
    record[SAVINGS] = min(record[SAVINGS] + ticks, MOST_SAVINGS * record[LONGEST])


def pay(record: Any, loss: int) -> None:
    record[SAVINGS] -= min(loss, record[LOSS])
    if record[SAVINGS] < 0:
        record[SHARES] = 0


def note_alone(record: Any, span: int, took: int) -> None:
    """The span ran on one thread. Nothing makes it too fast, but much makes it slow for once. If sharing did not make it
    faster lately it is left alone for a while, the longer the oftener: it shall not keep another core busy."""
    alone, turns, rest = record[span + ALONE], record[span + TURNS], record[span + REST]
    likely = min(took, 2 * alone)
    if turns == MOST_TURNS:
        is_vain = record[span + SHARED] > took - took // GAIN
        rest = min(2 * max(rest, LATELY), record[RESTS]) if is_vain else 0
        turns += rest
    record[span + TURNS] = turns - 1 if turns > MOST_TURNS + 1 else 0
    record[span + ALONE], record[span + REST] = alone + (likely - alone) // (4 if took > alone else 2), rest
    save(record, likely // SAVED)
    if record[SAVINGS] >= PURSE * record[LONGEST]:
        record[SHARES] = 1


def note_shared(record: Any, span: int, took: int, awake: bool) -> None:
    """The span was shared. awake: whether the helper was, before it. If sharing did not gain in the last runs, the span runs
    alone next, to see whether it is the machine that has become slower. Runs in which a helper was still on its way say
    nothing about that."""
    alone, shared, turns = record[span + ALONE], record[span + SHARED], record[span + TURNS] + 1
    if took < alone:
        save(record, (alone - took) // KEPT)
    else:
        pay(record, took - alone)
    if not awake and took > alone - alone // GAIN:
        return
    likely = min(took, 2 * alone)
    shared = shared + (likely - shared) // LATELY if shared > 0 else likely
    is_vain = turns % LATELY == 0 and shared > alone - alone // GAIN
    record[span + SHARED], record[span + TURNS] = shared, MOST_TURNS if is_vain else turns


def note_program(record: Any, shared: bool, slower: int, alone: int) -> None:
    """The whole program ran. alone: ticks that its spans were thought to take alone, slower: how many more it took, without
    spans that found the helper asleep."""
    slow = shared and slower > alone // 4
    record[EVEN] = min(record[EVEN] + 1 - (RARE if slow else 0), RARE)


def begin_record(record: Any, longest: int, total: int, microsecond: int) -> None:
    """All spans were measured, the longest and all together took so long: a first try. microsecond: ticks in one."""
    record[RESTS] = max(LATELY, min(MOST_REST, REST_US * microsecond // max(total, 1)))
    record[LONGEST], record[LOSS] = longest, max(MOST_LOSS * longest, STALL_US * microsecond)
    record[SAVINGS], record[SHARES] = PURSE * longest, 1
