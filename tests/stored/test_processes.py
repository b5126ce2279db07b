"""Threads and processes at once, and caches that take nothing."""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import edge_rt
from tests.boards.emulator import device_package
from tests.stored._models import MODELS, TARGET, bytes_of, dense


def test_threads_and_models_at_once(plans: Path) -> None:
    data, x = bytes_of(dense()), MODELS["dense"][1]["x"]
    expected = edge_rt.load(data, stored_plan=False)(x).tobytes()
    problems = []

    def work(number: int) -> None:
        for i in range(20):
            model = edge_rt.load(data)
            if {model(x).tobytes(), model(x).tobytes()} != {expected}:
                problems.append("bits")
            if (i + number) % 4 == 0 and len(model.signatures) != 1:
                problems.append("signatures")
            if i % 5 == 0:
                for path in plans.iterdir():
                    path.unlink(missing_ok=True)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not problems
    assert not [path for path in plans.iterdir() if path.suffix == ".tmp"]


WORK = """
import random, sys
import numpy, edge_rt
files, seed, rounds = sys.argv[1].split(), int(sys.argv[2]), int(sys.argv[3])
pick = random.Random(seed)
expected = {}
for turn in range(rounds):
    path, rows = pick.choice(files), pick.randint(1, 3)
    model = edge_rt.load(path, threads=1)
    x = numpy.arange(rows * 8, dtype=numpy.float32).reshape(rows, 8) / 7
    assert (y := model(x).tobytes()) == model(x).tobytes()
    print(path, rows, y.hex(), model._loaded is None)
"""


def test_processes_at_once(image: bytes, tmp_path: Path) -> None:
    """They make, read and replace the plans of the same two bundles, and one removes them: all get what one alone gets."""
    package = device_package(tmp_path / "package", {TARGET.name: image})
    compileall.compile_dir(package, quiet=1)
    files = [tmp_path / f"{name}.edge" for name in "ab"]
    for number, path in enumerate(files):
        graph = dense()
        graph.nodes[0].inputs[1].data[...] += number  # type: ignore[index, union-attr]
        path.write_bytes(bytes_of(graph))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EDGE_RT_")}
    environment |= {"PYTHONPATH": str(package), "EDGE_RT_CACHE": str(tmp_path / "cache")}

    def begin(seed: int, rounds: int, **extra: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WORK, " ".join(map(str, files)), str(seed), str(rounds)]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env={**environment, **extra}, cwd=package, stdout=pipe, stderr=pipe, text=True)

    alone, errors = begin(0, 60, EDGE_RT_STORED_PLANS="0").communicate()
    assert not errors
    expected = {tuple(line.split()[:2]): line.split()[2] for line in alone.splitlines()}
    assert len(expected) == 6
    plans = tmp_path / "cache" / "plans"
    running = [begin(seed, 60) for seed in range(1, 7)]
    while any(process.poll() is None for process in running):
        for path in plans.glob("[0-9a-f]*"):
            path.unlink(missing_ok=True)
        time.sleep(0.02)
    told = [process.communicate() for process in running]
    lines = [line.split() for out, _ in told for line in out.splitlines()]
    assert [(process.returncode, errors) for process, (_, errors) in zip(running, told)] == [(0, "")] * 6
    assert len(lines) == 6 * 60
    assert all(expected[path, rows] == made for path, rows, made, _ in lines)
    assert {stored_plan for *_, stored_plan in lines} == {"True", "False"}, "some found a plan, some did not"
    begin(0, 60).communicate()
    assert sorted(len(path.name) for path in plans.iterdir()) == [32, 32], "the two plans, and nothing half written"


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_a_cache_that_takes_nothing(trouble: str, image: bytes, tmp_path: Path) -> None:
    """The model runs as ever, nothing is said, and nothing is left behind."""
    package = device_package(tmp_path / "package", {TARGET.name: image})
    (tmp_path / "a.edge").write_bytes(bytes_of(dense()))
    cache, limit = tmp_path / "cache", ""
    if trouble == "full":
        limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
    else:
        if not os.geteuid():
            pytest.skip("root writes everywhere")
        cache.mkdir(mode=0o500)
    command = [sys.executable, "-B", "-c", limit + WORK, str(tmp_path / "a.edge"), "0", "3"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("EDGE_RT_")}
    environment |= {"PYTHONPATH": str(package), "EDGE_RT_CACHE": str(cache)}
    done = subprocess.run(command, cwd=package, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[3] for line in done.stdout.splitlines()] == ["False"] * 3
    assert [path for path in cache.rglob("*") if path.is_file()] == []
