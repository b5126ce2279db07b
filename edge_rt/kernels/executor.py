"""Runs programs, alone or with a team of threads.

A step with several parts is published in the team's memory; its owner and the helpers claim parts by advancing one
atomic word, and the step ends when all parts are done. The owner needs nobody: helpers that come late, or never, cost
speed only. A claim that succeeds proves that the step is still the one that the claimed word belonged to, since a step
with an unfinished part cannot be followed by another.
"""

from __future__ import annotations

from numba import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.simd import (
    atomic_add,
    atomic_load,
    atomic_store,
    call_kernel,
    compare_exchange,
    fence,
    futex_wait,
    futex_wake,
    is_null,
    pause,
    pointer,
    yield_processor,
)
from edge_rt.lowering.executor import (
    BUSY,
    CLAIM,
    CURRENT,
    DONE,
    HELP_TEAM,
    RUN_PROGRAM,
    SLEEPING,
    STEP_WORDS,
    STOP_TEAM,
    STOPPED,
)

I64 = types.int64
BUSY_SPINS, IDLE_SPINS, WAIT_SPINS = 4000, 400, 2000
"""Pauses before a helper sleeps, during a program and after one; and before the owner lets others run."""


def do_parts(team, claim):
    """Does parts of the step that `claim` belongs to, until all are claimed; the last claim word seen."""
    while (claim & 0xFFFF) < ((claim >> 16) & 0xFFFF):
        address = atomic_load(team + CURRENT)
        args = pointer(I64, atomic_load(team + (CURRENT + 1)))
        if compare_exchange(team + CLAIM, claim, claim + 1):
            call_kernel(address, args, claim & 0xFFFF, (claim >> 16) & 0xFFFF)
            atomic_add(team + DONE, 1)
        claim = atomic_load(team + CLAIM)
    return claim


def share_step(team, address, args, parts):
    atomic_store(team + DONE, 0)
    atomic_store(team + CURRENT, address)
    atomic_store(team + (CURRENT + 1), args)
    claim = (((atomic_load(team + CLAIM) >> 32) + 1) << 32) | (parts << 16)
    atomic_store(team + CLAIM, claim)
    fence()
    if atomic_load(team + SLEEPING) > 0:
        futex_wake(team + CLAIM, parts - 1)
    do_parts(team, claim)
    spins = 0
    while atomic_load(team + DONE) < parts:
        pause()
        spins += 1
        if spins > WAIT_SPINS:
            yield_processor()


def run_alone(address, args, parts):
    for i in range(parts):
        call_kernel(address, args, i, parts)


@kernel(RUN_PROGRAM)
def run_program(target):
    def body(steps, start, stop, team, part, parts):
        with_team = False
        if not is_null(team):
            with_team = compare_exchange(team + BUSY, 0, 1)
        for i in range(start, stop):
            address, args, count = steps[STEP_WORDS * i], steps[STEP_WORDS * i + 1], steps[STEP_WORDS * i + 2]
            if with_team and count > 1:
                share_step(team, address, args, count)
            else:
                run_alone(address, pointer(I64, args), count)
        if with_team:
            atomic_store(team + BUSY, 0)

    return body


@kernel(HELP_TEAM)
def help_team(target):
    def body(team, part, parts):
        claim, spins = atomic_load(team + CLAIM), 0
        while atomic_load(team + STOPPED) == 0:
            seen = do_parts(team, atomic_load(team + CLAIM))
            if seen != claim:
                claim, spins = seen, 0
            elif spins < (BUSY_SPINS if atomic_load(team + BUSY) else IDLE_SPINS):
                pause()
                spins += 1
            else:
                atomic_add(team + SLEEPING, 1)
                fence()
                if atomic_load(team + STOPPED) == 0:
                    futex_wait(team + CLAIM, claim)
                atomic_add(team + SLEEPING, -1)
                spins = 0

    return body


@kernel(STOP_TEAM)
def stop_team(target):
    def body(team, part, parts):
        atomic_store(team + STOPPED, 1)
        claim = atomic_load(team + CLAIM)
        while not compare_exchange(team + CLAIM, claim, claim ^ (1 << 62)):
            claim = atomic_load(team + CLAIM)
        futex_wake(team + CLAIM, 1 << 30)

    return body
