"""Inner loops on Arm come near the limit of its multiply instructions, or of all they do, as LLVM models the pipelines."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from bench.inner_loops import FUSED, KERNELS, LLVM, WINDOWS, fused_loops, inner_loops, window_loops
from edge_rt.targets import TARGETS

pytestmark = pytest.mark.boards


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    """LLVM's tools (needs root for apt-get, once)."""
    if shutil.which(f"llvm-mca-{LLVM}") is None:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", f"llvm-{LLVM}"], check=True)


@pytest.mark.parametrize("target", ["armv8-a", "armv8.2-a-dotprod"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_largest_loop_reaches_85_percent_of_the_limit(kernel: str, target: str) -> None:
    loops = fused_loops if kernel in FUSED.get(target, ()) else inner_loops
    largest = loops(kernel, TARGETS[target])[0]
    assert largest.share >= 0.85, largest


BOUND_BY_COMPARISONS = {"3x3": 0.8, "3x3 stride 2": 0.8}
"""Two comparisons bound each output, in the pipes of its nine multiply-adds: 82 % of the limit is all there is."""


@pytest.mark.parametrize("target", ["armv8-a", "armv8.2-a-dotprod"])
def test_the_loop_of_each_window_comes_near_the_limit(target: str) -> None:
    loops = {loop.kernel.partition(" ")[2]: loop for loop in window_loops(TARGETS[target])}
    assert list(loops) == list(WINDOWS.values())
    for name, loop in loops.items():
        assert loop.share >= BOUND_BY_COMPARISONS.get(name, 0.85), loop
