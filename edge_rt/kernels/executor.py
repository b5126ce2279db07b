"""Runs programs, alone or with a team of threads.

The parts of a step are dealt out to the members of the team in ranges. A member takes its own parts from the front of
its range, then those of others from the back of theirs, so that members seldom meet, and meet the same data in the next
step. The owner needs nobody: it takes the parts of helpers that come late, or never. A claim that succeeds proves that
the step is still the one that the claimed range belonged to, since a step with an unfinished part cannot be followed by
another. Which member does a part does not change what the part does; alone, all is one part. A member does several parts
as one of fewer where kernels need nothing for each part: half of what is left, since a part for itself takes longer.
"""

from __future__ import annotations

from numba import types

from edge_rt.kernels._registry import kernel
from edge_rt.kernels.clock import current_cpu, ticks, ticks_in_a_microsecond
from edge_rt.kernels.sharing import begin_record, is_worth_sharing, note_alone, note_program, note_shared
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
    ALONE,
    ARGS,
    ASLEEP,
    AWAKE,
    AWAY,
    BUSY,
    DONE,
    GIVES_WAY,
    HELP_TEAM,
    MAX_PARTS,
    MEMBER_WORDS,
    MEMBERS,
    MERGES,
    OWNER_CPU,
    PARTS,
    RANGES,
    RUN_PROGRAM,
    RUNS,
    SEQUENCE,
    SLEEPS,
    SPAN_WORDS,
    SPANS,
    STAYS,
    STEP_WORDS,
    STOP,
    STOP_TEAM,
    STOPPED,
    TURNS,
    WAKES,
)

I64 = types.int64
BUSY_US, IDLE_US, WAIT_US = 400, 50, 100
"""Microseconds before a helper on a CPU of its own sleeps, during a program and after one; and before the owner lets others
run."""
TURN_US = 1000
"""Microseconds after which a helper lets others run. A system stops a thread whose CPU others want after some milliseconds,
at any place; a helper that was stopped within a part would make the owner wait as long again."""
SPAN_US = 1000
"""Microseconds of a span, at least, but for a program's last."""


def range_of(team, member):
    return team + (RANGES + MEMBER_WORDS * member)


def is_due(place):
    """Whether the helper whose range this is should give way, as soon as it holds no part."""
    return ticks() > atomic_load(place + GIVES_WAY)


def give_way(place):
    yield_processor()
    atomic_store(place + GIVES_WAY, ticks() + TURN_US * ticks_in_a_microsecond())


def together(side, count, parts):
    """How many of `count` parts, on one side of a part's border, are done in one call: at most half of them, so that there
    are small ones at the end, and so many as are one part of fewer."""
    many = 1
    if parts & MERGES:
        while 4 * many <= count and (side | parts) & (2 * many - 1) == 0:
            many *= 2
    return many


