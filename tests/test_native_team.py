"""Programs and the thread team: every part runs once, in whatever company."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_rt.lowering.executor import GIVES_WAY, MEMBER_WORDS, RANGES, STOPPED
from edge_rt.native.packs import Library
from edge_rt.native.program import Program
from edge_rt.native.team import Team
from tests._programs import Chain, make_library


@pytest.fixture(scope="module")
def library() -> Library:
    return make_library()


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("parts", [1, 2, 3, 64, "mixed"])
def test_every_part_of_every_step_runs_once(library: Library, threads: int, parts: Any) -> None:
    chain = Chain(library, 301, lambda i: (1, 7, 2, 64)[i % 4] if parts == "mixed" else parts)
    team = Team(library, threads)
    for _ in range(20):
        chain.check(team)
    team.close()


def test_a_program_that_shares_where_it_pays(library: Library) -> None:
    """Alone or with helpers, by the times its runs take: here sharing pays now and then."""
    team, chain = Team(library, 2), Chain(library, 60, lambda i: (1, 4, 16)[i % 3], n=4000)
    call = chain.program._prepare(0, None, team, False, True)
    for _ in range(600):
        chain.blocks[0] = np.arange(4000)
        call()
        assert np.array_equal(chain.blocks[0], np.arange(4000) + 60)
    team.close()
    call()


def test_a_range_of_steps(library: Library) -> None:
    counts = np.zeros((5, 64), np.int64)
    words = np.array([[c.ctypes.data] for c in counts], np.int64)
    program = Program([(library.address("t_count"), w.ctypes.data, 3) for w in words], library)
    program.run(1, 3)
    program.run(2, None)
    program.run(5, 5)
    assert counts[:, 0].tolist() == [0, 1, 2, 1, 1]
    assert not counts[:, 1:].any(), "alone, a step is one part"
    with pytest.raises(ValueError, match=r"steps 3..6 are not among the program's 5"):
        program.run(3, 6)


@pytest.mark.parametrize("parts", [0, -1, 1 << 15])
def test_parts_out_of_range_are_refused(library: Library, parts: int) -> None:
    with pytest.raises(ValueError, match="1 to 32767 parts"):
        Program([(library.address("t_count"), 0, parts)], library)


def test_an_empty_program(library: Library) -> None:
    Program([], library).run()


def test_helpers_that_never_come(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", lambda thread: None)
    monkeypatch.setattr(threading.Thread, "join", lambda thread: None)
    team = Team(library, 4)
    Chain(library, 100, lambda i: 8).check(team)
    team.close()


@pytest.mark.parametrize("given", [0, 2])
def test_as_many_helpers_as_the_system_gives(given: int, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    before, start = helpers(), threading.Thread.start

    def limited(thread: threading.Thread) -> None:
        if len(helpers() - before) == given:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    team = Team(library, 4)
    for _ in range(3):
        Chain(library, 100, lambda i: 8).check(team)
    assert len(helpers() - before) == given
    team.close()
    assert helpers() == before


def test_a_start_that_is_broken_off_makes_no_helper_twice(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    before, start = helpers(), threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    team = Team(library, 2)
    with pytest.raises(KeyboardInterrupt):
        _ = team.memory
    Chain(library, 100, lambda i: 8).check(team)
    assert len(helpers() - before) == 1
    team.close()
    assert helpers() == before


def test_a_helper_that_cannot_read_its_modules_goes_on(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_descriptor() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    def help_(words: int) -> None:
        calls.append(words)
        crew._block[STOPPED] = len(calls) == 3

    monkeypatch.setattr("edge_rt.native.affinity.Affinity", no_descriptor)
    crew, calls = Team(library, 2)._crew, []
    monkeypatch.setattr(crew, "_help", help_)
    crew._work(1)
    assert len(calls) == 3


def helpers() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if t.name.startswith("edge-rt helper")}


def test_helpers_that_leave_at_any_time(library: Library) -> None:
    """The team is closed while programs run, and programs go on."""
    others = helpers()
    chain = Chain(library, 2000, lambda i: 1 + i % 5)
    for delay in (0, 0.0005, 0.002, 0.005):
        team = Team(library, 3)
        chain.check(team)
        closer = threading.Timer(delay, team.close)
        closer.start()
        for _ in range(5):
            chain.check(team)
        closer.join()
        chain.check(team)
        assert helpers() <= others


def test_two_threads_run_programs_with_one_team(library: Library) -> None:
    team, errors = Team(library, 3), []

    def work() -> None:
        chain = Chain(library, 200, lambda i: 1 + i % 4)
        try:
            for _ in range(100):
                chain.check(team)
        except AssertionError as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    team.close()
    assert not errors


def test_helpers_give_way_and_the_owner_does_not(library: Library) -> None:
    """Between parts, and again and again, so that a system whose CPUs are busy does not stop them within one."""
    team, chain = Team(library, 2), Chain(library, 200, lambda i: 64, n=4000)
    members = team._crew._block[RANGES:].reshape(2, MEMBER_WORDS)
    turns: set[int] = set()
    deadline = time.monotonic() + 20
    while len(turns) < 5:
        chain.check(team)
        turns.add(int(members[1, GIVES_WAY]))
        assert time.monotonic() < deadline
    assert members[0, GIVES_WAY] == 0
    team.close()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU is all there is")
def test_a_helper_leaves_the_owners_cpu(library: Library) -> None:
    """Even where the system would wake it there again and again."""
    allowed = os.sched_getaffinity(0)
    team, chain = Team(library, 2), Chain(library, 200, lambda i: 64, n=4000)
    chain.check(team)
    helper = Path(f"/proc/self/task/{team._crew._threads[0].native_id}/stat")
    own = min(allowed)
    try:
        os.sched_setaffinity(0, {own})
        os.sched_setaffinity(int(helper.parent.name), {own})
        chain.check(team)
        os.sched_setaffinity(int(helper.parent.name), allowed)
        deadline = time.monotonic() + 20
        while int(helper.read_text().rpartition(")")[2].split()[36]) == own:
            chain.check(team)
            assert time.monotonic() < deadline
    finally:
        os.sched_setaffinity(0, allowed)
    team.close()


def test_an_idle_team_uses_no_cpu(library: Library) -> None:
    team = Team(library, 4)
    Chain(library, 100, lambda i: 4).check(team)
    time.sleep(0.1)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.02
    team.close()


def test_a_team_that_nobody_holds_ends_its_helpers(library: Library) -> None:
    others = helpers()
    chain = Chain(library, 10, lambda i: 4)
    chain.check(Team(library, 3))
    chain.program._calls.clear()
    deadline = time.monotonic() + 10
    while helpers() - others:
        assert time.monotonic() < deadline
        time.sleep(0.01)
