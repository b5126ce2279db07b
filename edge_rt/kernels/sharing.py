"""Whether sharing a program with helpers pays, from the times it takes.

A helper that has to share its core with another process, or that has to be woken for a short program, makes the program
slower than it is on one thread. So the owner compares: a program that took longer than alone goes into debt, and runs
alone for a multiple of the time lost, four times as much with each further loss.
"""

from __future__ import annotations

from typing import Any

from edge_rt.lowering.executor import ALONE, COLD, DEBT, FACTOR, GAINS, TURNS

MOST_TURNS = 128
"""Shared runs before the program runs alone once, to see how long that takes now."""
MOST_FACTOR, STEP_FACTOR = 256, 4
STREAK = 8
"""Gains in a row that make the factor smaller again."""
MOST_LOSS = 8
"""A loss counts as at most so many times what the program takes alone."""


def is_worth_sharing(record: Any) -> bool:
    """record: int64[RECORD_WORDS], as in the other functions; zeros at first. See lowering/executor.py."""
    worth: bool = record[ALONE] > 0 and record[DEBT] <= 0 and record[TURNS] < MOST_TURNS
    return worth


def note_alone(record: Any, took: int) -> None:
    """The program ran on one thread."""
    alone = record[ALONE]
    record[ALONE] = took if alone == 0 else alone + (min(took, 2 * alone) - alone) // 4
    record[DEBT] = max(record[DEBT] - took, 0)
    record[TURNS] = record[COLD] = 0


def note_shared(record: Any, took: int, cold: int) -> None:
    """The program was shared. cold: the helpers slept before. What that cost counts only if they sleep the next time as
    well: where runs follow each other closely, they do not."""
    alone, was_cold = record[ALONE], record[COLD]
    record[COLD] = cold
    record[TURNS] += 1
    if took <= alone - alone // 16:
        record[GAINS] += 1
        if record[GAINS] >= STREAK:
            record[GAINS], record[FACTOR] = 0, max(record[FACTOR] // STEP_FACTOR, 1)
    elif not cold or was_cold:
        factor = max(record[FACTOR], 1)
        record[DEBT] = factor * min(max(took - alone, alone), MOST_LOSS * alone)
        record[GAINS], record[FACTOR] = 0, min(factor * STEP_FACTOR, MOST_FACTOR)
