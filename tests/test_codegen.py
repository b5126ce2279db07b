"""Compiling, linking and caching kernels."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_rt.codegen import build_image, build_images
from edge_rt.codegen.build import MAX_CODE, MAX_SYMBOLS
from edge_rt.codegen.entry import argument_types, entry_text
from edge_rt.codegen.link import link
from edge_rt.codegen.lower import compiler_for
from edge_rt.codegen.objects import compile_kernels, kernel_object
from edge_rt.codegen.testing import call
from edge_rt.errors import CodegenError
from edge_rt.kernels import load_all
from edge_rt.lowering.executor import HELP_TEAM, RUN_PROGRAM, STOP_TEAM
from edge_rt.native.features import choose_target, cpu_features
from edge_rt.native.image import read_header
from edge_rt.targets import TARGETS
from tests._kernels import run, unlisted

EXECUTOR = [RUN_PROGRAM, HELP_TEAM, STOP_TEAM]
HOST = choose_target(cpu_features())[0]
EVERY_TARGET = pytest.mark.parametrize("target", TARGETS.values(), ids=str)


def scale(target: Any) -> Any:
    def body(x, out, n, factor, part, parts):
        for i in range(n * part // parts, n * (part + 1) // parts):
            out[i] = x[i] * factor + 1

    return body


SCALE = unlisted("t_scale", "x:f32* out:f32* n:i64 factor:f32", in_place=(("x", "out"),))


def test_a_kernel_gets_pointers_numbers_and_parts() -> None:
    x, out = np.arange(101, dtype=np.float32), np.zeros(101, np.float32)
    call(SCALE, factory=scale, x=x, out=out, n=101, factor=0.1, parts=7)
    assert np.array_equal(out, x * np.float32(0.1) + 1)
    call(SCALE, factory=scale, x=x, out=x, n=101, factor=0.1, parts=7)
    assert np.array_equal(out, x)


def test_products_and_sums_are_not_contracted() -> None:
    x = np.random.default_rng(0).standard_normal(4096).astype(np.float32)
    out = np.zeros_like(x)
    call(SCALE, factory=scale, x=x, out=out, n=x.size, factor=0.1)
    fused = (x.astype(np.float64) * np.float64(np.float32(0.1)) + 1).astype(np.float32)
    assert np.array_equal(out, x * np.float32(0.1) + np.float32(1))
    assert not np.array_equal(out, fused)


def sum_up(target: Any) -> Any:
    def body(x, out, n, part, parts):
        total = x[0]
        for i in range(1, n):
            total += x[i]
        out[0] = total

    return body


def test_sums_are_not_reassociated() -> None:
    x, out = np.random.default_rng(0).standard_normal(10_000).astype(np.float32), np.zeros(1, np.float32)
    run("t_sum", "x:f32* out:f32* n:i64", sum_up, x=x, out=out, n=x.size)
    assert out[0] == np.add.accumulate(x)[-1]


@pytest.mark.parametrize(("in_place", "expected"), [((), ["x", "out", "y"]), ((("x", "out"),), ["y"])])
def test_pointers_are_noalias_except_in_place_pairs(in_place: Any, expected: list[str]) -> None:
    spec = unlisted("t_alias", "x:f32* out:f32* y:f32* n:i64", in_place)
    (body,) = (line for line in entry_text(spec, "f").splitlines() if line.startswith("define internal"))
    assert [p.name for i, p in enumerate(spec.params) if f"ptr noalias %a{i}" in body] == expected


def copy_and_clear(target: Any) -> Any:
    def body(x, out, n, part, parts):
        for i in range(n):
            out[i] = x[i]
        for i in range(n):
            x[i] = 0

    return body


@EVERY_TARGET
def test_loops_over_memory_need_no_library(target: Any) -> None:
    spec = unlisted("t_move", "x:u8* out:u8* n:i64")
    code, symbols = link({"t_move": kernel_object(spec, copy_and_clear, target)})
    assert symbols == {"t_move": 0}
    assert len(code) < 4096


def wants_libm(target: Any) -> Any:
    def body(x, part, parts):
        x[0] = np.exp(x[0])

    return body


@EVERY_TARGET
def test_an_undefined_symbol_names_kernel_and_symbol(target: Any) -> None:
    spec = unlisted("t_libm", "x:f32*")
    with pytest.raises(CodegenError, match="kernel t_libm: undefined symbol exp"):
        link({"t_libm": kernel_object(spec, wants_libm, target)})


def test_parameters_must_be_those_of_the_spec() -> None:
    with pytest.raises(CodegenError, match=r"t_other: the body must take \(y, part, parts\), it takes \(x, part"):
        run("t_other", "y:f32*", wants_libm, y=None)


def does_not_compile(target: Any) -> Any:
    def body(x, part, parts):
        x[0] = "text"

    return body


def clip(target: Any) -> Any:
    """min and max are Numba's own functions, which it compiles for each target."""

    def body(x, out, n, part, parts):
        for i in range(min(n, 1000)):
            out[i] = max(x[i], min(n, i))

    return body


