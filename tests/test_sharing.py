"""Whether programs are shared with helpers: by what it brought so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_rt.kernels.sharing import (
    LATELY,
    MOST_LOSS,
    MOST_TURNS,
    PURSE,
    RARE,
    SAVED,
    STALL_US,
    begin_record,
    is_worth_sharing,
    note_alone,
    note_program,
    note_shared,
)
from edge_rt.lowering.executor import ALONE as SPAN_ALONE
from edge_rt.lowering.executor import EVEN, LOSS, SAVINGS, SHARES, SPAN_WORDS, SPANS, record_words

ALONE = 1000
"""Ticks, of which a microsecond has one."""
AWAKE, ASLEEP = True, False
Shared = Callable[[int], tuple[int, bool]]


def record_of(*alone: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """As the executor has it once it has measured spans that take so long."""
    record = np.zeros(record_words(len(alone)), np.int64)
    record[SPANS + SPAN_ALONE :: SPAN_WORDS] = alone
    begin_record(record, max(alone), sum(alone), 1)
    return record


def runs(count: int, shared: Shared, alone: Callable[[int], int] = lambda i: ALONE) -> list[tuple[bool, int]]:
    """Whether each of `count` runs of a program of one span was shared, and what it took. shared, alone: what run i would
    take, and for a shared one whether the helper was awake before it."""
    record, done = record_of(alone(0)), []
    for i in range(count):
        if is_worth_sharing(record, SPANS):
            took, awake = shared(i)
            slower = took - int(record[SPANS + SPAN_ALONE]) if awake else 0
            note_shared(record, SPANS, took, awake)
            note_program(record, True, slower, int(record[SPANS + SPAN_ALONE]))
            done.append((True, took))
        else:
            took = alone(i)
            note_alone(record, SPANS, took)
            note_program(record, False, 0, int(record[SPANS + SPAN_ALONE]))
            done.append((False, took))
    return done


def share_of(done: Sequence[tuple[bool, int]]) -> float:
    return float(np.mean([shared for shared, _ in done]))


TIMES = st.tuples(st.integers(1, STALL_US + ALONE // 10), st.booleans())


@given(st.lists(TIMES, min_size=1, max_size=40), st.lists(st.integers(ALONE // 10, ALONE), min_size=1, max_size=5))
def test_sharing_never_costs_more_than_its_share(times: list[tuple[int, bool]], alone: list[int]) -> None:
    """Whatever shared spans take, even if all conspires: the program loses one part in SAVED of its time, and one try."""
    record, total = record_of(*alone), 0
    for run in range(400):
        for number, own in enumerate(alone):
            span = SPANS + SPAN_WORDS * number
            if is_worth_sharing(record, span):
                took, awake = times[(run + number) % len(times)]
                note_shared(record, span, took, awake)
            else:
                took = own
                note_alone(record, span, took)
            total += took
    assert total <= 400 * sum(alone) * (1 + 1 / SAVED) + PURSE * max(alone) + record[LOSS]


@given(st.lists(st.integers(1, ALONE * 15 // 16), min_size=1, max_size=20))
def test_what_pays_is_shared(times: list[int]) -> None:
    done = runs(2000, lambda i: (times[i % len(times)], AWAKE))
    assert share_of(done) > 1 - 1.2 / MOST_TURNS
    assert sum(took for _, took in done) < 2000 * ALONE


@pytest.mark.parametrize("took", [ALONE, ALONE - ALONE // 20, 2 * ALONE, 1000 * ALONE])
def test_what_does_not_pay_is_left(took: int) -> None:
    done = runs(5000, lambda i: (took, AWAKE))
    assert share_of(done[1000:]) < 0.05


def test_helpers_that_sleep_get_one_more_try() -> None:
    """Runs come one after another: only the first finds the helpers asleep."""
    done = runs(200, lambda i: (2 * ALONE, ASLEEP) if i == 0 else (ALONE // 2, AWAKE))
    assert share_of(done) > 0.97


def test_helpers_that_always_sleep_are_left_asleep_where_waking_them_takes_too_long() -> None:
    assert share_of(runs(2000, lambda i: (2 * ALONE, ASLEEP))[500:]) < 0.04
    assert share_of(runs(2000, lambda i: (ALONE // 2, ASLEEP))) > 0.97


def test_a_loop_after_single_runs_is_shared() -> None:
    """Single runs find the helpers asleep, and so does the first of a loop, even of a trial in the loop."""
    asleep = [True]

    def shared(i: int) -> tuple[int, bool]:
        cold, asleep[0] = i < 1000 or asleep[0], False
        return (2 * ALONE, ASLEEP) if cold else (ALONE // 2, AWAKE)

    def alone(i: int) -> int:
        asleep[0] = True
        return ALONE

    done = runs(20000, shared, alone)
    assert share_of(done[500:1000]) < 0.04
    assert share_of(done[5000:]) > 0.95


def test_a_helper_on_its_way_is_awaited() -> None:
    """On a busy machine it may take longer to wake than many runs of a short program."""
    slept = [0]

    def shared(i: int) -> tuple[int, bool]:
        late, slept[0] = slept[0], slept[0] - 1
        return (ALONE // 2, AWAKE) if late <= 0 else (ALONE + 10, ASLEEP)

    def alone(i: int) -> int:
        slept[0] = 30
        return ALONE

    assert share_of(runs(20000, shared, alone)) > 0.95


def test_a_busy_core_is_left_to_others() -> None:
    """A helper that loses its core now and then: gains and losses, as with one of two cores burned."""
    random = np.random.default_rng(0)
    for loss in (1, 2, 4, MOST_LOSS):
        done = runs(20000, lambda i, loss=loss: ((1 + loss) * ALONE if random.random() < 0.4 else ALONE // 2, AWAKE))  # type: ignore[misc]
        took = np.array([t for _, t in done[2000:]])
        assert took.mean() < 1.06 * ALONE
        assert np.percentile(took, 95) <= ALONE


def test_a_rare_hiccup_costs_little() -> None:
    done = runs(20000, lambda i: (10 * ALONE if i % 200 == 50 else ALONE // 2, AWAKE))
    assert share_of(done) > 0.9


def test_sharing_comes_back_when_the_core_is_free_again() -> None:
    done = runs(20000, lambda i: (4 * ALONE if i < 5000 else ALONE // 2, AWAKE))
    assert share_of(done[:5000]) < 0.02
    assert share_of(done[10000:]) > 0.97


def test_a_long_program_sees_soon_that_a_core_is_free() -> None:
    """Of 300 ms; in vain for a minute, then it takes half as long on two threads."""
    long = 300 * ALONE
    done = runs(400, lambda i: (long if i < 200 else long // 2, AWAKE), lambda i: long)
    back = next(i for i in range(200, 400) if done[i] == (True, long // 2))
    assert (back - 200) * long <= 2 * 3_000_000
    assert share_of(done[back + 2 * LATELY :]) > 0.95


def test_a_machine_that_becomes_faster_is_noticed() -> None:
    """What alone was measured before is worth nothing then: sharing takes as long as running alone does now."""
    done = runs(20000, lambda i: (ALONE, AWAKE), lambda i: 4 * ALONE if i < 100 else ALONE)
    assert share_of(done[5000:]) < 0.1


def test_a_machine_that_becomes_slower_is_noticed() -> None:
    """Sharing still gains as much, but takes longer than running alone did before."""
    done = runs(20000, lambda i: (ALONE // 2 if i < 100 else ALONE, AWAKE), lambda i: ALONE if i < 100 else 2 * ALONE)
    assert share_of(done[100:]) > 0.9


def test_a_program_that_hardly_gains_is_judged_by_many_runs() -> None:
    """Sharing gains an eighth, give or take a quarter."""
    random = np.random.default_rng(0)
    done = runs(20000, lambda i: (int(ALONE * random.uniform(0.625, 1.125)), AWAKE))
    assert share_of(done) > 0.8


def test_slow_runs_are_rare() -> None:
    """Even where sharing gains as a whole: beside a process that takes the helper's core now and then."""
    random = np.random.default_rng(0)
    done = runs(20000, lambda i: (3 * ALONE // 2 if random.random() < 0.1 else ALONE // 2, AWAKE))
    took = np.array([t for _, t in done])
    assert (took > 5 * ALONE // 4).mean() <= 1 / RARE
    assert share_of(done) > 0.3


def test_a_program_is_shared_again_after_slow_runs() -> None:
    record = record_of(ALONE)
    for _ in range(50):
        note_program(record, True, ALONE, ALONE)
        while not is_worth_sharing(record, SPANS):
            note_program(record, False, 0, ALONE)
        assert record[EVEN] == 0


def test_a_span_that_does_not_gain_does_not_keep_others_from_it() -> None:
    """Of two spans one takes as long on two threads as on one."""
    record, shared = record_of(ALONE, ALONE), [0, 0]
    for _ in range(5000):
        for number, took in enumerate((ALONE, ALONE // 2)):
            span = SPANS + SPAN_WORDS * number
            if is_worth_sharing(record, span):
                note_shared(record, span, took, AWAKE)
                shared[number] += 1
            else:
                note_alone(record, span, ALONE)
    assert shared[0] < 0.06 * 5000
    assert shared[1] > 0.95 * 5000


def test_losses_are_bounded() -> None:
    """A core that was busy for long is used soon after."""
    record = record_of(ALONE)
    for _ in range(50):
        while is_worth_sharing(record, SPANS):
            note_shared(record, SPANS, 10**15, AWAKE)
        assert record[SAVINGS] >= -record[LOSS]
        for _ in range((MOST_LOSS + PURSE + 1) * SAVED):
            note_alone(record, SPANS, ALONE)
        assert is_worth_sharing(record, SPANS)


def test_a_short_span_does_not_start_a_try_for_a_long_one() -> None:
    record = record_of(100 * ALONE, ALONE)
    record[SHARES], record[SAVINGS] = 0, 0
    note_alone(record, SPANS + SPAN_WORDS, ALONE)
    while not is_worth_sharing(record, SPANS):
        note_alone(record, SPANS + SPAN_WORDS, ALONE)
    assert record[SAVINGS] >= PURSE * 100 * ALONE
