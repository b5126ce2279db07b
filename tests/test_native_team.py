"""Programs and the thread team: every part runs once, in whatever company."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_rt.codegen.link import link
from edge_rt.codegen.objects import kernel_object
from edge_rt.kernels import kernel_of
from edge_rt.kernels.errors import report
from edge_rt.kernels.simd import atomic_add
from edge_rt.lowering._errors import DIVISION_BY_ZERO, INDEX_OUT_OF_RANGE, NO_ERROR, describe_error
from edge_rt.lowering.executor import GIVES_WAY, HELP_TEAM, MEMBER_WORDS, RANGES, RUN_PROGRAM, STOP_TEAM, STOPPED
from edge_rt.native.features import choose_target, cpu_features
from edge_rt.native.image import write_image
from edge_rt.native.packs import Library
from edge_rt.native.program import Program
from edge_rt.native.team import Team
from tests._kernels import run, unlisted


def count_parts(target: Any) -> Any:
    """Counts how often each part runs."""

    def body(counts, part, parts):
        atomic_add(counts + part, 1)

    return body


def add_one(target: Any) -> Any:
    """out[i] = x[i] + 1, shared out by elements."""

    def body(x, out, n, part, parts):
        for i in range(n * part // parts, n * (part + 1) // parts):
            out[i] = x[i] + 1

    return body


COUNT = unlisted("t_count", "counts:i64*")
ADD_ONE = unlisted("t_add_one", "x:i64* out:i64* n:i64")


def make_library() -> Library:
    target = choose_target(cpu_features())[0]
    objects = {s.symbol: kernel_object(*kernel_of(s), target) for s in (RUN_PROGRAM, HELP_TEAM, STOP_TEAM)}
    objects["t_count"] = kernel_object(COUNT, count_parts, target)
    objects["t_add_one"] = kernel_object(ADD_ONE, add_one, target)
    code, symbols = link(objects)
    return Library.of_bytes(write_image(target.name, target.requires, symbols, code), "test")


@pytest.fixture(scope="module")
def library() -> Library:
    return make_library()


class Chain:
    """A program of dependent steps: each adds one to what the step before it wrote, with as many parts as it likes."""

    def __init__(self, library: Library, steps: int, parts: Any, n: int = 200) -> None:
        self.blocks = np.zeros((2, n), np.int64)
        first, second = self.blocks[0].ctypes.data, self.blocks[1].ctypes.data
        self.words = np.array([[first, second, n], [second, first, n]], np.int64)
        address = library.address("t_add_one")
        table = [(address, self.words[i % 2].ctypes.data, parts(i)) for i in range(steps)]
        self.program, self.steps = Program(table, library), steps

    def check(self, team: Team | None) -> None:
        self.blocks[0] = np.arange(self.blocks.shape[1])
        self.program.run(0, None, team)
        assert np.array_equal(self.blocks[self.steps % 2], np.arange(self.blocks.shape[1]) + self.steps)


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


def test_a_forked_process_runs_without_the_helpers(library: Library) -> None:
    team, chain = Team(library, 3), Chain(library, 300, lambda i: 4)
    chain.check(team)
    other = Chain(library, 300, lambda i: 4)

    def work() -> None:
        for _ in range(20):
            chain.check(team)
        other.check(team)
        team.close()
        os._exit(0)

    running = threading.Event()

    def keep_running() -> None:
        busy = Chain(library, 2000, lambda i: 4)
        while not running.is_set():
            busy.check(team)

    thread = threading.Thread(target=keep_running)
    thread.start()
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=work) for _ in range(5)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    running.set()
    thread.join()
    assert [c.exitcode for c in children] == [0] * 5
    team.close()


PROGRAM = """
import sys, threading, time, _thread, signal
from edge_rt.native.team import Team
from tests.test_native_team import Chain, make_library
library = make_library()
team = Team(library, 3)
chain = Chain(library, 3000, lambda i: 4)
chain.check(team)
"""
ENDINGS = {
    "main ends while a thread runs": """
def forever():
    while True: chain.check(team)
threading.Thread(target=forever, daemon=True).start()
time.sleep(0.2)
print("end")
""",
    "exit with an idle team": 'print("end")',
    "sys.exit in the middle": 'print("end"); sys.exit(0)',
    "interrupt while running": """
other = Chain(library, 3000, lambda i: 4)
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Timer(0.3, _thread.interrupt_main).start()
try:
    while True: chain.program.run(0, None, team)
except KeyboardInterrupt:
    for _ in range(10): other.check(team)
    print("end")
""",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends_cleanly(ending: str) -> None:
    script = PROGRAM + ENDINGS[ending]
    root = str(Path(__file__).parent.parent)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, cwd=root)
    assert (done.returncode, done.stdout, done.stderr) == (0, "end\n", "")


def test_a_signal_from_outside_interrupts_between_runs() -> None:
    # A background job of a shell starts with SIGINT ignored.
    script = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n" + PROGRAM
    script += 'print("ready", flush=True)\nwhile True: chain.program.run(0, None, team)\n'
    root = str(Path(__file__).parent.parent)
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=root)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == -signal.SIGINT
    assert errors.strip().endswith(b"KeyboardInterrupt")


# ---- errors that kernels report -------------------------------------------------------------------------------------


def report_all(target: Any) -> Any:
    def body(error, steps, codes, n, part, parts):
        for i in range(n):
            report(error, steps[i], codes[i])

    return body


def test_the_lowest_step_and_code_are_kept() -> None:
    error = np.array([NO_ERROR])
    steps, codes = np.array([7, 3, 3, 5]), np.array([INDEX_OUT_OF_RANGE, DIVISION_BY_ZERO, INDEX_OUT_OF_RANGE, 1])
    given = {"error": error, "steps": steps, "codes": codes}
    run("t_report", "error:i64* steps:i64* codes:i64* n:i64", report_all, n=0, **given)
    assert error[0] == NO_ERROR
    run("t_report", "error:i64* steps:i64* codes:i64* n:i64", report_all, n=4, **given)
    assert describe_error(int(error[0])) == (3, "an index is out of range")
