"""Models with specialised kernels: the same bits, bounds, errors and reports."""

from __future__ import annotations

import importlib.util
import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import edge_rt
from edge_rt import bundle, native
from edge_rt.cli import main
from edge_rt.codegen import cases as compiler
from edge_rt.errors import ModelError, TargetError
from edge_rt.jit import library as jit_module
from edge_rt.native.image import read_header
from edge_rt.targets import TARGETS
from tests.bundles import small
from tests.cases._case import normal
from tests.jit._programs import assert_same_bits, case_of_program


def test_a_model(model: Path) -> None:
    inputs = {"x": normal(3, 20, seed=5)}
    usual, special = edge_rt.load(model), edge_rt.load(model, jit=True)
    assert usual.jit is None
    for session in (special, special.session()):
        assert_same_bits(usual.run(inputs)["y"], session.run(inputs)["y"])
    assert special.jit is not None
    assert (special.jit.calls, special.jit.kernels) == (6, 3)
    again = pickle.loads(pickle.dumps(special))
    assert_same_bits(usual.run(inputs)["y"], again.run(inputs)["y"])
    assert again.jit.compiled == 0
    assert "3 calls of 3 specialised kernels; 0 compiled" in repr(again.jit)
    bound = special.bind()
    bound.inputs["x"][...] = inputs["x"]
    bound.run()
    assert_same_bits(usual.run(inputs)["y"], bound.outputs["y"])


def test_a_small_bundle_of_several_nodes() -> None:
    data = bundle.to_bytes(small())
    usual, special = edge_rt.load(data), edge_rt.load(data, jit=True)
    random = np.random.default_rng(0)
    sizes = {i.name: [d if isinstance(d, int) else 2 for d in i.shape or ()] for i in usual.inputs}
    inputs = {i.name: random.standard_normal(sizes[i.name]).astype(i.dtype) for i in usual.inputs}
    made = special.run(inputs)
    for name, array in usual.run(inputs).items():
        assert_same_bits(array, made[name])


def test_the_number_of_kernels_is_limited(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit_module, "MAX_CASES", 2)
    special = edge_rt.load(model, jit=True)
    made = special.run({"x": normal(3, 20)})
    assert_same_bits(edge_rt.load(model).run({"x": normal(3, 20)})["y"], made["y"])
    assert special.jit is not None
    assert (special.jit.kernels, special.jit.left_out) == (2, 1)
    assert "1 calls beyond the limit of 2 kernels" in repr(special.jit)


def test_without_numba_the_error_says_what_to_install(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    native.library()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TargetError, match=r"numba is not installed: pip install 'edge-rt\[jit\]'"):
        edge_rt.load(model, jit=True)
    monkeypatch.setattr(jit_module, "FOLDER", "/nowhere")
    with pytest.raises(TargetError, match="lacks the sources of the kernels"):
        edge_rt.load(model, jit=True)


def test_the_reference_backend_has_nothing_to_compile(model: Path) -> None:
    with pytest.raises(ModelError, match="backend 'reference'"):
        edge_rt.load(model, jit=True, backend="reference")


def test_the_command_line(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(model), "--jit", "--runs", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["jit"]["kernels"] == 3
    assert main(["bench", str(model), "--jit", "--runs", "1"]) == 0
    assert "3 calls of 3 specialised kernels" in capsys.readouterr().out


def test_code_for_other_machines_compiles() -> None:
    case = case_of_program(["Mul 0 1", "Sigmoid 2"], [normal(6, 20), normal(20)])
    for name in ("armv8-a", "x86-64-v3"):
        header = read_header(compiler.build_cases(TARGETS[name], [case], "sources"), name)
        assert (header.target, list(header.symbols), header.sources) == (name, [case.name], "sources")
