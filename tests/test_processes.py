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
