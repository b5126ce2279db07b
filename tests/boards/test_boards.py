"""The op test table on the emulated Raspberry Pi 4 and 5, by machine code made here, without numba there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_rt import bundle, ops
from tests.boards import emulator
from tests.cases import all_cases
from tests.runtimes import graph_of
from tests.test_ops import expected

pytestmark = pytest.mark.boards
CASES = [c for c in all_cases() if c.native]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return emulator.device_package(tmp_path_factory.mktemp("device"))


@pytest.fixture(scope="module", params=sorted(emulator.TARGET_OF))
def board(request: pytest.FixtureRequest, package: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, str]:
    """(board, folder with the outputs of all cases, what the board printed)."""
    folder = tmp_path_factory.mktemp(request.param)
    for number, case in enumerate(CASES):
        graph, arrays = graph_of(case)
        bundle.write(bundle.Bundle(signatures={"main": graph}), folder / f"{number:04}.edge")
        np.savez(folder / f"{number:04}.inputs.npz", **{v.name: a for v, a in zip(graph.inputs, arrays)})
    script = Path(__file__).with_name("run_cases.py")
    done = emulator.run(request.param, package, str(script), str(folder))
    assert done.returncode == 0, done.stderr
    return request.param, folder, done.stdout


def test_the_pack_that_fits_the_board_is_chosen(board: tuple[str, Path, str]) -> None:
    name, _, printed = board
    assert printed.splitlines()[0] == f"target {emulator.TARGET_OF[name]}"


@pytest.mark.filterwarnings("ignore:.*encountered in.*:RuntimeWarning")
def test_all_cases(board: tuple[str, Path, str]) -> None:
    _, folder, printed = board
    failures = [line for line in printed.splitlines() if line.startswith("failed")]
    for number, case in enumerate(CASES):
        path = folder / f"{number:04}.outputs.npz"
        if not path.exists():
            continue
        with np.load(path) as stored:
            made = [stored[name] for name in stored.files]
        for i, (got, want) in enumerate(zip(made, expected(case))):
            try:
                ops.get(case.op).accuracy.check(got, want, f"{case.name}: output {i}")
            except AssertionError as error:
                failures.append(str(error))
    assert not failures, "\n".join(failures)


def test_a_pack_for_a_better_cpu_is_refused(package: Path) -> None:
    done = emulator.run("pi4", package, "-c", "from edge_rt import native; native.library()", EDGE_RT_TARGET="armv8.2-a-dotprod")
    assert done.returncode != 0
    assert "TargetError" in done.stderr
    assert "asimddp" in done.stderr
