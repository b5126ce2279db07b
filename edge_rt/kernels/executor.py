"""Runs programs, alone or with a team of threads.

The parts of a step are dealt out to the members of the team in ranges. A member takes its own parts from the front of
its range, then those of others from the back of theirs, so that members seldom meet, and meet the same data in the next
step. The owner needs nobody: it takes the parts of helpers that come late, or never. A claim that succeeds proves that
the step is still the one that the claimed range belonged to, since a step with an unfinished part cannot be followed by
another. Which member does a part does not change what the part does; alone, all is one part.
"""

from __future__ import annotations

from numba import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.clock import current_cpu, ticks, ticks_in_a_microsecond
from edge_rt.kernels.sharing import is_worth_sharing, note_alone, note_shared
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
    ADDRESS,
    ARGS,
    ASLEEP,
    AWAKE,
    AWAY,
    BUSY,
    DONE,
    HELP_TEAM,
    MEMBER_WORDS,
    MEMBERS,
    OWNER_CPU,
    PARTS,
    RANGES,
    RUN_PROGRAM,
    SEQUENCE,
    SLEEPS,
    STEP_WORDS,
    STOP_TEAM,
    STOPPED,
    WAKES,
)

I64 = types.int64
BUSY_US, IDLE_US, WAIT_US = 200, 50, 100
"""Microseconds before a helper on a CPU of its own sleeps, during a program and after one; and before the owner lets others
run."""


def range_of(team, member):
    return team + (RANGES + MEMBER_WORDS * member)


def claim_parts(team, member, own):
    """Does parts of a member's range until none is left; how many. own: from the front, else from the back."""
    place, done = range_of(team, member), 0
    word = atomic_load(place)
    while ((word >> 16) & 0xFFFF) < (word & 0xFFFF):
        address, args = atomic_load(place + ADDRESS), pointer(I64, atomic_load(place + ARGS))
        parts = atomic_load(place + PARTS)
        if compare_exchange(place, word, word + 0x10000 if own else word - 1):
            call_kernel(address, args, (word >> 16) & 0xFFFF if own else (word & 0xFFFF) - 1, parts)
            done += 1
        word = atomic_load(place)
    return done


def do_parts(team, member, members):
    """Does parts of the current step, the member's own first, until all are claimed."""
    done = claim_parts(team, member, True)
    for i in range(1, members):
        other = member + i
        done += claim_parts(team, other if other < members else other - members, False)
    if done:
        atomic_add(team + DONE, done)


def share_step(team, address, args, parts):
    members = min(atomic_load(team + MEMBERS), parts)
    sequence = atomic_load(team + SEQUENCE) + 1
    atomic_store(team + SEQUENCE, sequence)
    atomic_store(team + DONE, 0)
    for i in range(members):
        place = range_of(team, i)
        atomic_store(place + ADDRESS, address)
        atomic_store(place + ARGS, args)
        atomic_store(place + PARTS, parts)
        atomic_store(place, (sequence << 32) | ((parts * i // members) << 16) | (parts * (i + 1) // members))
    fence()
    for i in range(1, members):
        place = range_of(team, i)
        if atomic_load(place + ASLEEP) == SLEEPS and compare_exchange(place + ASLEEP, SLEEPS, WAKES):
            atomic_store(team + OWNER_CPU, current_cpu())
            futex_wake(place, 1)
    do_parts(team, 0, members)
    patience = ticks() + WAIT_US * ticks_in_a_microsecond()
    while atomic_load(team + DONE) < parts:
        pause()
        if ticks() > patience:
            yield_processor()


def run_steps(steps, start, stop, team, shares):
    for i in range(start, stop):
        address, args, parts = steps[STEP_WORDS * i], steps[STEP_WORDS * i + 1], steps[STEP_WORDS * i + 2]
        if shares and parts > 1:
            share_step(team, address, args, parts)
        else:
            call_kernel(address, pointer(I64, args), 0, 1)


@kernel(RUN_PROGRAM)
def run_program(target):
    def body(steps, start, stop, team, record, part, parts):
        if is_null(team):
            run_steps(steps, start, stop, team, False)
            return
        measured = not is_null(record)
        wanted = not measured or is_worth_sharing(record)
        begin = ticks()
        if wanted and compare_exchange(team + BUSY, 0, 1):
            for member in range(1, atomic_load(team + MEMBERS)):
                asleep = range_of(team, member) + ASLEEP
                if atomic_load(asleep) == AWAY:
                    compare_exchange(asleep, AWAY, SLEEPS)
            helper = atomic_load(range_of(team, 1) + ASLEEP)
            run_steps(steps, start, stop, team, True)
            atomic_store(team + BUSY, 0)
            if measured:
                note_shared(record, ticks() - begin, helper)
        else:
            run_steps(steps, start, stop, team, False)
            if measured:
                note_alone(record, ticks() - begin)

    return body


@kernel(HELP_TEAM)
def help_team(target):
    def body(team, member, part, parts):
        place, microsecond = range_of(team, member), ticks_in_a_microsecond()
        members, is_apart = atomic_load(team + MEMBERS), True
        seen, since = atomic_load(place) >> 32, ticks()
        do_parts(team, member, members)
        while atomic_load(team + STOPPED) == 0:
            word = atomic_load(place)
            if word >> 32 != seen:
                seen = word >> 32
                do_parts(team, member, members)
                since = ticks()
            elif is_apart and ticks() - since < (BUSY_US if atomic_load(team + BUSY) else IDLE_US) * microsecond:
                pause()
            else:
                atomic_store(place + ASLEEP, SLEEPS if is_apart else AWAY)
                fence()
                if atomic_load(team + STOPPED) == 0:
                    futex_wait(place, seen << 32)
                atomic_store(place + ASLEEP, AWAKE)
                is_apart = current_cpu() != atomic_load(team + OWNER_CPU)
                if not is_apart:
                    seen = atomic_load(place) >> 32
                since = ticks()

    return body


@kernel(STOP_TEAM)
def stop_team(target):
    def body(team, part, parts):
        atomic_store(team + STOPPED, 1)
        for member in range(1, atomic_load(team + MEMBERS)):
            place = range_of(team, member)
            word = atomic_load(place)
            while not compare_exchange(place, word, word ^ (1 << 62)):
                word = atomic_load(place)
            futex_wake(place, 1)

    return body