def claim_parts(team, member, taker):
    """The taker does parts of a member's range until none is left: its own from the front, others from the back. How many
    it has not counted as done yet."""
    place, done, own = range_of(team, member), 0, member == taker
    word = atomic_load(place)
    while ((word >> 16) & 0xFFFF) < (word & 0xFFFF):
        address, args = atomic_load(place + ADDRESS), pointer(I64, atomic_load(place + ARGS))
        parts, first, end = atomic_load(place + PARTS), (word >> 16) & 0xFFFF, word & 0xFFFF
        many = together(first if own else end, end - first, parts)
        if compare_exchange(place, word, word + (many << 16) if own else word - many):
            call_kernel(address, args, (first if own else end - many) // many, (parts & MAX_PARTS) // many)
            done += many
            if taker > 0 and is_due(range_of(team, taker)):
                atomic_add(team + DONE, done)
                done = 0
                give_way(range_of(team, taker))
        word = atomic_load(place)
    return done


def do_parts(team, member, members):
    """Does parts of the current step, the member's own first, until all are claimed."""
    done = claim_parts(team, member, member)
    for i in range(1, members):
        other = member + i
        done += claim_parts(team, other if other < members else other - members, member)
    if done:
        atomic_add(team + DONE, done)


def share_step(team, address, args, given):
    parts = given & MAX_PARTS
    members = min(atomic_load(team + MEMBERS), parts)
    sequence = atomic_load(team + SEQUENCE) + 1
    atomic_store(team + SEQUENCE, sequence)
    atomic_store(team + DONE, 0)
    for i in range(members):
        place = range_of(team, i)
        atomic_store(place + ADDRESS, address)
        atomic_store(place + ARGS, args)
        atomic_store(place + PARTS, given)
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


def call_back(team):
    """Helpers that kept away from the owner's CPU may be woken again."""
    for member in range(1, atomic_load(team + MEMBERS)):
        asleep = range_of(team, member) + ASLEEP
        if atomic_load(asleep) == AWAY:
            compare_exchange(asleep, AWAY, SLEEPS)


def is_helped(team):
    """Whether any helper may come: awake, on its way, or asleep for want of work."""
    helped = False
    for member in range(1, atomic_load(team + MEMBERS)):
        helped |= atomic_load(range_of(team, member) + ASLEEP) != AWAY
    return helped


def wants_to_move(place):
    """Whether a helper that runs on the owner's CPU leaves, to be moved, or sleeps."""
    stays = atomic_load(place + STAYS)
    if stays > 0:
        atomic_store(place + STAYS, stays - 1)
    return stays == 0


def measure_spans(steps, start, stop, team, record):
    """Runs steps alone, and writes down the spans they make."""
    span, first, longest = SPANS, ticks(), I64(0)
    begin = first
    for i in range(start, stop):
        run_steps(steps, i, i + 1, team, False)
        took = ticks() - begin
        if took >= SPAN_US * ticks_in_a_microsecond() or i + 1 == stop:
            record[span + STOP], record[span + ALONE], record[span + TURNS] = i + 1, took, 0
            longest = max(longest, took)
            span += SPAN_WORDS
            begin += took
    begin_record(record, longest, begin - first, ticks_in_a_microsecond())


def run_spans(steps, start, stop, team, record):
    at, span, slower, alone, shared = start, SPANS, I64(0), I64(0), False
    call_back(team)
    while at < stop:
        upto, helper, begin = record[span + STOP], atomic_load(range_of(team, 1) + ASLEEP), ticks()
        is_worth = is_worth_sharing(record, span)
        # Helpers that are awake stay so while a run, now and then, shows how long it takes alone.
        holds = (is_worth or helper == AWAKE) and is_helped(team) and compare_exchange(team + BUSY, 0, 1)
        # One that is on its way since the run before may be so for many short runs, which sharing out makes longer.
        is_late = helper == WAKES and record[span + ALONE] < SPAN_US * ticks_in_a_microsecond()
        shares = holds and is_worth and not is_late
        if shares:
            atomic_store(team + OWNER_CPU, current_cpu())
        run_steps(steps, at, upto, team, shares)
        took = ticks() - begin
        alone += record[span + ALONE]
        if helper == AWAKE or not shares:
            slower += took - record[span + ALONE]
        if holds:
            atomic_store(team + BUSY, 0)
        if shares:
            note_shared(record, span, took, helper == AWAKE)
        else:
            note_alone(record, span, took)
        at, span, shared = upto, span + SPAN_WORDS, shared or shares
    note_program(record, shared, slower, alone)


@kernel(RUN_PROGRAM)
def run_program(target):
    def body(steps, start, stop, team, record, part, parts):
        has_team, runs = not is_null(team), I64(0)
        measured = has_team and not is_null(record)
        if measured:
            runs = record[RUNS]
            record[RUNS] = min(runs + 1, I64(2))
        if runs == 2:
            run_spans(steps, start, stop, team, record)
        elif runs == 1:
            measure_spans(steps, start, stop, team, record)
        else:  # of those to measure this one brings the program into the caches
            shares = has_team and not measured and compare_exchange(team + BUSY, 0, 1)
            if shares:
                call_back(team)
            run_steps(steps, start, stop, team, shares)
            if shares:
                atomic_store(team + BUSY, 0)

    return body


@kernel(HELP_TEAM)
def help_team(target):
    def body(team, member, part, parts):
        place, microsecond = range_of(team, member), ticks_in_a_microsecond()
        members, is_apart = atomic_load(team + MEMBERS), True
        atomic_store(place + ASLEEP, AWAKE)
        seen, since = atomic_load(place) >> 32, ticks()
        do_parts(team, member, members)
        while atomic_load(team + STOPPED) == 0:
            word = atomic_load(place)
            if is_apart and word >> 32 != seen:
                seen = word >> 32
                do_parts(team, member, members)
                since = ticks()
            elif is_apart and ticks() - since < (BUSY_US if atomic_load(team + BUSY) else IDLE_US) * microsecond:
                if is_due(place):
                    give_way(place)
                    is_apart = current_cpu() != atomic_load(team + OWNER_CPU)
                pause()
            elif not is_apart and wants_to_move(place):
                break
            else:
                atomic_store(place + ASLEEP, SLEEPS if is_apart else AWAY)
                fence()
                if atomic_load(team + STOPPED) == 0:
                    futex_wait(place, seen << 32)
                is_apart = current_cpu() != atomic_load(team + OWNER_CPU)
                if not is_apart:
                    seen = atomic_load(place) >> 32
                atomic_store(place + ASLEEP, AWAKE)
                atomic_store(place + GIVES_WAY, ticks() + TURN_US * microsecond)
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
