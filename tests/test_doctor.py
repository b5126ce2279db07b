"""What `edge-rt doctor` says of CPUs: of this one, of one below the floor, and with a target that was named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edge_rt import native
from edge_rt.cli import main
from edge_rt.errors import TargetError
from edge_rt.native import cpu
from edge_rt.native import host as host_module
from edge_rt.targets import TARGETS

pytestmark = pytest.mark.skipif(cpu.cpu_architecture() != "x86_64", reason="fakes the features of an x86-64 CPU")

V3 = TARGETS["x86-64-v3"].requires


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """report(flags, EDGE_RT_TARGET) -> (exit status, doctor's JSON, stderr) on a CPU with these flags."""

    def examine(flags: frozenset[str], named: str = "") -> tuple[int, dict[str, Any], str]:
        cpuinfo = tmp_path / "cpuinfo"
        cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {' '.join(flags)}\n\nprocessor\t: 1\n")
        monkeypatch.setattr(cpu, "CPUINFO", str(cpuinfo))
        monkeypatch.setattr(host_module, "_process", [])
        monkeypatch.setenv("EDGE_RT_TARGET", named)
        status = main(["doctor", "--json"])
        printed = capsys.readouterr()
        return status, json.loads(printed.out), printed.err

    return examine


def test_each_target_is_usable_or_told_why_not(report: Any) -> None:
    status, told, _ = report(V3)
    assert status == 0
    assert told["targets"] == {
        "x86-64-v3": "usable",
        "x86-64-v4-vnni": "needs avx512_vnni, avx512bw, avx512cd, avx512dq, avx512f, avx512vl",
        "armv8-a": "is for aarch64",
        "armv8.2-a-dotprod": "is for aarch64",
    }
    assert told["target"] == "x86-64-v3"
    assert "x86-64-v4-vnni needs avx512_vnni, " in told["why"]


def test_a_cpu_below_the_floor(report: Any) -> None:
    status, told, err = report(V3 - {"avx2", "fma"})
    assert status == 1
    assert told["targets"]["x86-64-v3"] == "needs avx2, fma"
    assert told["problem"] == "edge-rt needs x86-64-v3; this CPU lacks avx2, fma"
    assert err == f"models cannot run here: {told['problem']}\n"
    with pytest.raises(TargetError, match="this CPU lacks avx2, fma"):
        native.library()


def test_a_lower_target_that_was_named(report: Any) -> None:
    status, told, _ = report(TARGETS["x86-64-v4-vnni"].requires, "x86-64-v3")
    assert (status, told["target"], told["why"]) == (0, "x86-64-v3", "named by EDGE_RT_TARGET")


def test_a_higher_target_that_was_named(report: Any) -> None:
    status, told, _ = report(V3, "x86-64-v4-vnni")
    assert status == 1
    assert told["problem"].startswith("x86-64-v4-vnni needs a CPU with avx512_vnni, ")


def test_features_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cpu, "CPUINFO", "/nowhere")
    assert main(["doctor"]) == 1
    assert "cannot read the CPU's features: [Errno 2]" in capsys.readouterr().err
