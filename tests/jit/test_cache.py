"""The cache of specialised kernels: damage, processes, and which calls are one case."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import edge_rt
from edge_rt import native
from edge_rt.codegen import cases as compiler
from edge_rt.jit import Case, case_of
from edge_rt.lowering._spec import In, Out
from edge_rt.lowering.gemm import gemm_call
from edge_rt.native.image import CODE_OFFSET, read_header, write_image
from edge_rt.targets import TARGETS
from tests.cases._case import normal
from tests.jit._programs import assert_same_bits, case_of_program

DAMAGE = {
    "cut": lambda data: data[:-1],
    "flipped": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "empty": lambda data: b"",
    "foreign": lambda data: _with_header(data, sources="other"),
    "another kernel": lambda data: _with_header(data, symbols={"other": 0}),
}


def _with_header(data: bytes, **changes: Any) -> bytes:
    header = read_header(data, "image")
    fields = {"target": header.target, "requires": header.requires, "symbols": header.symbols, "sources": header.sources}
    return write_image(code=data[CODE_OFFSET:], producer=header.producer, **{**fields, **changes})


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_images_are_rebuilt(
    kind: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[int] = []
    build = compiler.build_cases

    def counted(*args: Any) -> bytes:
        built.append(1)
        with pytest.MonkeyPatch.context() as patch:  # its objects are in the usual cache
            patch.delenv("EDGE_RT_CACHE")
            return build(*args)

    inputs, usual = {"x": normal(3, 20)}, edge_rt.load(model)
    wanted = usual.run(inputs)["y"]
    monkeypatch.setattr(compiler, "build_cases", counted)
    monkeypatch.setenv("EDGE_RT_CACHE", str(tmp_path))
    for _ in range(2):
        assert_same_bits(edge_rt.load(model, jit=True).run(inputs)["y"], wanted)
    assert len(built) == 1
    (path,) = tmp_path.rglob("*.image")
    good = path.read_bytes()
    path.write_bytes(DAMAGE[kind](good))
    assert_same_bits(edge_rt.load(model, jit=True).run(inputs)["y"], wanted)
    assert path.read_bytes() == good
    assert len(built) == 2


def test_damaged_objects_and_pieces_are_made_again(model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    case, target = case_of_program(["Relu 0"], [normal(40)]), TARGETS[native.library().target]
    monkeypatch.setenv("EDGE_RT_CACHE", str(tmp_path))
    good = compiler.case_object(case, target)
    for path in (*tmp_path.rglob("*.o"), *tmp_path.rglob("*.pieces")):
        path.write_bytes(path.read_bytes()[:-1])
    assert compiler.case_object(case, target) == good


def test_what_is_cached_needs_no_compiler(model: Path) -> None:
    edge_rt.load(model, jit=True).run({"x": normal(3, 20)})
    script = f"""
import sys, numpy, edge_rt
model = edge_rt.load({str(model)!r}, jit=True)
model.run({{"x": numpy.ones((3, 20), numpy.float32)}})
print(model.jit.compiled, "numba" in sys.modules, "edge_rt.codegen" in sys.modules)
"""
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.split() == ["0", "False", "False"]


def test_processes_that_start_together_compile_once(model: Path, tmp_path: Path) -> None:
    """Each of 3 processes finds an empty cache of images; one compiles, and all run what it made."""
    script = f"""
import os, time
from pathlib import Path
import numpy
import edge_rt
from edge_rt.codegen import cases
from edge_rt.jit import library
build = cases.build_cases
def counted(*args):
    Path({str(tmp_path)!r}, f"compiled-{{os.getpid()}}").touch()
    time.sleep(0.5)
    return build(*args)
cases.build_cases = counted
library.cache_folder = lambda: Path({str(tmp_path)!r})
edge_rt.load({str(model)!r}, jit=True).run({{"x": numpy.ones((3, 20), numpy.float32)}})
"""
    edge_rt.load(model, jit=True).run({"x": normal(3, 20)})
    processes = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(3)]
    assert [p.wait() for p in processes] == [0] * 3
    assert len(list(tmp_path.glob("compiled-*"))) == 1


def test_cases_tell_calls_apart() -> None:
    calls = [gemm_call(In(0), In(1), Out(0), m=1, n=n, k=8, batches=[[0, 0, 0, 0]]) for n in (8, 9)]
    names = [found.name for found in map(case_of, calls) if found is not None]
    assert len(set(names)) == 2
    first = case_of(calls[0])
    assert first is not None
    assert Case(*first.fields).name == first.name
