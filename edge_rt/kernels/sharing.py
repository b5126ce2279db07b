"""Whether sharing a program with helpers pays, from the times it takes.

A helper that has to share its core with another process, or that has to be woken for a short program, makes the program
slower than it is on one thread. So the owner compares: a program that took longer than alone goes into debt, and runs
alone for a multiple of the time lost, twice as much with each loss that follows soon.
"""

from __future__ import annotations

from typing import Any

from edge_rt.lowering.executor import ALONE, AWAKE, COLD, DEBT, FACTOR, GAINS, SLEEPS, TURNS, WAKES

MOST_TURNS = 64
"""Shared runs before the program runs alone once, to see how long that takes now."""
SETTLE = 4
"""Shared runs after one alone in which small losses do not count: the helper's caches are cold yet."""
MOST_FACTOR = 128
STREAK = 8
"""So many gains in a row, and earlier losses are forgotten."""
MOST_LOSS = 16
"""A loss counts as at most so many times what the program takes alone."""


def is_worth_sharing(record: Any) -> bool:
    """record: int64[RECORD_WORDS], as in the other functions; zeros at first. See lowering/executor.py."""
    worth: bool = record[FACTOR] > 0 and record[DEBT] <= 0 and record[TURNS] < MOST_TURNS
    return worth


def note_alone(record: Any, took: int) -> None:
    """The program ran on one thread."""
    alone = record[ALONE]
    if record[FACTOR] == 0:
        # The first run brings the program into the caches; the second one counts.
        record[FACTOR] = alone > 0
        record[ALONE] = took
    else:
        record[ALONE] = alone + (min(took, 2 * alone) - alone) // 4
    record[DEBT] = max(record[DEBT] - took, 0)
    record[TURNS] = record[COLD] = 0


def note_shared(record: Any, took: int, helper: int) -> None:
    """The program was shared. helper: how it was before (AWAKE, SLEEPS, WAKES).

    What waking it costs counts only if it sleeps the next time as well: where runs follow each other closely, it does
    not. While it is on its way, the owner does all by itself, which says nothing.
    """
    alone, was_cold = record[ALONE], record[COLD]
    record[TURNS] += 1
    if helper != WAKES:
        record[COLD] = helper == SLEEPS
    if took <= alone - alone // 16:
        record[GAINS] += 1
        if record[GAINS] >= STREAK:
            record[FACTOR] = 1
    elif (helper == AWAKE or (helper == SLEEPS and was_cold)) and (
        record[TURNS] > SETTLE or took > alone + alone // 2
    ):
        factor = record[FACTOR]
        record[DEBT] = factor * min(max(took - alone, alone), MOST_LOSS * alone)
        record[GAINS], record[FACTOR] = 0, min(2 * factor, MOST_FACTOR)
