"""Processes with a thread team: how they fork, end and are interrupted."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge_rt.native.packs import Library
from edge_rt.native.team import Team
from tests._programs import Chain, make_library


@pytest.fixture(scope="module")
def library() -> Library:
    return make_library()


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
from tests._programs import Chain, make_library
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
