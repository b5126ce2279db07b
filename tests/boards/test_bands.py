"""Steps done together by bands of rows on emulated boards: the bits of each done alone, and of a team."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_rt.bundle import Bundle, write
from tests.boards.test_boards import put_inputs, run_bundles
from tests.cases._case import normal
from tests.test_bands import DEEP, LARGE, Layer, chain, plan

pytestmark = pytest.mark.boards


def test_bits(board: str, package: Path, tmp_path: Path) -> None:
    """A tensor that is an output is there as a whole, so that nothing is done together."""
    layers = [Layer("gemm", 48), DEEP, Layer("gemm", 32), DEEP._replace(kernel=5, stride=2, pads=(2, 2, 2, 2)), DEEP]
    graphs = {"together": chain(LARGE, layers), "alone": chain(LARGE, layers, kept=range(4))}
    assert plan(graphs["together"]) == [(0, 4)]
    assert plan(graphs["alone"]) == []
    for name, graph in graphs.items():
        write(Bundle({"main": graph}), tmp_path / f"{name}.edge")
        put_inputs(tmp_path, name, {"x": normal(*LARGE)})
    done = run_bundles(board, package, tmp_path)
    assert done.told("failed") + done.told("differs") == []
    np.testing.assert_array_equal(done.outputs["together"]["main:y"], done.outputs["alone"]["main:y"])
