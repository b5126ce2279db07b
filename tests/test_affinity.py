"""Threads that keep off a CPU."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_rt.native.affinity import Affinity

ALLOWED = os.sched_getaffinity(0)
several = pytest.mark.skipif(len(ALLOWED) < 2, reason="one CPU is all there is")


@pytest.fixture
def status(tmp_path: Path) -> Path:
    """Of a process whose system calls nobody filters."""
    path = tmp_path / "status"
    path.write_text("Name:\tpython\nSeccomp:\t0\nSeccomp_filters:\t0\n")
    return path


def in_a_thread(work: Callable[[], Any]) -> Any:
    """What work returns; affinities that it sets end with the thread."""
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


def current_cpu() -> int:
    """Where the calling thread runs."""
    return int(Path(f"/proc/self/task/{threading.get_native_id()}/stat").read_text().rpartition(")")[2].split()[36])


@several
def test_a_thread_leaves_a_cpu_at_once(status: Path) -> None:
    def work() -> tuple[bool, int, set[int], int]:
        affinity, cpu = Affinity(str(status)), current_cpu()
        left = affinity.leave(cpu)
        return left, cpu, os.sched_getaffinity(0), current_cpu()

    left, cpu, allowed, now = in_a_thread(work)
    assert left
    assert allowed == ALLOWED - {cpu}
    assert now != cpu


@several
def test_a_cpu_that_was_left_is_allowed_again_once_another_is(status: Path) -> None:
    first, second = sorted(ALLOWED)[:2]

    def work() -> set[int]:
        affinity = Affinity(str(status))
        assert affinity.leave(first)
        assert affinity.leave(second)
        return os.sched_getaffinity(0)

    assert in_a_thread(work) == ALLOWED - {second}


@several
def test_an_affinity_that_somebody_else_set_is_kept(status: Path) -> None:
    first, second = sorted(ALLOWED)[:2]

    def work() -> tuple[bool, bool, set[int]]:
        affinity = Affinity(str(status))
        os.sched_setaffinity(0, {first, second})
        one = affinity.leave(first)
        os.sched_setaffinity(0, {first})
        return one, affinity.leave(first), os.sched_getaffinity(0)

    assert in_a_thread(work) == (True, False, {first})


@pytest.mark.parametrize("line", ["Seccomp:\t2\n", "Seccomp:\t1\n", ""])
def test_nothing_is_tried_where_calls_are_filtered(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: Any) -> None:
        raise AssertionError("the filter would end the process here")

    monkeypatch.setattr(os, "sched_setaffinity", forbidden)
    path = tmp_path / "status"
    path.write_text(f"Name:\tpython\n{line}")
    assert not Affinity(str(path)).leave(min(ALLOWED))


def test_nothing_is_tried_without_proc(tmp_path: Path) -> None:
    assert not Affinity(str(tmp_path / "status")).leave(min(ALLOWED))


def test_a_system_that_refuses_is_left_in_peace(status: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    affinity = Affinity(str(status))
    assert not affinity.leave(0)
    assert not affinity.leave(1)
