"""The lock of sessions: one thread after the other, and nobody sleeps on."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest

from edge_rt.turn import Turn


@pytest.fixture(autouse=True)
def many_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def run_threads(count: int, work: object) -> None:
    threads = [threading.Thread(target=work, daemon=True) for _ in range(count)]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.parametrize("threads", [2, 3, 8])
def test_threads_take_turns(threads: int) -> None:
    turn, inside, counts = Turn(), [0], [0]

    def work() -> None:
        for _ in range(3000):
            with turn:
                inside[0] += 1
                assert inside[0] == 1
                before = counts[0]
                counts[0] = before + 1
                inside[0] -= 1

    run_threads(threads, work)
    assert counts == [threads * 3000]
    assert turn.free == [None]
    assert not turn.waiting


def test_threads_that_wait_long_are_woken_one_by_one() -> None:
    turn, done = Turn(), []

    def work(number: int) -> None:
        with turn:
            done.append(number)

    with turn:
        threads = [threading.Thread(target=work, args=(i,)) for i in range(5)]
        for thread in threads:
            thread.start()
        while len(turn.waiting) < 5:
            threading.Event().wait(0.001)
        assert not done
    for thread in threads:
        thread.join(60)
    assert sorted(done) == list(range(5))
    assert not turn.waiting


def test_an_error_gives_the_turn_back() -> None:
    turn = Turn()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), turn:
            raise ZeroDivisionError
    assert turn.free == [None]


def test_a_wait_that_is_broken_off_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = Turn()

    class Interrupted:
        acquired = 0

        def acquire(self) -> None:
            Interrupted.acquired += 1
            if Interrupted.acquired == 2:
                raise KeyboardInterrupt

    monkeypatch.setattr("edge_rt.turn.allocate_lock", Interrupted)
    with turn, pytest.raises(KeyboardInterrupt):
        turn.wait()
    assert not turn.waiting
    with turn:
        assert not turn.free
