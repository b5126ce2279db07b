"""A loaded model and the life of its process: fork, interrupt, exit, spawn, idle."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

import exporter

DEMO = Path(__file__).parent.parent / "examples" / "digits.onnx"

PREPARE = """
import os, signal, sys, threading, time
import numpy as np
import edge_rt

model = edge_rt.load(sys.argv[1], threads=3)
x = np.random.default_rng(0).random((64, 1, 8, 8), np.float32)
expected = model(x)
assert any(n > 1 for step in model.plan({"image": x.shape}).steps for n in step.parts), "nothing to share"
def works():
    assert np.array_equal(model(x), expected)
"""

PROGRAMS = {
    "fork": """
for _ in range(5):
    child = os.fork()
    if not child:
        works(); works()
        os._exit(42)
    works()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
""",
    "fork while another thread runs": """
stop = False
def run():
    while not stop: works()
thread = threading.Thread(target=run); thread.start()
children = []
for _ in range(5):
    time.sleep(0.01)
    child = os.fork()
    if not child:
        again = model.session()
        assert np.array_equal(again(x), expected)
        works()
        os._exit(42)
    children.append(child)
codes = [os.waitstatus_to_exitcode(os.waitpid(c, 0)[1]) for c in children]
stop = True; thread.join(); works()
assert codes == [42] * 5, codes
""",
    "interrupt": """
signal.signal(signal.SIGINT, signal.default_int_handler)
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
try:
    while True: works()
except KeyboardInterrupt:
    pass
works()
""",
    "exit while a thread runs": """
def run():
    while True: model(x)
for _ in range(2): threading.Thread(target=run, daemon=True).start()
time.sleep(0.2)
""",
    "signal handlers that use the same session": """
from edge_rt.errors import ModelError
own, bound, refused = model.session(), model.bind(shapes={"image": x.shape}), []
def handle(*_):
    assert np.array_equal(own(x), expected)
    try: handled()
    except ModelError as error: refused.append(str(error))
    else: signal.setitimer(signal.ITIMER_REAL, 0.002)
signal.signal(signal.SIGALRM, handle)
def interrupted(call):
    refused.clear()
    signal.setitimer(signal.ITIMER_REAL, 0.002)
    while not refused: call()
    assert "called from within itself" in refused[0], refused
def load():
    global fresh
    fresh = edge_rt.load(sys.argv[1], threads=3)
def first():
    load()
    fresh(x)
load()
for handled in (lambda: model(x), bound.run, lambda: model.state):
    for call in (lambda: model(x), lambda: model.run({"image": x}), bound.run):
        interrupted(call)
handled = lambda: fresh(x)
interrupted(first)
works()
""",
    "signal handlers while another thread runs": """
count = 0
def handle(*_):
    global count
    works()
    count += 1
    if count < 50: signal.setitimer(signal.ITIMER_REAL, 0.002)
stop = []
def run():
    while not stop: works()
thread = threading.Thread(target=run); thread.start()
signal.signal(signal.SIGALRM, handle)
signal.setitimer(signal.ITIMER_REAL, 0.002)
while count < 50: time.sleep(0.001)
stop.append(1); thread.join()
""",
    "fork while another thread opens the model": """
from edge_rt import model as module
def check(again):
    thread = threading.Thread(target=again, args=(x,)); thread.start()
    inside.wait()
    child = os.fork()
    if not child:
        go.set()
        assert np.array_equal(again(x), expected)
        os._exit(42)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
    go.set(); thread.join()
def slowly(make):
    def made(*arguments):
        inside.set(); go.wait()
        return make(*arguments)
    return made
inside, go = threading.Event(), threading.Event()
again = edge_rt.load(sys.argv[1], threads=3)
again._loaded, again._read = None, slowly(again._read)
check(again)
inside, go = threading.Event(), threading.Event()
again = edge_rt.load(sys.argv[1], threads=3)
module.Session = slowly(module.Session)
check(again)
""",
    "no thread can be made": """
import resource
from _thread import start_new_thread
fresh = edge_rt.load(sys.argv[1], threads=7)
if os.getuid() == 0: os.setuid(65534)
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
try: start_new_thread(print, ())
except RuntimeError: pass
else: raise AssertionError("threads can be made")
for _ in range(3): assert np.array_equal(fresh(x), expected)
works()
""",
    "sys.exit from a thread's point of view": """
threading.Thread(target=lambda: [works() for _ in range(50)]).start()
sys.exit(0)
""",
    "garbage": """
import gc, weakref
alive = weakref.ref(model)
del model, works
gc.collect()
assert alive() is None, gc.get_referrers(alive())
""",
    "idle": """
works()
time.sleep(0.2)
before = time.process_time()
time.sleep(1)
assert time.process_time() - before < 0.02, time.process_time() - before
""",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("processes") / "digits.edge"
    exporter.export(DEMO, path)
    return path


@pytest.mark.parametrize("program", PROGRAMS)
def test_process(program: str, model: Path) -> None:
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", PREPARE + PROGRAMS[program], str(model)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert time.monotonic() - started < 300
