"""Whether programs are shared with helpers: by what it brought so far."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edge_rt.kernels.sharing import MOST_TURNS, is_worth_sharing, note_alone, note_shared
from edge_rt.lowering.executor import AWAKE, DEBT, RECORD_WORDS, SLEEPS, WAKES

ALONE = 1000
Shared = Callable[[int], tuple[int, int]]


def runs(count: int, shared: Shared, alone: Callable[[int], int] = lambda i: ALONE) -> list[tuple[bool, int]]:
    """Whether each of `count` runs was shared, and what it took. shared, alone: what run i would take, and for a shared one
    how the helper was before it."""
    record, done = np.zeros(RECORD_WORDS, np.int64), []
    for i in range(count):
        if is_worth_sharing(record):
            took, helper = shared(i)
            note_shared(record, took, helper)
            done.append((True, took))
        else:
            took = alone(i)
            note_alone(record, took)
            done.append((False, took))
    return done


def share_of(done: list[tuple[bool, int]]) -> float:
    return float(np.mean([shared for shared, _ in done]))


def test_the_first_runs_are_alone_and_what_pays_is_shared() -> None:
    done = runs(2000, lambda i: (ALONE // 2, AWAKE))
    assert [shared for shared, _ in done[:4]] == [False, False, True, True]
    assert share_of(done) > 1 - 1.2 / MOST_TURNS


@pytest.mark.parametrize("took", [ALONE, ALONE - ALONE // 20, 2 * ALONE, 1000 * ALONE])
def test_what_does_not_pay_is_left(took: int) -> None:
    done = runs(2000, lambda i: (took, AWAKE))
    assert share_of(done[1000:]) < 0.05


def test_helpers_that_sleep_get_one_more_try() -> None:
    """Runs come one after another: only the first finds the helpers asleep."""
    done = runs(200, lambda i: (2 * ALONE, SLEEPS) if i == 2 else (ALONE // 2, AWAKE))
    assert share_of(done) > 0.97


def test_helpers_that_always_sleep_are_left_asleep_where_waking_them_takes_too_long() -> None:
    assert share_of(runs(2000, lambda i: (2 * ALONE, SLEEPS))[500:]) < 0.04
    assert share_of(runs(2000, lambda i: (ALONE // 2, SLEEPS))) > 0.97


def test_a_loop_after_single_runs_is_shared() -> None:
    """Single runs find the helpers asleep, and so does the first of a loop, even of a trial in the loop."""
    asleep = [True]

    def shared(i: int) -> tuple[int, int]:
        cold, asleep[0] = i < 1000 or asleep[0], False
        return (2 * ALONE, SLEEPS) if cold else (ALONE // 2, AWAKE)

    def alone(i: int) -> int:
        asleep[0] = True
        return ALONE

    done = runs(20000, shared, alone)
    assert share_of(done[500:1000]) < 0.04
    assert share_of(done[5000:]) > 0.95


def test_a_helper_on_its_way_is_awaited() -> None:
    """On a busy machine it may take longer to wake than many runs of a short program."""
    slept = [0]

    def shared(i: int) -> tuple[int, int]:
        late, slept[0] = slept[0], slept[0] - 1
        return (ALONE // 2, AWAKE) if late <= 0 else (ALONE + 10, SLEEPS if late == 30 else WAKES)

    def alone(i: int) -> int:
        slept[0] = 30
        return ALONE

    assert share_of(runs(20000, shared, alone)) > 0.95


def test_a_busy_core_is_left_to_others() -> None:
    """A helper that loses its core now and then: gains and losses, as with one of two cores burned."""
    random = np.random.default_rng(0)
    for loss in (1, 2, 4, 100):
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


def test_a_machine_that_becomes_faster_is_noticed() -> None:
    """What alone was measured before is worth nothing then: sharing takes as long as running alone does now."""
    done = runs(20000, lambda i: (ALONE, False), lambda i: 4 * ALONE if i < 100 else ALONE)
    assert share_of(done[5000:]) < 0.1


def test_debts_are_bounded() -> None:
    record = np.zeros(RECORD_WORDS, np.int64)
    for _ in range(2):
        note_alone(record, ALONE)
    for _ in range(50):
        record[DEBT] = 0
        note_shared(record, 10**15, AWAKE)
    assert record[DEBT] <= 2100 * ALONE