def clip_again(target: Any) -> Any:
    def body(x, out, n, part, parts):
        for i in range(min(n, 2000)):
            out[i] = min(x[i], max(n, i))

    return body


def test_targets_take_turns_in_one_process() -> None:
    spec = unlisted("t_clip", "x:i64* out:i64* n:i64")
    for factory in (clip, clip_again):
        for name in ("armv8-a", "x86-64-v3", "x86-64-v4-vnni"):
            compiled = compiler_for(TARGETS[name]).function(factory(TARGETS[name])).compile(argument_types(spec))
            assert tuple(compiled.signature.args) == tuple(argument_types(spec))


def test_targets_are_compiled_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By all processes; each object once, and the same as alone."""
    targets = [TARGETS["armv8-a"], TARGETS["x86-64-v3"]]
    kernels = {symbol: load_all()[symbol] for symbol in ("where_1", "put_1")}
    alone = {(s, t): kernel_object(*kernel, t) for s, kernel in kernels.items() for t in targets}
    monkeypatch.setenv("EDGE_RT_CACHE", str(tmp_path))
    monkeypatch.setattr("edge_rt.codegen.together.default_threads", lambda: 2)
    compile_kernels(kernels, targets)
    assert len([*(tmp_path / "objects").iterdir()]) == len(alone)
    monkeypatch.setattr("edge_rt.codegen.lower.compiler_for", None)  # all come from the cache
    assert {(s, t): kernel_object(*kernel, t) for s, kernel in kernels.items() for t in targets} == alone


def test_a_kernel_that_does_not_compile_is_named() -> None:
    with pytest.raises(CodegenError, match="kernel t_text does not compile for"):
        run("t_text", "x:f32*", does_not_compile, x=None)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [("x", np.zeros(3), "must be an array for f32"), ("x", np.zeros((3, 2), np.float32).T, "must be contiguous")],
)
def test_call_refuses_arrays_of_another_kind(name: str, value: Any, what: str) -> None:
    given = {"x": np.zeros(3, np.float32), "out": np.zeros(3, np.float32), "n": 3, "factor": 1.0, name: value}
    with pytest.raises(TypeError, match=f"t_scale: '{name}' {what}"):
        call(SCALE, factory=scale, **given)


def test_a_damaged_object_in_the_cache_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RT_CACHE", str(tmp_path))
    target = TARGETS["armv8-a"]
    first = kernel_object(SCALE, scale, target)
    (path,) = (tmp_path / "objects").iterdir()
    stored = path.read_bytes()
    for damaged in (b"", stored[:-1], stored[:50] + b"\0" + stored[51:], b"x" * 40):
        path.write_bytes(damaged)
        assert kernel_object(SCALE, scale, target) == first
        assert path.read_bytes() == stored


@EVERY_TARGET
def test_images_are_deterministic(target: Any, tmp_path: Path) -> None:
    """The same bytes from another process with an empty cache."""
    script = (
        "import hashlib, sys; from edge_rt.codegen import build_image; from edge_rt.targets import TARGETS;"
        "from edge_rt.lowering.executor import *;"
        f"print(hashlib.sha256(build_image(TARGETS[{target.name!r}], [RUN_PROGRAM, HELP_TEAM, STOP_TEAM])).hexdigest())"
    )
    environment = {"EDGE_RT_CACHE": str(tmp_path), "PYTHONHASHSEED": "123"}
    other = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert other.stdout.strip() == hashlib.sha256(build_image(target, EXECUTOR)).hexdigest()


@pytest.mark.parametrize(
    "target", [t if t is HOST else pytest.param(t, marks=pytest.mark.boards) for t in TARGETS.values()], ids=str
)
def test_all_kernels_fit_in_one_image(target: Any) -> None:
    """Compiles the whole manifest: no undefined symbol, no writable data, within the limits of an image."""
    header = read_header(build_image(target), target.name)
    assert len(header.symbols) <= MAX_SYMBOLS
    assert header.code_size <= MAX_CODE
    assert header.requires == target.requires
    assert {s.symbol for s in EXECUTOR} <= set(header.symbols)


def test_the_command_writes_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from edge_rt.codegen import __main__ as command

    monkeypatch.setattr(command, "build_images", lambda targets: build_images(targets, EXECUTOR))
    assert command.main(["build", "--target", "armv8-a", "--out", str(tmp_path / "a.image")]) == 0
    assert read_header((tmp_path / "a.image").read_bytes(), "a").target == "armv8-a"
    assert command.main(["build", "--all", "--out", str(tmp_path / "all")]) == 0
    assert sorted(p.name for p in (tmp_path / "all").iterdir()) == sorted(f"{name}.image" for name in TARGETS)
    assert "3 kernels" in capsys.readouterr().out
